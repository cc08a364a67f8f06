"""A service's logs and trust roots on loopback, and any ASGI application on loopback: for tests over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiohttp import web
from aiohttp.typedefs import Handler

from crypto.encoding import decode, encode
from crypto.errors import NotFound, Unreachable
from crypto.tiles import parse_tile_path
from crypto.wire.messages import TrustRootQuery
from tests.support.people import HOST
from tests.support.small_log import LoggedService
from vault_server.bounded_http import Server


@asynccontextmanager
async def log_server(service: LoggedService) -> AsyncIterator[str]:
    """The URL where ``service`` is served as a vault server would."""

    async def trust_roots(request: web.Request) -> web.Response:
        query = decode(await request.read(), TrustRootQuery)
        return web.Response(
            body=encode(await service.trust_roots(query.since)), content_type="application/json"
        )

    async def log(request: web.Request) -> web.Response:
        origin, _, rest = f"{HOST}{request.path}".partition("/tile/")
        try:
            if rest:
                return web.Response(body=await service.bundle(origin, parse_tile_path(f"tile/{rest}")))
            return web.Response(body=await service.checkpoint(origin.removesuffix("/checkpoint")))
        except (NotFound, KeyError):
            raise web.HTTPNotFound from None

    @web.middleware
    async def silent(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Unreachable:
            raise web.HTTPServiceUnavailable from None

    app = web.Application(middlewares=[silent])
    app.router.add_post("/coffre/v1/trust_roots", trust_roots)
    app.router.add_get("/coffre/{path:.*}", log)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The URL where an ASGI application is served."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ready = asyncio.Event()
        server = Server(uvicorn.Config(app, log_config=None, access_log=False), ready.set)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await ready.wait()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
