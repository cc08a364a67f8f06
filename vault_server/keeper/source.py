"""Where a keeper reads the logs and the trust roots: the vault server, over HTTP.

Nothing that comes from here is believed: whoever asks verifies.
"""

from typing import Protocol

from crypto.checkpoint import MAX_NOTE
from crypto.encoding import decode, encode
from crypto.errors import NotFound, Unreachable
from crypto.tiles import Tile, tile_path
from crypto.wire.messages import MAX_MESSAGE, LogBeginning, LogQuery, TrustRootChain, TrustRootQuery
from crypto.wire.vault_api import PREFIX
from vault_server.http_client import HttpAnswer, HttpClient
from vault_server.media_types import JSON

MAX_BUNDLE = 1 << 17
MAX_TILE = 1 << 13
MAX_TRUST_ROOTS = 1 << 24  # a new keeper reads them from the first on
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

    async def beginning(self, origin: str) -> LogBeginning:
        """From which entry on a log's entries are there."""
        ...

    async def tile(self, origin: str, tile: Tile) -> bytes:
        """A tile of a log's hashes. Raises NotFound when there is none of this width."""
        ...


class HttpSource:
    """A vault server at a URL. Its logs are found by the path that follows the host in their origin."""

    def __init__(self, url: str) -> None:
        self._client = HttpClient(url, PATIENCE)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def trust_roots(self, since: int) -> TrustRootChain:
        """The trust roots after version ``since``."""
        query = encode(TrustRootQuery(since=since))
        answer = await self._client.post(f"{PREFIX}/trust_roots", JSON, query, MAX_TRUST_ROOTS)
        return decode(_body(answer), TrustRootChain, limit=MAX_TRUST_ROOTS)

    async def checkpoint(self, origin: str) -> bytes:
        """The newest published checkpoint of a log."""
        return _body(await self._client.get(f"{_path(origin)}/checkpoint", MAX_NOTE))

    async def bundle(self, origin: str, tile: Tile) -> bytes:
        """An entry bundle of a log. Raises NotFound when there is none of this width."""
        return _body(await self._client.get(f"{_path(origin)}/{tile_path(tile)}", MAX_BUNDLE))

    async def tile(self, origin: str, tile: Tile) -> bytes:
        """A tile of a log's hashes. Raises NotFound when there is none of this width."""
        return _body(await self._client.get(f"{_path(origin)}/{tile_path(tile)}", MAX_TILE))

    async def beginning(self, origin: str) -> LogBeginning:
        """From which entry on a log's entries are there."""
        query = encode(LogQuery(origin=origin))
        answer = await self._client.post(f"{PREFIX}/log_beginning", JSON, query, MAX_MESSAGE)
        return decode(_body(answer), LogBeginning)


def _body(answer: HttpAnswer) -> bytes:
    if answer.status == 404:
        raise NotFound("The server does not have this part of a log")
    if answer.status != 200:
        raise Unreachable(f"The server answered {answer.status}. Nothing was done. Try again.")
    return answer.body


def _path(origin: str) -> str:
    return origin[origin.index("/") :]
