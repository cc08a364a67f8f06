"""``VaultApi`` over HTTP: the same operations, each one request (``http_session``)."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

from crypto.encoding import encode
from crypto.identity_links import Chain
from crypto.wire import losses as lost
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from crypto.wire.notices import EVENT, LASTS, MAX_STREAM, read_notice
from crypto.wire.vault_api import PREFIX
from vault_client.http_session import HttpSession

_MAX_TILE = 1 << 16


class HttpVault(HttpSession):
    """A vault server at a URL: the operations of ``VaultApi``, those of a session apart (``HttpSession``)."""

    async def version(self, query: m.Empty) -> m.Version:
        """Name, version and suite."""
        return await self._ask("version", query, m.Version)

    async def trust_roots(self, query: m.TrustRootQuery) -> m.TrustRootChain:
        """The chain of trust roots."""
        return await self._ask("trust_roots", query, m.TrustRootChain)

    async def log_beginning(self, query: m.LogQuery) -> m.LogBeginning:
        """From which entry on a log's entries are there."""
        return await self._ask("log_beginning", query, m.LogBeginning)

    async def publish_link(self, query: m.PublishLink) -> m.Logged:
        """Append a link to an identity chain."""
        return await self._ask("publish_link", query, m.Logged)

    async def identity_chain(self, query: m.IdentityQuery) -> Chain:
        """An identity's chain."""
        return await self._ask("identity_chain", query, Chain)

    async def parts(self, query: m.PartQuery) -> m.PartAnswer:
        """Erasable parts."""
        return await self._ask("parts", query, m.PartAnswer)

    async def reserve(self, query: m.Empty) -> m.Reservation:
        """A place in a log."""
        return await self._ask("reserve", query, m.Reservation)

    async def create_vault(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Found a vault."""
        return await self._ask("create_vault", query, m.LinkAccepted)

    async def append_link(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Append a link."""
        return await self._ask("append_link", query, m.LinkAccepted)

    async def held_vaults(self, query: m.Empty) -> m.HeldVaults:
        """The vaults one holds."""
        return await self._ask("held_vaults", query, m.HeldVaults)

    async def grant_event(self, query: m.GrantEventQuery) -> m.StoredEvent:
        """An event of a grant of one's vault."""
        return await self._ask("grant_event", query, m.StoredEvent)

    async def links(self, query: m.LinkQuery) -> m.Links:
        """A vault's links."""
        return await self._ask("links", query, m.Links)

    async def openings(self, query: m.OpeningQuery) -> m.Openings:
        """A vault's sealed openings."""
        return await self._ask("openings", query, m.Openings)

    async def log_losses(self, query: m.LogQuery) -> lost.LogLosses:
        """See ``VaultApi``."""
        return await self._ask("log_losses", query, lost.LogLosses)

    async def show_identity_link(self, query: lost.ShownIdentityLink) -> m.Logged:
        """See ``VaultApi``."""
        return await self._ask("show_identity_link", query, m.Logged)

    async def lost_entries(self, query: lost.VaultQuery) -> lost.LostEntries:
        """See ``VaultApi``."""
        return await self._ask("lost_entries", query, lost.LostEntries)

    async def show_link(self, query: lost.ShownLink) -> m.LinkAccepted:
        """See ``VaultApi``."""
        return await self._ask("show_link", query, m.LinkAccepted)

    async def show_openings(self, query: lost.ShownOpenings) -> m.Empty:
        """See ``VaultApi``."""
        return await self._ask("show_openings", query, m.Empty)

    async def give_up_entries(self, query: lost.GiveUp) -> m.Empty:
        """See ``VaultApi``."""
        return await self._ask("give_up_entries", query, m.Empty)

    async def erase(self, query: m.EraseRequest) -> m.Logged:
        """Have openings destroyed."""
        return await self._ask("erase", query, m.Logged)

    async def upload_status(self, query: m.UploadQuery) -> m.UploadStatus:
        """Which parts have arrived."""
        return await self._ask("upload_status", query, m.UploadStatus)

    async def mailbox(self, query: m.MailboxQuery) -> m.Mailbox:
        """What was delivered."""
        return await self._ask("mailbox", query, m.Mailbox)

    async def open(self, query: m.OpenRequest) -> m.OpenAnswer:
        """Log a request and answer it."""
        return await self._ask("open", query, m.OpenAnswer)

    async def put_part(self, query: m.PartUpload, data: bytes) -> None:
        """Store one part."""
        text = base64.urlsafe_b64encode(encode(query)).decode().rstrip("=")

        async def put(_: bool) -> None:
            headers = {"Content-Type": "application/octet-stream", "Coffre-Query": text}
            headers |= await self._authorization()
            await self._call("PUT", f"{PREFIX}/part", body=data, headers=headers, limit=m.MAX_MESSAGE)

        await self._in_session(put)

    async def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on."""
        async for chunk in self._stream("ciphertext", query, limit=m.MAX_CIPHERTEXT):
            yield chunk

    async def notices(self, query: m.Empty) -> AsyncGenerator[bool, None]:
        """Whether there is something to fetch. Raises Malformed for what is no notice, TooLarge for too many."""
        come = bytearray()
        async with aclosing(self._stream("notices", query, limit=MAX_STREAM, lasts=LASTS)) as chunks:
            async for chunk in chunks:
                come += chunk
                while len(come) >= EVENT:
                    yield read_notice(bytes(come[:EVENT]))
                    del come[:EVENT]

    async def begin_passkey(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to register a passkey."""
        return await self._ask("begin_passkey", query, p.PasskeyChallenge)

    async def finish_passkey(self, query: p.NewPasskey) -> m.Empty:
        """Register it."""
        return await self._ask("finish_passkey", query, m.Empty)

    async def passkeys(self, query: m.Empty) -> p.Passkeys:
        """The account's passkeys."""
        return await self._ask("passkeys", query, p.Passkeys)

    async def remove_passkey(self, query: p.PasskeyQuery) -> m.Empty:
        """Remove a passkey."""
        return await self._ask("remove_passkey", query, m.Empty)

    async def set_each_session(self, query: p.EachSession) -> m.Empty:
        """Have each session need a passkey, or no longer."""
        return await self._ask("set_each_session", query, m.Empty)

    async def checkpoint(self, origin: str) -> bytes:
        """A log's newest cosigned checkpoint."""
        return await self._call("GET", f"{_path(origin)}/checkpoint", limit=_MAX_TILE)

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle."""
        return await self._call("GET", f"{_path(origin)}/{path}", limit=_MAX_TILE)


def _path(origin: str) -> str:
    """The path of a log on its server: its origin without the host."""
    return urlsplit(f"//{origin}").path
