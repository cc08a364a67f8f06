"""The other keepers, as one that lost its store asks them: at the addresses of the trust root, over HTTP."""

from collections.abc import Callable
from typing import Protocol

from crypto.encoding import decode, encode
from crypto.errors import Unreachable
from crypto.trust_root import Keeper
from crypto.wire.keeper_api import MAX_HEADS, PREFIX, FurtherEndsQuery, HeadsAnswer, HeadsQuery
from vault_server.http_client import HttpClient, check_url
from vault_server.media_types import JSON

PATIENCE = 60


class OtherKeeper(Protocol):
    """One other keeper. Nothing that it answers is believed unless it signed it."""

    async def known_heads(self, query: HeadsQuery) -> HeadsAnswer:
        """Its heads and first ends. Raises Unreachable when there is no answer, or a refusal."""
        ...

    async def further_ends(self, query: FurtherEndsQuery) -> HeadsAnswer:
        """Its heads and further ends. Raises as ``known_heads`` does."""
        ...


Meet = Callable[[Keeper], OtherKeeper]


class HttpOtherKeeper:
    """A keeper at the URL of the trust root."""

    def __init__(self, keeper: Keeper) -> None:
        """Raises NotPermitted for plain HTTP beyond this machine."""
        check_url(keeper.url)
        self._url = keeper.url

    async def known_heads(self, query: HeadsQuery) -> HeadsAnswer:
        """Its heads and first ends."""
        return await self._ask("known_heads", query)

    async def further_ends(self, query: FurtherEndsQuery) -> HeadsAnswer:
        """Its heads and further ends."""
        return await self._ask("further_ends", query)

    async def _ask(self, operation: str, query: HeadsQuery | FurtherEndsQuery) -> HeadsAnswer:
        client = HttpClient(self._url, PATIENCE)
        try:
            answer = await client.post(f"{PREFIX}/{operation}", JSON, encode(query), MAX_HEADS)
        finally:
            await client.close()
        if answer.status != 200:
            raise Unreachable(f"A keeper answered with status {answer.status}.")
        return decode(answer.body, HeadsAnswer, limit=MAX_HEADS)
