"""What every request passes before any work: an allowance, a session, a body of the right kind, size and speed."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from crypto.encoding import decode
from crypto.errors import Malformed, TooLarge, Unauthenticated
from crypto.wire.messages import MAX_MESSAGE
from vault_server.limits import Buckets, Budget, address_class
from vault_server.routes.problems import AnyRequest
from vault_server.vault import Vault, VaultSession

JSON = "application/json"
BYTES = "application/octet-stream"
QUERY_HEADER = "coffre-query"

T = TypeVar("T", bound=msgspec.Struct)


class Gate:
    """The way in."""

    def __init__(self, vault: Vault) -> None:
        limits = vault.settings.limits
        self._vault = vault
        self._addresses = Buckets(limits.address, vault.clock)
        self._light = Budget(limits.message_bytes, limits.body_seconds)
        self._heavy = Budget(limits.heavy_bytes, limits.body_seconds)
        self._seconds = limits.body_seconds
        self._heavy_seconds = limits.heavy_body_seconds

    async def enter(self, request: AnyRequest, *, session: bool) -> VaultSession:
        """Who asks. Raises TooMany, or Unauthenticated where a session is needed and there is none."""
        party = address_class(request.client.host if request.client else "")
        self._addresses.take(party)
        token = request.headers.get("authorization", "")
        if not session:
            return self._vault.for_session(None, party)
        scheme, _, word = token.partition(" ")
        if scheme != "Bearer" or not word:
            raise Unauthenticated("This needs a session. Nothing was done. Log in first.")
        return self._vault.for_session(await self._vault.sessions.authenticate(word), party)

    @asynccontextmanager
    async def body(self, request: AnyRequest, kind: str, limit: int) -> AsyncIterator[bytes]:
        """The body, held within the server's budget of memory for as long as it is worked on.

        Raises Malformed for another kind, or one that comes too slowly; TooLarge; TooMany.
        """
        headers = request.headers
        if "content-encoding" in headers:
            raise Malformed("A request was refused: compressed bodies are not taken.")
        if headers.get("content-type", "").partition(";")[0].strip() != kind:
            raise Malformed(f"A request was refused: its body is not {kind}.")
        declared = headers.get("content-length", "")
        length = int(declared) if declared.isascii() and declared.isdecimal() else limit
        if length > limit:
            raise TooLarge(f"A request was refused: at most {limit} bytes are read here.")
        light = length <= MAX_MESSAGE
        async with (self._light if light else self._heavy).hold(length):
            yield await _read(request, length, self._seconds if light else self._heavy_seconds)


def query_header(request: AnyRequest, kind: type[T]) -> T:
    """The query of a request whose body is bytes. Raises Malformed."""
    text = request.headers.get(QUERY_HEADER, "")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("A request was refused: its query is not base64url.") from None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise Malformed("A request was refused: its query is not in the one accepted form of base64url.")
    return decode(data, kind, limit=4096)


async def _read(request: AnyRequest, limit: int, seconds: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(f"A request was refused: at most {limit} bytes are read here.")
    except TimeoutError:
        raise Malformed("A request was refused: its body did not arrive in time.") from None
    return bytes(body)
