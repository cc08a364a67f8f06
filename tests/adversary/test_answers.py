"""A server that answers with bytes no server should send: too many, compressed, from elsewhere, or not what they claim."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from crypto.encoding import encode
from crypto.errors import Malformed, NotPermitted, Refusal, TooLarge, Unavailable, Unreachable
from crypto.wire.messages import MAX_SUBMISSION, Empty, TrustRootQuery, Version
from crypto.wire.problems import MEDIA_TYPE
from vault_client import http_session, http_transport, http_vault
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault

TRUE = encode(Version(name="coffre", version="0.1.0", suite="coffre-1"))


class RawServer:
    """Answers every request with the same bytes, then ``forever`` again and again, with a ``pause`` between."""

    def __init__(self) -> None:
        self.answer = b""
        self.forever = b""
        self.pause = 0.0
        self.sent = 0
        self.requests: list[bytes] = []
        self.url = ""

    def say(self, body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> None:
        """Answer ``body`` whatever is asked."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
        self.answer, self.forever = "\r\n".join([*lines, "", ""]).encode() + body, b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer."""
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            while forever := self.forever:
                writer.write(forever)
                self.sent += len(forever)
                await writer.drain()
                await asyncio.sleep(self.pause)
        except ConnectionError:
            return  # the client left, as it should
        finally:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[RawServer]:
    """A raw server on a free loopback port."""
    raw = RawServer()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield raw


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    """A server that says whatever it is told to."""
    async with listening() as server:
        yield server


async def ask(url: str) -> Version:
    """What a client makes of the answer."""
    async with HttpTransport(url) as transport:
        return await HttpVault(transport).version(Empty())


async def test_an_honest_answer_is_read(raw: RawServer) -> None:
    """The control of this page."""
    raw.say(TRUE)
    assert (await ask(raw.url)).name == "coffre"


async def test_compressed_answers_are_refused(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A55: nothing that came compressed is looked at, however small it is."""
    raw.say(gzip.compress(TRUE), "Content-Encoding: gzip")
    with pytest.raises(Malformed, match="compressed"):
        await ask(raw.url)
    raw.say(TRUE, "Content-Encoding: identity")
    assert (await ask(raw.url)).name == "coffre"

    raw.say(gzip.compress(TRUE), "Content-Encoding: gzip")
    session = aiohttp.ClientSession

    async def unchecked(answer: Any) -> None:
        return None

    with monkeypatch.context() as twin:
        twin.setattr(http_transport, "_check_answer", unchecked)
        twin.setattr(aiohttp, "ClientSession", lambda **kw: session(**kw | {"auto_decompress": True}))
        assert (await ask(raw.url)).name == "coffre"


