"""The logs, as C2SP tlog-tiles has them: anyone may read them, and caches may keep what never changes."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from vault_server.http_exchange import Answer, AnyRequest
from vault_server.instance import Instance
from vault_server.media_types import BYTES, TEXT
from vault_server.routes.gate import Gate

NEWEST = {"cache-control": "no-cache"}
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
FOR_NOW = {"cache-control": "public, max-age=60"}


def handlers(gate: Gate, instance: Instance) -> list[HTTPRouteHandler]:
    """Checkpoints and tiles of the directory and of every shard."""
    host, directory = instance.root.hosts[0], instance.root.directory_origin

    async def checkpoint(request: AnyRequest, origin: str) -> Answer:
        session = await gate.enter(request, session=False)
        return Response(await session.checkpoint(origin), media_type=f"{TEXT}; charset=utf-8", headers=NEWEST)

    async def tile(request: AnyRequest, origin: str, place: str) -> Answer:
        session = await gate.enter(request, session=False)
        data = await session.tile(origin, f"tile{place}")
        return Response(data, media_type=BYTES, headers=FOR_NOW if ".p/" in place else FOREVER)

    @get("/coffre/directory/checkpoint")
    async def directory_checkpoint(request: AnyRequest) -> Answer:
        return await checkpoint(request, directory)

    @get("/coffre/directory/tile/{place:path}")
    async def directory_tile(request: AnyRequest, place: FromPath[str]) -> Answer:
        return await tile(request, directory, place)

    @get("/coffre/log/{shard:str}/checkpoint")
    async def log_checkpoint(request: AnyRequest, shard: FromPath[str]) -> Answer:
        return await checkpoint(request, f"{host}/coffre/log/{shard}")

    @get("/coffre/log/{shard:str}/tile/{place:path}")
    async def log_tile(request: AnyRequest, shard: FromPath[str], place: FromPath[str]) -> Answer:
        return await tile(request, f"{host}/coffre/log/{shard}", place)

    return [directory_checkpoint, directory_tile, log_checkpoint, log_tile]
