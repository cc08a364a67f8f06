"""The keepers as the server meets them: one question, over HTTP (C2SP tlog-witness, ``add-checkpoint``)."""

from collections.abc import Sequence

from crypto.checkpoint import parse_decimal
from crypto.errors import Malformed, Refusal, Unreachable
from crypto.trust_root import Keeper
from vault_server.cosigning import Behind, OtherRoot
from vault_server.http_client import HttpClient
from vault_server.media_types import TEXT, TREE_SIZE

MAX_ANSWER = 1 << 14


class HttpKeepers:
    """The keepers of a trust root that are to see heads."""

    def __init__(self, keepers: Sequence[Keeper], seconds: float) -> None:
        self.keepers = [HttpKeeper(keeper, seconds) for keeper in keepers]

    async def close(self) -> None:
        """Close the connections."""
        for keeper in self.keepers:
            await keeper.close()


class HttpKeeper:
    """One keeper. Implements ``Cosigner``."""

    def __init__(self, keeper: Keeper, seconds: float) -> None:
        self.key = keeper.cosigner
        self._client = HttpClient(keeper.url, seconds)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Signature lines.

        Raises Behind with the size the keeper knows, OtherRoot, Unreachable without a useful answer.
        """
        try:
            answer = await self._client.post("/add-checkpoint", TEXT, body, MAX_ANSWER)
            behind = answer.status == 409 and answer.kind == TREE_SIZE
            size = _size(answer.body) if behind else 0
        except Refusal:
            raise Unreachable("A keeper's answer was not one.") from None
        if behind:
            raise Behind(size)
        if answer.status in (409, 422):  # another head of this size; or one from which ours does not go on
            raise OtherRoot
        if answer.status != 200:
            raise Unreachable(f"A keeper answered with status {answer.status}.")
        return answer.body


def _size(content: bytes) -> int:
    if not content.isascii() or not content.endswith(b"\n"):
        raise Malformed("A size was refused: it is not one line of ASCII text.")
    return parse_decimal(content[:-1].decode())
