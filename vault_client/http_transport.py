"""One careful HTTP conversation with one host.

Redirects and compressed answers are refused, every answer is capped and timed as a whole, however it drips, nothing of an
address or a body is ever logged. Plain HTTP is spoken on this computer only; elsewhere TLS.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from io import BytesIO
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from crypto.encoding import decode
from crypto.errors import CoffreError, Malformed, NotPermitted, TooLarge, Unreachable
from crypto.wire.problems import MEDIA_TYPE, Problem, error_of

if TYPE_CHECKING:
    import aiohttp

CHUNK = 1 << 18
MAX_PROBLEM = 1 << 16
# Seconds in which a whole answer must have come, and the bytes, sent or received, that earn it one second more: the
# slowest line on which a long document still gets through.
PATIENCE = 60
SLOWEST = 4096
# The same for a host that was silent the last time, until it answers again: one that takes questions and answers none
# would otherwise hold each of a command's questions up for as long.
AFTER_SILENCE = 5

_LONG = 1 << 20

Step = TypeVar("Step")


class HttpTransport:
    """Speaks to the host of one URL. An async context manager; the connection is opened at first use."""

    def __init__(self, url: str) -> None:
        """Raises NotPermitted for an address that is neither HTTPS nor this computer."""
        self.url = url.rstrip("/")
        _check_url(self.url)
        self._session: aiohttp.ClientSession | None = None
        self._was_silent = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int,
    ) -> bytes:
        """One request, and its whole answer of at most ``limit`` bytes. Problem documents are raised as errors."""
        collected = bytearray()
        async for chunk in self.stream(method, path, body=body, headers=headers, limit=limit):
            collected += chunk
        return bytes(collected)

    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int,
        lasts: float = 0,
    ) -> AsyncIterator[bytes]:
        """One request, and its answer in chunks. Raises TooLarge after ``limit`` bytes, Unreachable when cut off.

        ``lasts``: seconds for which an answer is meant to go on, however little comes; never without anything for longer
        than any answer.
        """
        import aiohttp

        seconds = min(AFTER_SILENCE, PATIENCE) if self._was_silent else PATIENCE
        total, patience = 0, _Patience(seconds + lasts, len(body or b""))
        try:
            asked = self._opened().request(
                method, self.url + path, data=_sendable(body), headers=headers, allow_redirects=False
            )
            async with await patience.wait(asked) as answer:
                self._was_silent = False
                await patience.wait(_check_answer(answer))
                while not answer.content.at_eof():
                    chunk = await patience.wait(answer.content.read(CHUNK))
                    total += len(chunk)
                    if total > limit:
                        raise TooLarge(f"An answer was longer than {limit} bytes. It was not read.")
                    patience.earn(len(chunk))
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._was_silent = isinstance(error, TimeoutError)
            raise Unreachable(
                f"{urlsplit(self.url).netloc} did not answer, or the connection was cut. Nothing was lost."
            ) from None

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=PATIENCE),
                headers={"Accept-Encoding": "identity", "User-Agent": "coffre"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


class _Patience:
    """How much longer one answer may be waited for. What its reader does between two steps does not count."""

    def __init__(self, seconds: float, sent: int) -> None:
        self._left = seconds + sent / SLOWEST

    def earn(self, received: int) -> None:
        """Wait longer for an answer of which this much came."""
        self._left += received / SLOWEST

    async def wait(self, step: Awaitable[Step]) -> Step:
        """The result of ``step``. Raises TimeoutError when the patience ends first."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        async with asyncio.timeout(self._left):
            result = await step
        self._left -= clock() - begun
        return result


def _sendable(body: bytes | None) -> bytes | BytesIO | None:
    # A long body is handed over as a file, which is sent in pieces without stopping everything else.
    return BytesIO(body) if body is not None and len(body) > _LONG else body


async def _check_answer(answer: "aiohttp.ClientResponse") -> None:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Malformed("An answer was compressed, which is not allowed here. It was not read.")
    if answer.status in (200, 201, 204):
        return
    if answer.headers.get("Content-Type", "").partition(";")[0] != MEDIA_TYPE:
        raise Unreachable(
            f"The server answered {answer.status} in a form that is not ours. Nothing was done."
        )
    raise await _problem(answer)


async def _problem(answer: "aiohttp.ClientResponse") -> CoffreError:
    text = bytearray()
    async for chunk in answer.content.iter_chunked(MAX_PROBLEM):
        text += chunk
        if len(text) > MAX_PROBLEM:
            raise TooLarge("The server's refusal is too long to be one. It was not read. Nothing was done.")
    return error_of(decode(bytes(text), Problem, limit=MAX_PROBLEM))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = url.isprintable() and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        is_address = False
    if not is_address:
        raise NotPermitted("This is not the address of a server. Nothing was sent. Look at it again.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_this_computer(parts.hostname or "")):
        return
    raise NotPermitted("Only https:// addresses are used, or http:// on this computer. Nothing was sent.")


def _is_this_computer(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