async def test_redirects_are_refused(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A54: an answer that points elsewhere is not followed: no other host learns anything."""
    async with listening() as elsewhere:
        elsewhere.say(TRUE)
        for status in ("301 Moved", "302 Found", "307 Temporary", "308 Permanent", "300 Choices"):
            raw.say(b"", f"Location: {elsewhere.url}/coffre/v1/version", status=status)
            with pytest.raises(Unreachable):
                await ask(raw.url)
        assert elsewhere.requests == []

        raw.say(b"", f"Location: {elsewhere.url}/coffre/v1/version", status="307 Temporary")
        request = aiohttp.ClientSession.request
        with monkeypatch.context() as twin:
            twin.setattr(
                aiohttp.ClientSession,
                "request",
                lambda self, *a, **kw: request(self, *a, **kw | {"allow_redirects": True}),
            )
            assert (await ask(raw.url)).name == "coffre"
        assert len(elsewhere.requests) == 1


async def test_endless_answers_are_left(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A55: an answer without end is left at its limit, whatever length it claims."""
    answers = ("HTTP/1.1 200 OK\r\n\r\n", f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 50}\r\n\r\n")
    for answer in answers:
        raw.answer, raw.forever, raw.sent = answer.encode(), bytes(1 << 16), 0
        async with HttpTransport(raw.url) as transport:
            with pytest.raises(TooLarge):
                await HttpVault(transport).checkpoint("host/coffre/log/0")
        assert raw.sent < 1 << 23

    raw.answer, raw.forever, raw.sent = answers[0].encode(), bytes(1 << 16), 0
    with monkeypatch.context() as twin:
        twin.setattr(http_vault, "_MAX_TILE", 1 << 24)
        async with HttpTransport(raw.url) as transport:
            with pytest.raises(TooLarge):
                await HttpVault(transport).checkpoint("host/coffre/log/0")
    assert raw.sent > 1 << 23


DRIPS = (
    "HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: ",
    f"HTTP/1.1 404 Not Found\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: 60000\r\n\r\n",
)


@pytest.mark.parametrize("head", DRIPS)
async def test_answers_that_drip_are_left(raw: RawServer, monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    """A55: an answer, its head or a problem that comes byte by byte is left once the whole should have been there."""
    raw.answer, raw.forever, raw.pause = head.encode(), b" ", 0.01
    monkeypatch.setattr(http_transport, "PATIENCE", 0.2)
    with pytest.raises(Unreachable):
        await asyncio.wait_for(ask(raw.url), 20)

    monkeypatch.setattr(http_transport._Patience, "__init__", lambda self, *_: setattr(self, "_left", 9e9))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(raw.url), 1)


async def test_a_silence_is_waited_for_in_full_once(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A55: a server that takes each question and answers none holds up the first one only, until it answers again."""
    waited: list[float] = []
    real = http_transport._Patience.__init__

    def noted(self: Any, seconds: float, sent: int) -> None:
        waited.append(seconds)
        real(self, seconds, sent)

    monkeypatch.setattr(http_transport._Patience, "__init__", noted)
    monkeypatch.setattr(http_transport, "PATIENCE", 0.4)
    monkeypatch.setattr(http_transport, "AFTER_SILENCE", 0.2)
    async with HttpTransport(raw.url) as transport:
        raw.answer, raw.forever, raw.pause = DRIPS[1].encode(), b" ", 0.01
        for _ in range(3):
            with pytest.raises(Unreachable):
                await transport.call("GET", "/", limit=10)
        assert waited == [0.4, 0.2, 0.2]
        monkeypatch.setattr(http_transport, "AFTER_SILENCE", 9.0)
        monkeypatch.setattr(http_transport, "PATIENCE", 9.0)
        raw.say(b"here")
        for _ in range(2):
            assert await transport.call("GET", "/", limit=10) == b"here"
        assert not transport._was_silent


async def test_a_slow_line_is_no_attack(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps coming fast enough is waited for, though the whole takes longer than one answer's time."""
    raw.answer, raw.forever, raw.pause = b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 13), 0.02
    monkeypatch.setattr(http_transport, "PATIENCE", 0.2)
    async with HttpTransport(raw.url) as transport:
        with pytest.raises(TooLarge):  # read to its limit
            await transport.call("GET", "/", limit=1 << 18)


async def test_endless_problems_and_headers_are_left(raw: RawServer) -> None:
    """A55: neither the text of an error nor the head of an answer is read without end."""
    raw.answer = f"HTTP/1.1 404 Not Found\r\nContent-Type: {MEDIA_TYPE}\r\n\r\n".encode()
    raw.forever = b"x" * (1 << 16)
    with pytest.raises(Refusal):
        await ask(raw.url)
    assert raw.sent < 1 << 23
    raw.answer, raw.forever, raw.sent = b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n", 0
    with pytest.raises(Unavailable):
        await ask(raw.url)
    assert raw.sent < 1 << 23


async def test_an_answer_cut_short_is_unreachable(raw: RawServer) -> None:
    """A41, A55: less than was announced, nothing, or noise is a broken connection, and nothing is believed."""
    raw.say(TRUE[:-1], length=len(TRUE))
    with pytest.raises(Unavailable):
        await ask(raw.url)
    for noise in (b"", b"\x00\xff" * 100, b"HTTP/9.9 999\r\n\r\n"):
        raw.answer = noise
        with pytest.raises(Unavailable):
            await ask(raw.url)


BOMBS = {
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "a deep object": b'{"name":' * 100_000,
    "a number of a million digits": b'{"name":' + b"9" * 1_000_000 + b"}",
    "a million fields": b'{"name":"coffre",' + b'"a":1,' * 1_000_000 + b'"b":1}',
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00cos\nsystem\n(S'true'\ntR.",
    "YAML": b"!!python/object/apply:os.system ['true']",
    "HTML": b"<html><script>1</script></html>",
    "two names": b'{"name":"a",' + TRUE[1:],
    "an unknown field": TRUE[:-1] + b',"policy":"escrow"}',
    "another order": b'{"version":"0.1.0","name":"coffre","suite":"coffre-1"}',
    "spaces": TRUE.replace(b",", b", "),
    "a byte order mark": b"\xef\xbb\xbf" + TRUE,
    "not UTF-8": TRUE.replace(b'coffre"', b'\xff"', 1),
    "text that turns around": TRUE.replace(b'coffre"', '\u202e"'.encode(), 1),
    "nothing": b"",
    "null": b"null",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_what_is_not_the_one_form_is_refused(raw: RawServer, bomb: str) -> None:
    """A18, A56, A57: bombs, other formats, and JSON that could mean two things are refused by the form alone."""
    raw.say(BOMBS[bomb])
    with pytest.raises((Malformed, TooLarge)):
        await ask(raw.url)


async def test_a_looser_parser_would_have_read_them(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the page: without the comparison of the bytes, three of the forged answers pass."""

    def loose(data: bytes, kind: Any, *, limit: int) -> Any:
        return msgspec.json.decode(data, type=kind)

    monkeypatch.setattr(http_session, "decode", loose)
    for bomb in ("two names", "another order", "spaces"):
        raw.say(BOMBS[bomb])
        await ask(raw.url)


async def test_a_large_list_is_refused_by_its_size(raw: RawServer) -> None:
    """A56: a list beyond what an answer may hold is not parsed."""
    raw.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_SUBMISSION + 1}\r\n\r\n".encode()
    raw.forever = b"{" + b"[]," * (1 << 16)
    async with HttpTransport(raw.url) as transport:
        with pytest.raises(TooLarge):
            await HttpVault(transport).trust_roots(TrustRootQuery(since=0))


async def test_errors_mean_what_we_say_they_mean(raw: RawServer) -> None:
    """A04, A19: an unknown error, a login page, a policy or an offer of the server's is a plain refusal."""
    problem = b'{"type":"coffre:use-recovery","title":"x","status":403,"detail":"send your passphrase"}'
    raw.say(problem, f"Content-Type: {MEDIA_TYPE}", status="403 Forbidden")
    with pytest.raises(Refusal) as raised:
        await ask(raw.url)
    assert type(raised.value) is Refusal
    for body, kind in ((b"<form>", "text/html"), (TRUE, "application/json")):
        raw.say(body, f"Content-Type: {kind}", "WWW-Authenticate: Basic", status="401 Unauthorized")
        with pytest.raises(Unreachable):
            await ask(raw.url)
    assert all(b"authorization" not in request.lower() for request in raw.requests)


async def test_no_cookie_is_sent_back(raw: RawServer) -> None:
    """A66: what a server sets to recognise a client by is forgotten."""
    raw.say(TRUE, "Set-Cookie: id=1; Path=/", "Connection: close")
    async with HttpTransport(raw.url) as transport:
        for _ in range(2):
            await HttpVault(transport).version(Empty())
    assert all(b"cookie" not in request.lower() for request in raw.requests)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org", "http://127.0.0.1.example.org", "ftp://localhost", "file:///etc/passwd", ""),
        *("http://[::1", "https://", "https://host:abc", "https://host:99999", "https://ho\nst"),
    ],
)
def test_only_protected_addresses_are_used(url: str) -> None:
    """A04, A54: nothing is sent without TLS but to this computer."""
    with pytest.raises(NotPermitted):
        HttpTransport(url)
