"""``KeeperApi`` over HTTP."""

from typing import TypeVar

import msgspec

from crypto.checkpoint import MAX_NOTE, origin_hash
from crypto.encoding import decode, encode
from crypto.wire import keeper_api as k
from crypto.wire.messages import Empty
from vault_client.http_transport import HttpTransport

Answer = TypeVar("Answer", bound=msgspec.Struct)


class HttpKeeper:
    """A keeper at a URL."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def card(self, query: Empty) -> k.KeeperCard:
        """The keeper's public half."""
        return await self._ask("card", query, k.KeeperCard)

    async def identity_head(self, query: k.IdentityHeadQuery) -> k.IdentityHeadAnswer:
        """Completeness of an identity chain."""
        return await self._ask("identity_head", query, k.IdentityHeadAnswer)

    async def release(self, query: k.ReleaseQuery) -> k.ReleaseAnswer:
        """The release half for a logged request."""
        return await self._ask("release", query, k.ReleaseAnswer)

    async def end(self, query: k.EndPost) -> k.EndAnswer:
        """Take note of an end."""
        return await self._ask("end", query, k.EndAnswer)

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a checkpoint."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return await self._transport.call(
            "POST", "/add-checkpoint", body=body, headers=headers, limit=1 << 16
        )

    async def checkpoint(self, origin: str) -> bytes:
        """The newest checkpoint of a log that it cosigned."""
        return await self._transport.call("GET", f"/{origin_hash(origin)}/checkpoint", limit=MAX_NOTE)

    async def _ask(self, name: str, query: msgspec.Struct, answer: type[Answer]) -> Answer:
        headers = {"Content-Type": "application/json"}
        path = f"{k.PREFIX}/{name}"
        data = await self._transport.call(
            "POST", path, body=encode(query), headers=headers, limit=k.MAX_QUESTION
        )
        return decode(data, answer, limit=k.MAX_QUESTION)
