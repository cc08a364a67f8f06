"""The keepers as the server meets them: one question, over HTTP (C2SP tlog-witness, ``add-checkpoint``)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crypto.checkpoint import CosignerKey, parse_decimal
from crypto.errors import Malformed, Unreachable
from crypto.signing import VerifyKey
from crypto.trust_root import Keeper
from vault_server.publisher import Behind

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER = 1 << 14
SIZE_TYPE = "text/x.tlog.size"


class HttpKeepers:
    """All keepers of the trust root, over one pool of connections."""

    def __init__(self, keepers: Sequence[Keeper], seconds: float) -> None:
        import aiohttp

        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds), auto_decompress=False, trust_env=False
        )
        self.keepers = [HttpKeeper(keeper, self._session) for keeper in keepers]

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class HttpKeeper:
    """One keeper. Implements ``Cosigner``."""

    def __init__(self, keeper: Keeper, session: "aiohttp.ClientSession") -> None:
        self.key = CosignerKey(keeper.name, VerifyKey(keeper.cosigning_key))
        self._url = f"{keeper.url.rstrip('/')}/add-checkpoint"
        self._session = session

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Signature lines. Raises Behind with the size the keeper knows, Unreachable without a useful answer."""
        import aiohttp

        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as answer:
                content = bytearray()
                async for chunk in answer.content.iter_chunked(MAX_ANSWER):
                    content += chunk
                    if len(content) > MAX_ANSWER:
                        raise Unreachable("A keeper's answer was too long.")
                status, kind = answer.status, answer.content_type
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unreachable("A keeper did not answer.") from None
        if status == 200:
            return bytes(content)
        if status == 409 and kind == SIZE_TYPE:
            raise Behind(_size(bytes(content)))
        raise Unreachable(f"A keeper answered with status {status}.")


def _size(content: bytes) -> int:
    try:
        return parse_decimal(content.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, Malformed):
        raise Unreachable("A keeper's answer was not one.") from None
