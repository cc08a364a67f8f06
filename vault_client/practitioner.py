"""The practitioner's SDK: reading what patients granted, each opening in the patient's log before it happens.

    async with await Practitioner.open(folder, passphrase) as practitioner:
        await practitioner.sync()
        for document in practitioner.documents():
            await practitioner.read(document, Path("received") / document.title)

``read`` follows protocol.md section 5: it signs a request, verifies the receipt that the request is in the witnessed
log, only then asks the keepers for their half, verifies the whole ciphertext, and only then releases a file.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from crypto.descriptors import MAX_LISTING, ListedDocument, document_context, listing_context, read_listing
from crypto.encoding import Body, Bytes32, Natural
from crypto.errors import CannotOpen, NotFound, NotPermitted, Refusal, TooLarge, Unavailable
from crypto.grants import Act, Listing
from crypto.padding import padded_length
from crypto.pieces import ciphertext_length, ct_root
from crypto.requests import MAX_DOCUMENTS, Purpose
from crypto.sealed import content
from crypto.sealed.recovery import Kit
from crypto.trust_root import InstanceCard
from crypto.wire.cards import IdentityCard
from vault_client.ciphertext_spool import decrypt_file
from vault_client.device_store import DeviceStore
from vault_client.opening import Opener, Wanted
from vault_client.own_identity import OwnIdentity
from vault_client.received_grants import ReceivedGrant, ReceivedGrants
from vault_client.service import Service
from vault_client.spool import opened_spool
from vault_client.transfer import Progress, fetch_ciphertext

TREATMENT = Purpose(code="TREAT", role="", organisation="", name="", reason="")


class GrantedDocument(Body, frozen=True):
    """A document that was granted, as its listing calls it. ``listed``: when the listing was opened here."""

    vault: Bytes32
    gid: Bytes32
    document: ListedDocument
    listed: Natural


class Practitioner:
    """A practitioner's access on this device. Made by ``enrol`` or ``open``; an async context manager."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, folder: Path) -> None:
        """Use ``enrol`` or ``open``."""
        self.service = service
        self.own = own
        self.grants = ReceivedGrants(store, service, own)
        self._store = store
        self._opener = Opener(service, own)
        self._spool = opened_spool(folder)
        self._open = AsyncExitStack()

    @classmethod
    async def enrol(
        cls,
        folder: Path,
        passphrase: str,
        *,
        url: str | None = None,
        card: InstanceCard | None = None,
        keep_kit: Callable[[Kit], None],
    ) -> Self:
        """Make an identity on the server at ``card`` or ``url``. A registrar still has to certify it."""
        store = DeviceStore.create(folder, passphrase)
        return await cls.begin(store, folder, url=url, card=card, keep_kit=keep_kit)

    @classmethod
    async def begin(
        cls,
        store: DeviceStore,
        folder: Path,
        *,
        url: str | None = None,
        card: InstanceCard | None = None,
        keep_kit: Callable[[Kit], None],
    ) -> Self:
        """``enrol`` with a profile store that is already open and empty. Takes the store over."""
        async with AsyncExitStack() as stack:
            stack.callback(store.close)
            service = await stack.enter_async_context(await Service.connect(store, url=url, card=card))
            own = await OwnIdentity.enrol(store, service, "practitioner", keep_kit)
            return cls._opened(store, service, own, folder, stack)

    @classmethod
    async def open(cls, folder: Path, passphrase: str) -> Self:
        """The practitioner of the profile in ``folder``."""
        return await cls.resume(DeviceStore.open(folder, passphrase), folder)

    @classmethod
    async def resume(cls, store: DeviceStore, folder: Path) -> Self:
        """The practitioner of a profile whose store is already open. Takes the store over."""
        async with AsyncExitStack() as stack:
            stack.callback(store.close)
            own = OwnIdentity.load(store, "practitioner")
            service = await stack.enter_async_context(await Service.connect(store))
            service.use_account(own.account(service))
            return cls._opened(store, service, own, folder, stack)

    @classmethod
    def _opened(
        cls, store: DeviceStore, service: Service, own: OwnIdentity, folder: Path, stack: AsyncExitStack
    ) -> Self:
        practitioner = cls(store, service, own, folder)
        practitioner._open = stack.pop_all()
        return practitioner

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the profile and the connection."""
        await self._open.aclose()

    async def card(self) -> IdentityCard:
        """What to show to a registrar or a patient, with what was added to one's chain since."""
        await self.own.refresh(self.service, self._store)
        return self.own.card(self.service)

    async def sync(self) -> list[str]:
        """Take in certificates and grants. Returns why deliveries were refused, if any were."""
        await self.own.refresh(self.service, self._store)
        return await self.grants.take_in()

    async def listing(self, *, purpose: Purpose = TREATMENT) -> list[GrantedDocument]:
        """What was granted. New listings are opened first, which the patient sees as ``list``.

        Raises the first refusal once every list was tried: ``documents`` then has what the others say. A grant that
        answered with nothing is over or withheld; it is left out from then on, until it is heard of again.
        """
        refusals: list[Refusal] = []
        for grant in list(self.grants.all()):
            if grant.listings and not grant.said_ended:
                try:
                    await self._open_listings(grant, purpose)
                except Refusal as refusal:  # one patient's list must not close those of all others
                    refusals.append(refusal)
        if refusals:
            raise refusals[0]
        return self.documents()

    def documents(self) -> list[GrantedDocument]:
        """What the listings opened so far on this device say, without asking anyone."""
        return [
            document
            for grant in self.grants.all()
            if not grant.said_ended
            for _, document in self._store.scan(f"listed-{grant.gid.hex()}", GrantedDocument)
        ]

    async def read(
        self,
        document: GrantedDocument,
        destination: Path,
        *,
        act: Act = "release",
        purpose: Purpose = TREATMENT,
        progress: Progress | None = None,
    ) -> None:
        """Open a document into ``destination``. It is in the patient's log before a byte of it is answered.

        Raises Unavailable, before anything is asked, when ``destination`` has no folder to be written in.
        """
        _check_folder(destination.parent)
        listed = document.document
        grant, row = self.grants.get(document.gid), self.grants.row(document.gid, listed.doc)
        if row.ver != listed.ver:
            raise NotPermitted(
                "The list is older than the grant. Nothing was opened. Ask for the list again."
            )
        wanted = Wanted(doc=row.doc, ver=row.ver, ct_root=row.ct_root, wrap=row.wrap)
        logged = await self._opener.request(grant, [wanted], act, purpose)
        spool = self._spool / secrets.token_hex(16)
        length = ciphertext_length(padded_length(listed.length))
        fetching = asyncio.create_task(
            fetch_ciphertext(
                self.service.api,
                spool,
                ver=row.ver,
                length=length,
                request=logged.digest,
                progress=progress,
            )
        )
        try:
            (key,), _ = await asyncio.gather(self._opener.release(logged), fetching)
            await asyncio.to_thread(
                decrypt_file,
                spool,
                destination,
                key=key,
                context=document_context(document.vault, row.doc, row.ver),
                ct_root=row.ct_root,
                length=listed.length,
                progress=progress,
            )
        finally:
            # A refusal by the keepers must end the download too, before its file is removed.
            fetching.cancel()
            await asyncio.wait([fetching])
            spool.unlink(missing_ok=True)

    async def _open_listings(self, grant: ReceivedGrant, purpose: Purpose) -> None:
        pending = grant.listings[:MAX_DOCUMENTS]
        wanted = [
            Wanted(doc=entry.doc, ver=entry.ver, ct_root=entry.ct_root, wrap=entry.wrap) for entry in pending
        ]
        try:
            logged = await self._opener.request(grant, wanted, "list", purpose)
        except NotFound:
            self.grants.keep(msgspec.structs.replace(grant, said_ended=True))
            raise
        keys = await self._opener.release(logged)
        now, event = self.service.now(), grant.state.event
        opened: list[ListedDocument] = []
        for entry, key in zip(pending, keys, strict=True):
            ciphertext = await self._listing(logged.digest, entry)
            context = listing_context(event.vault, event.gid, entry.doc, entry.ver)
            opened += read_listing(content.open(key, context, ciphertext)).documents
        for document in opened:
            if self.grants.row(event.gid, document.doc).ver != document.ver:
                raise NotPermitted("A list names another version than was granted. It was not believed.")
        with self._store.transaction():
            for document in opened:
                listed = GrantedDocument(vault=event.vault, gid=event.gid, document=document, listed=now)
                self._store.put(f"listed-{event.gid.hex()}/{document.doc.hex()}", listed)
            self.grants.keep(msgspec.structs.replace(grant, listings=grant.listings[MAX_DOCUMENTS:]))

    async def _listing(self, digest: bytes, entry: Listing) -> bytes:
        if entry.length > 2 * MAX_LISTING:
            raise TooLarge("A list is larger than any list may be. It was not opened.")
        spool = self._spool / secrets.token_hex(16)
        try:
            await fetch_ciphertext(
                self.service.api, spool, ver=entry.ver, length=entry.length, request=digest
            )
            ciphertext = await asyncio.to_thread(spool.read_bytes)
        finally:
            spool.unlink(missing_ok=True)
        if ct_root(ciphertext) != entry.ct_root:
            raise CannotOpen("A list")
        return ciphertext


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Unavailable(
            f"The folder {folder} does not exist. Nothing was opened. Make it, or name another."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"The folder {folder} cannot be written in. Nothing was opened. Name another.")
