"""Connections: how many there may be, and how long one may be kept without being used."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from vault_server import bounded_http
from vault_server.bounded_http import MAX_HEAD, OTHER_FILES, Server, config
from vault_server.listening import Listening

Send = Callable[[dict[str, Any]], Awaitable[None]]
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LONG = 1 << 26


class Answering:
    """Answers ``ok`` at once, ``/long`` with 64 MiB, and ``/held`` when it is let."""

    def __init__(self) -> None:
        self.let, self.begun, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        self.begun.set()
        body = b"ok" if scope["path"] != "/long" else bytes(LONG)
        if scope["path"] == "/held":
            await self.let.wait()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[: 1 << 20], "more_body": len(body) > 1 << 20})
        for at in range(1 << 20, len(body), 1 << 20):
            await send(
                {
                    "type": "http.response.body",
                    "body": body[at : at + (1 << 20)],
                    "more_body": at + (1 << 20) < LONG,
                }
            )
        self.ended.set()


@asynccontextmanager
async def served(app: Answering, most: int = 100) -> AsyncIterator[Callable[[bytes], Awaitable["Client"]]]:
    """Connects to a server of at most so many connections, and says so much."""
    listening = socket.create_server(("127.0.0.1", 0))
    up = asyncio.Event()
    server = Server(config(app, Listening(0), most, timeout_graceful_shutdown=1), up.set)  # type: ignore[arg-type]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await up.wait()
    clients: list[Client] = []

    async def connect(said: bytes) -> Client:
        clients.append(Client(*await asyncio.open_connection(*listening.getsockname(), limit=1 << 10)))
        clients[-1].writer.write(said)
        return clients[-1]

    try:
        yield connect
    finally:
        for client in clients:
            client.writer.transport.abort()
        server.should_exit = True
        await serving


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def is_answered(self) -> bool:
        """Whether what was asked is answered, or the connection closed."""
        try:
            said = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\nok"), 30)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return False
        return said.startswith(b"HTTP/1.1 200")

    async def is_closed(self) -> bool:
        """Wait until the server has closed it."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 30) == b""
        except ConnectionResetError:
            return True


async def test_who_is_idle_makes_room_for_who_comes() -> None:
    """With all connections taken, the one idle for longest is closed for a new one; a request under way never is."""
    app = Answering()
    async with served(app, most=3) as connect:
        held = await connect(GET.replace(b"/ ", b"/held "))
        await app.begun.wait()
        idle = await connect(GET)
        assert await idle.is_answered()
        half = await connect(GET[:-2] + b"x: ")
        later = await connect(GET)
        assert await later.is_answered()
        assert await idle.is_closed()
        last = await connect(GET)
        assert await last.is_answered()
        assert await half.is_closed()
        app.let.set()
        assert await held.is_answered()


async def test_where_all_are_at_work_the_one_who_comes_is_sent_away() -> None:
    """No request under way is broken off for another."""
    app = Answering()
    async with served(app, most=1) as connect:
        held = await connect(GET.replace(b"/ ", b"/held "))
        await app.begun.wait()
        assert not await (await connect(GET)).is_answered()
        app.let.set()
        assert await held.is_answered()


@pytest.mark.parametrize("head", [b"", b"connection: close\r\n"])
async def test_who_takes_nothing_of_an_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    """A client that asks for much and reads nothing loses its connection, and the server the work for it."""
    monkeypatch.setattr(bounded_http, "STALLED_SECONDS", 0.2)
    app = Answering()
    async with served(app) as connect:
        await connect(b"GET /long HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n")
        await asyncio.wait_for(app.ended.wait(), 30)
        monkeypatch.undo()
        slow = await connect(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
        taken = 0
        while taken < LONG:  # whoever goes on taking gets all of it
            data = await asyncio.wait_for(slow.reader.read(1 << 20), 30)
            assert data
            taken += len(data)


async def test_a_body_that_was_answered_already_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drips the rest of a refused body for ever is cut off; whoever ends it may ask again."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.5)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    async with served(Answering()) as connect:
        ending = await connect(head)
        assert await ending.is_answered()
        ending.writer.write(b"123456789" + GET)
        assert await ending.is_answered()
        dripping = await connect(head)
        assert await dripping.is_answered()
        dripping.writer.write(b"x")
        assert await dripping.is_closed()


async def test_many_headers_are_one_head() -> None:
    """A head of thousands of short headers is as bounded as one of a single long one."""
    async with served(Answering()) as connect:
        few = await connect(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 5000 + b"\r\n")
        assert await few.is_answered()
        many = await connect(b"GET / HTTP/1.1\r\n")
        for _ in range(2 * MAX_HEAD // 6000):
            many.writer.write(b"a: b\r\n" * 1000)
            await asyncio.sleep(0)
        assert await many.is_closed()


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (100, 20_000, 4096 + OTHER_FILES, 4096),
        (10_000, 20_000, None, 4096),
        (100, 1000, 1000, 1000 - OTHER_FILES),
        (100, 200, 200, 1),
    ],
)
def test_there_are_as_many_connections_as_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None, connections: int
) -> None:
    """A process takes what the system lets it, and leaves files for its store."""
    resource = pytest.importorskip("resource", reason="this system counts open files in another way")
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    made = config(Answering(), Listening(0))  # type: ignore[arg-type]
    assert made.http.keywords == {"most": connections}  # type: ignore[union-attr]
    assert asked == ([] if raised is None else [(raised, hard)])
