"""The practitioner's SDK: reading what patients granted, each opening in the patient's log before it happens.

    async with await Practitioner.open(folder, passphrase) as practitioner:
        await practitioner.sync()
        for each in await practitioner.listing():
            await practitioner.read(each, Path("received") / each.document.doc.hex())

``read`` follows protocol.md section 5: it signs a request, verifies the receipt that the request is in the witnessed
log, only then asks the keepers for their half, verifies the whole ciphertext, and only then releases a file.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Self, Unpack

import msgspec

from crypto.descriptors import MAX_LISTING, ListedDocument, listing_context, read_listing
from crypto.errors import (
    CannotOpen,
    CoffreError,
    NotFound,
    NotPermitted,
    Refusal,
    TooLarge,
    Unavailable,
    Unreachable,
)
from crypto.grants import Act, Listing
from crypto.pieces import ct_root
from crypto.requests import MAX_DOCUMENTS, Purpose
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import check_person
from crypto.wire.cards import IdentityCard
from crypto.wire.messages import CiphertextQuery
from vault_client.device_store import DeviceStore
from vault_client.fetched_ahead import FetchedAhead, Removed
from vault_client.granted_document import GrantedDocument
from vault_client.granted_lists import GrantedList, granted_list
from vault_client.identity_history import IdentityHistory
from vault_client.open_profile import Enrolment, OpenProfile, Restoration
from vault_client.opening import LoggedRequest, Opener, Wanted
from vault_client.private_part import check_folder
from vault_client.progress import Progress
from vault_client.reading import KeptBack, Opening, Reading, Use, write
from vault_client.received_grants import ReceivedGrant, ReceivedGrants
from vault_client.reopenings import Reopenings
from vault_client.spool import fresh_spool, opened_spool
from vault_client.transfer import Download
from vault_client.unfinished_readings import UnfinishedReadings

TREATMENT = Purpose(code="TREAT", role="", organisation="", name="", reason="")

# What people read
NO_REOPENING = (
    "The patient's grant does not allow opening again, and that is what fetching ahead is for. Nothing was fetched. Read "
    "it instead."
)
NOT_LISTED = "The list was not opened. The patient's log shows that it was asked for, and will show it again next time."


class Practitioner(AbstractAsyncContextManager["Practitioner", None]):
    """A practitioner's access on this device. Made by ``enrol`` or ``open``; an async context manager."""

    def __init__(self, profile: OpenProfile, folder: Path) -> None:
        """Use ``enrol`` or ``open``."""
        self.service = profile.service
        self.own = profile.own
        self.passkeys = profile.passkeys
        self.grants = ReceivedGrants(profile.store, profile.service, profile.own)
        self._store = profile.store
        self._opener = Opener(profile.service, profile.own)
        self._set_aside: dict[bytes, Refusal] = {}
        self._spool = opened_spool(folder)
        unfinished = UnfinishedReadings(profile.store)
        self._reading = Reading(
            profile.service, self.grants, self._opener, self._released, unfinished, self._spool
        )
        self._kept = FetchedAhead(profile.store, self.grants, folder)
        self._reopenings = Reopenings(profile.store, profile.service, self.grants, self._opener, unfinished)
        self.removed: list[Removed] = []
        """What was fetched ahead and is removed, since the profile was opened."""
        self._check_kept()
        self._profile = profile.handed_over()

    @classmethod
    async def enrol(cls, folder: Path, passphrase: str, **how: Unpack[Enrolment]) -> Self:
        """Make an identity on the server at ``card`` or ``url``. A registrar still has to certify it.

        ``keep_kit`` receives the recovery kit before anything is published: it exists nowhere else.
        """
        return await cls.begin(DeviceStore.create(folder, passphrase), folder, **how)

    @classmethod
    async def begin(cls, store: DeviceStore, folder: Path, **how: Unpack[Enrolment]) -> Self:
        """``enrol`` with a profile store that is already open and empty. Takes the store over."""
        async with await OpenProfile.enrol(store, "practitioner", how) as profile:
            return cls(profile, folder)

    @classmethod
    async def restore(cls, store: DeviceStore, folder: Path, **how: Unpack[Restoration]) -> Self:
        """Get one's identity back with the kit. Takes the store over. All other devices are removed by it."""
        async with await OpenProfile.restore(store, "practitioner", how) as profile:
            return cls(profile, folder)

    @classmethod
    async def open(cls, folder: Path, passphrase: str) -> Self:
        """The practitioner of the profile in ``folder``."""
        return await cls.resume(DeviceStore.open(folder, passphrase), folder)

    @classmethod
    async def resume(cls, store: DeviceStore, folder: Path) -> Self:
        """The practitioner of a profile whose store is already open. Takes the store over."""
        async with await OpenProfile.resume(store, "practitioner") as profile:
            return cls(profile, folder)

    async def close(self) -> None:
        """Close the connections and the profile."""
        await self._profile.close()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def card(self) -> IdentityCard:
        """What to show to a registrar or a patient, with what was added to one's chain since."""
        await self.own.refresh(self.service, self._store)
        return self.own.card(self.service)

    async def identity_history(self) -> IdentityHistory:
        """Which devices came and went, and when the kit was used, as the directory shows it now."""
        await self.own.refresh(self.service, self._store)
        return self.own.history(self.service)

    async def sync(self) -> list[str]:
        """Take in certificates and grants. Returns why deliveries were refused, if any were.

        What was fetched ahead and ended since is removed (``removed``), and what was reopened without a network is
        declared. A passkey that the server forgot is made anew.
        """
        await self.own.refresh(self.service, self._store)
        await self.passkeys.ensure_if_possible()
        refused = await self.grants.take_in()
        self._check_kept()
        for document in await self._reopenings.declare():
            self.removed += self._kept.remove(document)
        return refused

    async def listing(self, *, purpose: Purpose = TREATMENT) -> list[GrantedDocument]:
        """What was granted. New listings are opened first, which the patient sees as ``list``.

        A grant whose list is refused is set aside (``set_aside``), whoever caused that: it must not close those of all
        others. It is asked for again each time.
        """
        self._set_aside.clear()
        for grant in list(self.grants.all()):
            if grant.listings and not grant.said_ended:
                try:
                    await self._open_listings(grant, purpose)
                except Refusal as refusal:
                    self._set_aside[grant.gid] = refusal
        return self.documents()

    def set_aside(self) -> dict[bytes, Refusal]:
        """Why the lists of some grants were not opened at the last ``listing``, by grant.

        NotFound: it is said to have ended, or is withheld; only the patient's log knows.
        """
        return dict(self._set_aside)

    def documents(self) -> list[GrantedDocument]:
        """What the listings opened so far on this device say, without asking anyone."""
        return [
            document
            for grant in self.grants.all()
            if not grant.said_ended
            for _, document in self._store.scan(f"listed-{grant.gid.hex()}", GrantedDocument)
        ]

    def lists(self) -> list[GrantedList]:
        """Of which date the list of each grant is, and when it was last confirmed that there is no newer one."""
        return [granted_list(self.service, each) for each in self.grants.all() if not each.said_ended]

    def left_out(self) -> list[str]:
        """The keepers whose answers did not fit, since the profile was opened: what was opened, the others opened."""
        return sorted(self.service.keeper(name).name for name in self.service.left_out)

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

        A reading that was cut off is gone on with: what came of the ciphertext is kept, and for some minutes the
        request too, so that the log has one entry for both. Raises Unavailable, before anything is asked, when
        ``destination`` has no folder to be written in.
        """
        for kept_back in await self.read_all(
            [(document, destination)], act=act, purpose=purpose, progress=progress
        ):
            raise kept_back.why

    async def read_all(
        self,
        wanted: Sequence[tuple[GrantedDocument, Path]],
        *,
        act: Act = "release",
        purpose: Purpose = TREATMENT,
        progress: Progress | None = None,
    ) -> list[KeptBack]:
        """Open documents, each into its destination, up to 256 of a grant under one request. Returns those kept back.

        One document that may not be opened refuses its whole request; one whose ciphertext is missing or spoilt is kept
        back alone. Otherwise as ``read``.
        """
        for folder in {destination.parent for _, destination in wanted}:
            check_folder(folder)
        openings = [Opening(document, _written_to(destination)) for document, destination in wanted]
        return await self._reading.open(openings, act, purpose, progress)

    async def prefetch(
        self,
        documents: Sequence[GrantedDocument],
        *,
        purpose: Purpose = TREATMENT,
        progress: Progress | None = None,
    ) -> list[KeptBack]:
        """Fetch documents ahead, to ``reopen`` them without a network. Returns those kept back, as ``read_all``.

        They are kept encrypted in the profile until the grant expires, or is known here to have ended.
        """
        self._check_kept()
        openings, kept_back = [], []
        for document in documents:
            if "reopen" in self.grants.get(document.gid).state.event.acts:
                openings.append(Opening(document, self._kept.take))
            else:
                kept_back.append(KeptBack(document, NotPermitted(NO_REOPENING), False))
        return kept_back + await self._reading.open(openings, "prefetch", purpose, progress)

    def fetched_ahead(self) -> list[GrantedDocument]:
        """What was fetched ahead and may still be opened here, without asking anyone."""
        self._check_kept()
        return [kept.document for kept in self._kept.all()]

    async def reopen(
        self,
        wanted: Sequence[tuple[GrantedDocument, Path]],
        *,
        purpose: Purpose = TREATMENT,
        progress: Progress | None = None,
    ) -> list[KeptBack]:
        """Open again what was fetched ahead, each document into its destination. Returns those kept back.

        It is declared before it is done. When the server answers, the declaration is in the patient's log first, and what
        is known by then to have ended is not opened; otherwise it waits for the next ``sync``.
        """
        for folder in {destination.parent for _, destination in wanted}:
            check_folder(folder)
        self._check_kept()
        for document, _ in wanted:
            kept = self._kept.find(document)
            if kept is not None:
                self._reopenings.note(document, kept.ct_root, purpose)
        if not self.service.is_offline:
            with suppress(Unreachable):
                await self.sync()
        kept_back = []
        for document, destination in wanted:
            try:
                await self._kept.open(document, destination, progress)
            except CoffreError as error:
                kept_back.append(KeptBack(document, error, False))
        return kept_back

    @property
    def undeclared(self) -> int:
        """How many openings of what was fetched ahead are not in their patients' logs yet."""
        return len(self._reopenings.waiting())

    def _check_kept(self) -> None:
        """Remove what was fetched ahead and may not be opened any more, as far as this device knows."""
        self.removed += self._kept.remove_ended(self.service.now())

    async def _released(self, logged: LoggedRequest) -> list[SecretBytes]:
        """The keys of ``logged``. Keepers that refuse are asked once more if one's chain has gone on, with all of it."""
        shown = self.own.profile.chain
        try:
            return await self._opener.release(logged)
        except NotFound:
            with suppress(CoffreError):
                await self.own.refresh(self.service, self._store)
            if self.own.profile.chain == shown:
                raise
        return await self._opener.release(logged)

    async def _open_listings(self, grant: ReceivedGrant, purpose: Purpose) -> None:
        pending = grant.listings[:MAX_DOCUMENTS]
        wanted = [
            Wanted(doc=entry.doc, ver=entry.ver, ct_root=entry.ct_root, wrap=entry.wrap) for entry in pending
        ]
        logged = await self._opener.request(grant, wanted, "list", purpose)
        try:
            keys = await self._released(logged)
        except Unavailable as error:
            raise type(error)(f"{error} {NOT_LISTED}") from None
        now, event = self.service.now(), grant.state.event
        opened: list[tuple[str, ListedDocument]] = []
        for entry, key in zip(pending, keys, strict=True):
            ciphertext = await self._listing(logged.digest, entry)
            context = listing_context(event.vault, event.gid, entry.doc, entry.ver)
            body = read_listing(content.open(key, context, ciphertext))
            check_person(body.person, grant.person)
            name = body.person.name if body.person is not None else ""
            opened += ((name, document) for document in body.documents)
        for _, document in opened:
            if self.grants.row(event.gid, document.doc).ver != document.ver:
                raise NotPermitted("A list names another version than was granted. It was not believed.")
        with self._store.transaction():
            for name, document in opened:
                listed = GrantedDocument(
                    vault=event.vault, gid=event.gid, person=name, document=document, listed=now
                )
                self._store.put(f"listed-{event.gid.hex()}/{document.doc.hex()}", listed)
            confirmed = now if logged.is_of_newest else grant.confirmed
            left = grant.listings[MAX_DOCUMENTS:]
            self.grants.keep(msgspec.structs.replace(grant, listings=left, confirmed=confirmed))

    async def _listing(self, digest: bytes, entry: Listing) -> bytes:
        if entry.length > 2 * MAX_LISTING:
            raise TooLarge("A list is larger than any list may be. It was not opened.")
        with fresh_spool(self._spool) as spool:
            query = CiphertextQuery(vault=None, request=digest, ver=entry.ver, start=0)
            await Download(self.service.api, spool, query, entry.length).fetch()
            ciphertext = await asyncio.to_thread(spool.read_bytes)
        if ct_root(ciphertext) != entry.ct_root:
            raise CannotOpen("A list")
        return ciphertext


def _written_to(destination: Path) -> Use:
    return lambda fetched, progress: write(fetched, destination, progress)
