"""Uvicorn as both programs run it: with bounds on connections and heads, and without its own handling of signals.

The parser below keeps whatever comes before the end of a head, however much it is, and waits for it for ever. Here a
head has 64 KiB and twenty seconds; then the connection is closed. So is one whose client takes nothing of an answer for
a minute, or goes on with a body that has been answered. When there are as many connections as there may be, the one
that has said nothing for longest makes room for a new one.
"""

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crypto.errors import Malformed
from crypto.wire.problems import MEDIA_TYPE, problem_bytes
from vault_server.listening import Listening

MAX_HEAD = 1 << 16
HEAD_SECONDS = 20
STALLED_SECONDS = 60
MAX_CONNECTIONS = 4096
# Of the files a process may have open, so many are for its store, its keepers and itself.
OTHER_FILES = 256

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
        # All that was loaded to get here stays for good; the collector need not walk through it time and again.
        gc.freeze()
        await super().startup(sockets)
        self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def config(
    app: ASGIApp, listening: Listening, connections: int = MAX_CONNECTIONS, **particular: Any
) -> uvicorn.Config:
    """How ``app`` is served, over at most so many connections; ``particular``: what one of the programs wants beside it."""
    return uvicorn.Config(
        app,
        loop="none",
        http=partial(BoundedHttp, most=_openable(connections)),  # type: ignore[arg-type]
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


def _openable(connections: int) -> int:
    """``connections``, or as many as this process may have open files for: it takes what the system lets it."""
    if sys.platform == "win32":
        return connections
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return max(1, min(connections, allowed - OTHER_FILES))


class BoundedHttp(HttpToolsProtocol):
    """One connection, of at most ``most``."""

    def __init__(self, *arguments: Any, most: int = MAX_CONNECTIONS, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most = most
        self._in_head, self._head, self._in_body = True, 0, False
        # Since when nothing is worked on here: until a head has come, and between two requests.
        self._waiting_since: float | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins with a head that must come in time."""
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self._await_head()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the waits."""
        self._waiting_since = None
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Closes the connection when the head has not ended within its bound."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._end()

    def on_message_begin(self) -> None:
        """Another request on the same connection."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; bodies have limits of their own."""
        self._in_head, self._in_body, self._waiting_since = False, True, None
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is over. Where it was answered before, the connection is kept as after any other answer."""
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait(None)
            self._waiting_since = self.loop.time()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """The answer is written. The rest of a body that is not looked at has as long to come as a head."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
        elif self.cycle.response_complete and self._in_body:
            self._wait(self.transport.abort)
        elif self.cycle.response_complete:
            self._waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        """Waits for the client to take what was written, for so long and no longer."""
        super().pause_writing()
        self._expect_taken()

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        if self._stalled is not None and not self.transport.is_closing():
            self._stalled.cancel()
            self._stalled = None

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection."""
        self._end()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered with a problem document too, in our words."""
        status, body = problem_bytes(Malformed("A request was refused: it is not HTTP as it should be."))
        head = f"HTTP/1.1 {status} Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self._end()

    def _await_head(self) -> None:
        self._in_head, self._head = True, 0
        self._wait(self._end)

    def _wait(self, then: Callable[[], None] | None) -> None:
        """Do ``then`` when what is awaited has not come in time; with None, it has come."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if then is None else self.loop.call_later(HEAD_SECONDS, then)

    def _end(self) -> None:
        """Close the connection, once the client has taken what was written."""
        self.transport.close()
        self._expect_taken()

    def _expect_taken(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def _make_room(self) -> None:
        """End the connection on which nothing has been worked for longest; this one, if all others are at work."""
        others = [each for each in self.connections if isinstance(each, BoundedHttp) and each is not self]
        idle = [
            (since, number)
            for number, each in enumerate(others)
            if (since := each._waiting_since) is not None
        ]
        ended = others[min(idle)[1]] if idle else self
        ended._waiting_since = None
        ended.transport.abort()
