"""Uvicorn as both programs run it: with a bound on request heads, and without its own handling of signals.

The parser below keeps whatever comes before the end of a head, however much it is, and waits for it for ever. Here a
head has 64 KiB and twenty seconds; then the connection is closed.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crypto.errors import Malformed
from crypto.wire.problems import MEDIA_TYPE, problem_bytes
from vault_server.listening import Listening

MAX_HEAD = 1 << 16
HEAD_SECONDS = 20

# Uvicorn reports what strangers send as warnings of its own form; what we say of ourselves is in the event log.
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
logging.getLogger("uvicorn.error").propagate = False


class Server(uvicorn.Server):
    """Leaves the signals to its program, which ends in order by itself. ``listening`` is called once it does."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], object] = lambda: None) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def config(app: ASGIApp, listening: Listening, **particular: Any) -> uvicorn.Config:
    """How ``app`` is served; ``particular``: what one of the programs wants beside it."""
    return uvicorn.Config(
        app,
        loop="none",
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=listening.behind_proxy,
        ssl_certfile=listening.tls_cert,
        ssl_keyfile=listening.tls_key,
        **particular,
    )


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins with a head that must come in time."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Closes the connection when the head has not ended within its bound."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Another request on the same connection."""
        self._deadline.cancel()
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; bodies have limits of their own."""
        self._in_head = False
        self._deadline.cancel()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered with a problem document too, in our words."""
        status, body = problem_bytes(Malformed("A request was refused: it is not HTTP as it should be."))
        head = f"HTTP/1.1 {status} Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._in_head, self._head = True, 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._close_late)

    def _close_late(self) -> None:
        if self._in_head:
            self.transport.close()
