"""Connections: heads end within their bounds, and what is not HTTP is refused in our form."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from crypto.encoding import decode
from crypto.wire.problems import Problem
from vault_server import bounded_http
from vault_server.bounded_http import MAX_HEAD, BoundedHttp


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A running server."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answer, http=BoundedHttp, ws="none", lifespan="off", log_config=None, loop="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    while not server.started:  # noqa: ASYNC110 - it offers no event to wait for
        await asyncio.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    await serving


async def said(port: int, *sent: bytes) -> bytes:
    """Everything the server says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_request_is_answered_and_another_on_the_same_connection(port: int) -> None:
    """Bounds on heads do not touch bodies, nor a second request."""
    body = b"x" * (4 * MAX_HEAD)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n"
    first = head % (len(body), b"") + body
    second = head % (3, b"connection: close\r\n") + b"abc"
    told = await said(port, first, second)
    assert told.count(b"200 OK") == 2
    assert told.endswith(b"\r\n\r\n3")


async def test_a_head_without_end_is_cut_off(port: int) -> None:
    """A header that goes on and on is not kept: the connection is closed."""
    block = b"y" * 16384
    assert await said(port, b"GET / HTTP/1.1\r\nhost: x\r\nx: ", *[block] * 16) == b""


async def test_a_silent_connection_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends nothing, or half a head, does not hold a connection."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.1)
    assert await said(port) == b""
    assert await said(port, b"GET / HTTP/1.1\r\nhost") == b""


async def test_what_is_not_http_is_a_problem_document(port: int) -> None:
    """A line that is no request is refused as everything else is."""
    head, _, body = (await said(port, b"nonsense\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert decode(body, Problem).type == "coffre:malformed"
