"""Asking another program over HTTP: every answer is capped and timed, redirects and compressed answers are refused.

The clients have their own, ``vault_client.http_transport``, since client and server never import each other.
"""

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from crypto.errors import Malformed, NotPermitted, TooLarge, Unreachable
from vault_server.listening import is_this_computer

if TYPE_CHECKING:
    import aiohttp


class HttpAnswer(NamedTuple):
    """What came back. ``kind``: its content type, without parameters."""

    status: int
    kind: str
    body: bytes


class HttpClient:
    """Speaks to the host of one URL. The connection is opened at first use."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url.rstrip("/"), seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, limit: int) -> HttpAnswer:
        """What lies at ``path``. Raises as ``post`` does."""
        return await self._ask("GET", path, limit)

    async def post(self, path: str, kind: str, body: bytes, limit: int) -> HttpAnswer:
        """The answer, whatever its status. Raises TooLarge above ``limit`` bytes, Malformed, Unreachable without one."""
        return await self._ask("POST", path, limit, data=body, headers={"Content-Type": kind})

    async def _ask(self, method: str, path: str, limit: int, **sent: Any) -> HttpAnswer:
        import aiohttp

        try:
            async with self._opened().request(
                method, self._url + path, allow_redirects=False, **sent
            ) as answer:
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise Malformed("An answer was compressed. It was not read. Nothing was done.")
                read = bytearray()
                async for chunk in answer.content.iter_any():
                    read += chunk
                    if len(read) > limit:
                        raise TooLarge(f"An answer was longer than {limit} bytes. It was not read.")
                return HttpAnswer(answer.status, answer.content_type, bytes(read))
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unreachable(
                f"{urlsplit(self._url).netloc} did not answer. Nothing is known to be done. Try again."
            ) from None

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds),
                headers={"Accept-Encoding": "identity", "User-Agent": "coffre"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def check_url(url: str) -> None:
    """Raises NotPermitted unless ``url`` is an https:// address, or an http:// one on this computer, without a path."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and is_this_computer(parts.hostname or "")
    if not (plain or parts.scheme == "https") or not parts.hostname or parts.path.strip("/"):
        raise NotPermitted(
            f"The address {url} was refused: it is neither https:// nor http:// on this computer, or it has a path."
        )
