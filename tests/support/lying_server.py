"""A vault server and keepers that lie, each at an address of its own: what lies is said over HTTP, as anybody says it.

The routes, the reading of bodies and the form of refusals are those of the two programs. What their clients hear is what a
lying server can say: a message of the one encoding, a problem document, or a connection that is cut.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import TypeVar, cast

import msgspec
from litestar import Litestar, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from uvicorn.server import ServerState

from crypto.checkpoint import origin_hash
from crypto.encoding import decode, encode
from crypto.errors import CoffreError
from crypto.trust_root import TrustRoot
from crypto.wire import vault_api
from crypto.wire.keeper_api import OPERATIONS, PREFIX, KeeperOperation
from crypto.wire.messages import CiphertextQuery
from tests.support.lying_keeper import LyingKeeper
from tests.support.lying_vault import LyingVault
from vault_client.http_vault import HttpVault
from vault_server.bounded_http import config
from vault_server.http_exchange import (
    Answer,
    AnyRequest,
    check_kind,
    length_of,
    problem,
    read_body,
    refused,
    unrouted,
)
from vault_server.instance import Instance
from vault_server.listening import Listening
from vault_server.media_types import BYTES, JSON, TEXT
from vault_server.routes import ciphertext, logs, notices, operations
from vault_server.routes.gate import Gate
from vault_server.vault import VaultSession

T = TypeVar("T", bound=msgspec.Struct)

PATIENCE = 60
# More than the service of any test has.
SHARDS = 16

_TOKEN: ContextVar[str] = ContextVar("token", default="")


class Behind(HttpVault):
    """The honest server behind a liar: asked in the session of whoever asks the liar; by a test itself, in its own."""

    async def _authorization(self) -> dict[str, str]:
        token = _TOKEN.get()
        return {"Authorization": token} if token else await super()._authorization()

    async def _ask(self, name: str, query: msgspec.Struct, answer: type[T]) -> T:
        if not _TOKEN.get():
            return await super()._ask(name, query, answer)
        return await self._post(name, query, answer, with_session=True)


class _Door(Gate):
    """Lets everybody in, to the liar: what is refused, the liar refuses."""

    def __init__(self, liar: LyingVault) -> None:
        self._liar = liar

    async def enter(self, request: AnyRequest, *, session: bool, counts: bool = False) -> VaultSession:
        """The liar itself, for as long as it answers this request."""
        _TOKEN.set(request.headers.get("authorization", ""))
        return cast("VaultSession", self._liar)

    @asynccontextmanager
    async def body(
        self, request: AnyRequest, session: VaultSession, kind: str, limit: int
    ) -> AsyncIterator[bytes]:
        """The whole body."""
        check_kind(request, kind)
        yield await read_body(request, length_of(request, limit), PATIENCE)


@asynccontextmanager
async def vault_at(liar: LyingVault, root: TrustRoot) -> AsyncIterator[str]:
    """The URL where ``liar`` is a vault server of the service of ``root``."""
    door, own = _Door(liar), cast("Instance", SimpleNamespace(root=root))
    part, _ = ciphertext.handlers(door)
    routes = [
        *operations.handlers(door),
        part,
        _ciphertext(door, liar),
        *notices.handlers(door),
        *logs.handlers(door, own),
    ]
    async with _listening(routes) as url:
        yield url


def _ciphertext(door: _Door, liar: LyingVault) -> HTTPRouteHandler:
    """Unlike the honest server's, which looks ahead: each chunk is on its way before the liar may cut the connection."""

    @post(f"{vault_api.PREFIX}/ciphertext", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Stream:
        session = await door.enter(request, session=True)
        async with door.body(request, session, JSON, ciphertext.MAX_QUERY) as body:
            chunks = liar.ciphertext(decode(body, CiphertextQuery))
        first = await anext(chunks, b"")
        return Stream(_following(first, chunks), media_type=BYTES)

    return handler


async def _following(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk


@asynccontextmanager
async def keeper_at(liar: LyingKeeper, root: TrustRoot) -> AsyncIterator[str]:
    """The URL where ``liar`` is a keeper of the service of ``root``."""
    named = [root.directory_origin, *map(root.log_origin, range(SHARDS))]
    origins = {origin_hash(origin): origin for origin in named}

    @get("/{name:str}/checkpoint")
    async def checkpoint(request: AnyRequest) -> Answer:
        return Response(await liar.checkpoint(origins[request.path_params["name"]]), media_type=TEXT)

    async with _listening([*(_asked(liar, operation) for operation in OPERATIONS), checkpoint]) as url:
        yield url


def _asked(liar: LyingKeeper, operation: KeeperOperation) -> HTTPRouteHandler:
    @post(f"{PREFIX}/{operation.name}", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        body = await read_body(request, operation.limit, PATIENCE)
        query = decode(body, operation.request, limit=operation.limit)
        return Response(encode(await getattr(liar, operation.name)(query)), media_type=JSON)

    return handler


@asynccontextmanager
async def _listening(routes: list[HTTPRouteHandler]) -> AsyncIterator[str]:
    """Listens at once, and ends at once, with whatever it still answers: what a lie holds up, it holds up no longer."""
    faults: list[Exception] = []

    def fault(_: AnyRequest, error: Exception) -> Answer:
        faults.append(error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unavailable", "The liar failed.")

    app = Litestar(
        route_handlers=routes,
        exception_handlers={CoffreError: refused, HTTPException: unrouted, Exception: fault},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )
    settings, state = config(app, Listening(0)), ServerState()
    settings.load()
    make = partial(settings.http_protocol_class, config=settings, server_state=state, app_state={})  # type: ignore[call-arg]
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in [*state.connections]:
            connection.transport.abort()
        for task in [*state.tasks]:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
    if faults:
        raise faults[0]
