"""Where a keeper reads the logs and the trust roots: the vault server, over HTTP.

Nothing that comes from here is believed: whoever asks verifies. Redirects and compressed answers are refused, every
answer is capped and timed.
"""

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from crypto.checkpoint import MAX_NOTE
from crypto.encoding import decode, encode
from crypto.errors import Malformed, NotFound, TooLarge, Unreachable
from crypto.tiles import Tile, tile_path
from crypto.wire.messages import MAX_MESSAGE, TrustRootChain, TrustRootQuery
from crypto.wire.vault_api import PREFIX

if TYPE_CHECKING:
    import aiohttp

MAX_BUNDLE = 1 << 17
PATIENCE = 10


class Source(Protocol):
    """What a keeper asks of a vault server. Every method raises Unreachable when there is no answer."""

    async def trust_roots(self, since: int) -> TrustRootChain:
        """The trust roots after version ``since``."""
        ...

    async def checkpoint(self, origin: str) -> bytes:
        """The newest published checkpoint of a log."""
        ...

    async def bundle(self, origin: str, tile: Tile) -> bytes:
        """An entry bundle of a log. Raises NotFound when there is none of this width."""
        ...


class HttpSource:
    """A vault server at a URL. Its logs are found by the path that follows the host in their origin."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def trust_roots(self, since: int) -> TrustRootChain:
        """The trust roots after version ``since``."""
        query = encode(TrustRootQuery(since=since))
        data = await self._call("POST", f"{PREFIX}/trust_roots", MAX_MESSAGE, body=query)
        return decode(data, TrustRootChain)

    async def checkpoint(self, origin: str) -> bytes:
        """The newest published checkpoint of a log."""
        return await self._call("GET", f"{_path(origin)}/checkpoint", MAX_NOTE)

    async def bundle(self, origin: str, tile: Tile) -> bytes:
        """An entry bundle of a log. Raises NotFound when there is none of this width."""
        return await self._call("GET", f"{_path(origin)}/{tile_path(tile)}", MAX_BUNDLE)

    async def _call(self, method: str, path: str, limit: int, *, body: bytes | None = None) -> bytes:
        import aiohttp

        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._opened().request(
                method, self._url + path, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise Malformed("An answer of the server was compressed. It was not read.")
                if answer.status == 404:
                    raise NotFound("The server does not have this part of a log")
                if answer.status != 200:
                    raise Unreachable(f"The server answered {answer.status}. Nothing was done. Try again.")
                data = bytearray()
                async for chunk in answer.content.iter_any():
                    data += chunk
                    if len(data) > limit:
                        raise TooLarge(
                            f"An answer of the server was longer than {limit} bytes. It was not read."
                        )
                return bytes(data)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unreachable(
                f"{urlsplit(self._url).netloc} did not answer the keeper. Nothing was done. Try again."
            ) from None

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=PATIENCE),
                headers={"Accept-Encoding": "identity", "User-Agent": "coffre-keeper"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def _path(origin: str) -> str:
    return origin[origin.index("/") :]
