"""What every request passes before any work: an allowance, a session, a body of the right kind, size and speed."""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from crypto.encoding import decode
from crypto.errors import Malformed, Unauthenticated
from crypto.wire.messages import MAX_LINK_MESSAGE, MAX_MESSAGE, MAX_SUBMISSION
from vault_server.http_exchange import AnyRequest, check_kind, length_of, read_body, sender
from vault_server.limits import Buckets, Budget
from vault_server.vault import Vault, VaultSession

QUERY_HEADER = "coffre-query"
# The transport holds as much of every connection; a body of this size takes no room from others.
SMALL = 1 << 16

T = TypeVar("T", bound=msgspec.Struct)


class Gate:
    """The way in."""

    def __init__(self, vault: Vault) -> None:
        limits = vault.settings.limits
        self._vault = vault
        self._addresses = Buckets(limits.address, vault.clock)
        self._light = Budget(limits.message_bytes, MAX_MESSAGE, limits.body_seconds)
        # Anyone may publish a link: what strangers send slowly takes no room from uploads.
        self._links = Budget(limits.link_bytes, MAX_LINK_MESSAGE, limits.body_seconds)
        self._heavy = Budget(limits.heavy_bytes, MAX_SUBMISSION, limits.body_seconds)
        self._seconds = limits.body_seconds
        self._heavy_seconds = limits.heavy_body_seconds

    async def enter(self, request: AnyRequest, *, session: bool, counts: bool = False) -> VaultSession:
        """Who asks. Raises TooMany, or Unauthenticated where a session is needed and there is none.

        ``counts``: none is needed, but one that is shown must be in force.
        """
        address = sender(request)
        self._addresses.take(address)
        token = request.headers.get("authorization", "")
        if not session and not (counts and token):
            return self._vault.for_session(None, address)
        scheme, _, word = token.partition(" ")
        if scheme != "Bearer" or not word:
            raise Unauthenticated("This needs a session. Nothing was done. Log in first.")
        return self._vault.for_session(await self._vault.sessions.authenticate(word), address)

    @asynccontextmanager
    async def body(
        self, request: AnyRequest, session: VaultSession, kind: str, limit: int
    ) -> AsyncIterator[bytes]:
        """The body, within what its sender may have in the server's memory, for as long as it is worked on.

        Raises Malformed for another kind, or one that comes too slowly; TooLarge; TooMany.
        """
        check_kind(request, kind)
        length = length_of(request, limit)
        if length <= SMALL:
            yield await read_body(request, length, self._seconds)
            return
        if length <= MAX_MESSAGE:
            budget, seconds = self._light, self._seconds
        elif limit == MAX_LINK_MESSAGE:
            budget, seconds = self._links, self._heavy_seconds
        else:
            budget, seconds = self._heavy, self._heavy_seconds
        with budget.body(session.party) as room:
            yield await read_body(request, length, seconds, room)


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
