"""The ASGI application: the only place where the vault and its transport are joined."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from crypto.errors import CoffreError
from crypto.wire.vault_api import OPERATIONS, PREFIX
from vault_server.event_log import note
from vault_server.http_exchange import refused, unrouted
from vault_server.instance import Instance
from vault_server.keepers import HttpKeepers
from vault_server.routes import ciphertext, instance, logs, notices, operations
from vault_server.routes.gate import Gate
from vault_server.routes.problems import fault
from vault_server.settings import Settings
from vault_server.vault import Vault


@asynccontextmanager
async def running(
    settings: Settings, own: Instance, clock: Callable[[], float] = time.time
) -> AsyncIterator[Vault]:
    """A vault server with its store open and its keepers in reach; everything is closed at the end."""
    keepers = HttpKeepers(own.root.answering_keepers(int(clock())), settings.keeper_seconds)
    try:
        vault = await Vault.start(settings, own, keepers.keepers, clock)
        try:
            yield vault
        finally:
            await vault.close()
    finally:
        await keepers.close()


def make_app(vault: Vault) -> ASGIApp:
    """The application that serves ``vault``."""
    gate = Gate(vault)
    app = Litestar(
        route_handlers=[
            *operations.handlers(gate),
            *ciphertext.handlers(gate),
            *notices.handlers(gate),
            *logs.handlers(gate, vault.instance),
            *instance.handlers(vault),
        ],
        exception_handlers={
            CoffreError: refused,
            HTTPException: unrouted,
            Exception: fault,
        },
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # every route caps what it reads itself, and answers a problem document
    )
    return _logged(app)


def _logged(app: ASGIApp) -> ASGIApp:
    """``app``, with one line for each request: method, route, status, time and size; nothing that names anybody."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        began, status, size = time.monotonic(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message["body"])
            await send(message)

        try:
            await app(scope, receive, counted)
        finally:
            note(
                "request",
                route=f"{_method(str(scope.get('method', '')))} {_template(scope['path'])}",
                status=status,
                duration_ms=round((time.monotonic() - began) * 1000, 1),
                bytes=size,
            )

    return logged


def _method(method: str) -> str:
    return method if method in {"GET", "POST", "PUT", "HEAD"} else "other"


def _template(path: str) -> str:
    """The route of a path, without whatever in it could name somebody."""
    if path in _KNOWN:
        return path
    for prefix in ("/coffre/log/", "/coffre/directory/"):
        if path.startswith(prefix):
            return f"{prefix}…"
    return "other"


_KNOWN = frozenset(
    [f"{PREFIX}/{operation.name}" for operation in OPERATIONS]
    + [f"{PREFIX}/{name}" for name in ("part", "ciphertext", "notices")]
    + [f"/coffre/{name}" for name in ("instance-card", "version", "health", "openapi.json")]
)
