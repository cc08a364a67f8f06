"""The patient's SDK: one's own record.

    async with await Patient.open(folder, passphrase) as patient:
        document = await patient.add(Path("letter.pdf"))
        grant = await patient.authorise(card, [document.doc])

Every method checks everything it is told before it believes it, and raises an error of ``crypto.errors`` otherwise.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, Unpack

from crypto.descriptors import Descriptor
from crypto.encoding import acceptable, decode
from crypto.errors import NotPermitted
from crypto.vault_links import Continues, Genesis
from vault_client.adding import Adding
from vault_client.audit import Audit
from vault_client.audit_report import AuditReport
from vault_client.change_queue import ChangeQueue
from vault_client.changes import (
    AddDocument,
    AnyChange,
    BlockIdentity,
    DeleteDocument,
    MaskDocument,
    QueuedChange,
)
from vault_client.ciphertext_replica import CiphertextReplica
from vault_client.device_store import DeviceStore
from vault_client.document_files import DocumentFiles, ReplicaFetched
from vault_client.erasing import Erasing
from vault_client.export import Export
from vault_client.export_check import CheckedExport
from vault_client.export_files import FolderFiles
from vault_client.giving_back import GivenBack, GivingBack
from vault_client.identity_history import IdentityHistory
from vault_client.importing import Import, Shown
from vault_client.kept_history import read_history
from vault_client.local_vault import (
    LocalDocument,
    LocalVault,
    ToBeFounded,
    ToBeRestored,
    newest,
)
from vault_client.open_profile import Enrolment, OpenProfile, Restoration
from vault_client.patient_grants import PatientGrants
from vault_client.private_part import check_folder
from vault_client.progress import Progress
from vault_client.sending import Outcome, Sending
from vault_client.sharing import Sharing
from vault_client.spool import opened_spool
from vault_client.vault_founding import found_vault
from vault_client.vault_replica import RESTORING, VaultReplica
from vault_client.vault_restoration import restore_vault


@dataclass(frozen=True)
class PatientDocument:
    """A document of the record, as it is shown. ``here``: it can be read without the server."""

    doc: bytes
    ver: bytes
    descriptor: Descriptor
    masked: bool
    here: bool


class Patient(PatientGrants, AbstractAsyncContextManager["Patient", None]):
    """One's own record on this device. Made by ``enrol`` or ``open``; an async context manager."""

    def __init__(self, profile: OpenProfile, folder: Path) -> None:
        """Use ``enrol`` or ``open``."""
        self.service = profile.service
        self.own = profile.own
        self.passkeys = profile.passkeys
        self.replica = VaultReplica(profile.store, profile.service, profile.own)
        self._store = profile.store
        self._queue = ChangeQueue(profile.store, profile.service.now)
        self._sharing = Sharing(profile.store, profile.service, profile.own, self.replica, self._queue)
        waiting = [queued.change for queued in self._queue.waiting()]
        kept = {change.ver.hex() for change in waiting if isinstance(change, AddDocument)}
        spool = opened_spool(folder, kept=kept)
        self.files = DocumentFiles(profile.service, self.replica, CiphertextReplica(folder), spool)
        self._adding = Adding(profile.service, self.replica, spool, self.files.copies)
        self._sending = Sending(self._queue, self.replica, self._sharing, self._adding)
        self._giving_back = GivingBack(
            profile.store, profile.service, profile.own, self.replica, self.files.copies
        )
        self.service.when_lacking(self._giving_back.when_lacking)
        self._asked: QueuedChange | None = None
        self._profile = profile.handed_over()

    @classmethod
    async def enrol(
        cls, folder: Path, passphrase: str, *, person: str = "", **how: Unpack[Enrolment]
    ) -> Self:
        """Make an identity and found a record on the server at ``card`` or ``url``.

        ``person``: who the record is about, if it shall be named; whoever is granted something will be told.
        ``keep_kit`` receives the recovery kit before anything is published: it exists nowhere else.
        """
        return await cls.begin(DeviceStore.create(folder, passphrase), folder, person=person, **how)

    @classmethod
    async def begin(
        cls,
        store: DeviceStore,
        folder: Path,
        *,
        person: str = "",
        continues: Continues | None = None,
        **how: Unpack[Enrolment],
    ) -> Self:
        """``enrol`` with a profile store that is already open and empty. Takes the store over.

        ``continues``: the export that the new record goes on from (``importing.continuation``).
        """
        founding = ToBeFounded(name=acceptable(person).strip()[:256], continues=continues)
        async with await OpenProfile.enrol(store, "patient", how, founding) as profile:
            await found_vault(store, profile.service, profile.own)
            return cls(profile, folder)

    @classmethod
    async def restore(cls, store: DeviceStore, folder: Path, **how: Unpack[Restoration]) -> Self:
        """Get one's identity and record back with the kit, or go on where that was cut short. Takes the store over.

        All other devices are removed by it. Raises NotProven when what the server shows does not hold together: then
        the record can be read here and not written.
        """
        async with await OpenProfile.restore(store, "patient", how) as profile:
            without_lost = how.get("without_lost", False)
            await restore_vault(store, profile.service, profile.own, how["kit"], without_lost=without_lost)
            return cls(profile, folder)

    @classmethod
    async def open(cls, folder: Path, passphrase: str) -> Self:
        """The record of the profile in ``folder``."""
        return await cls.resume(DeviceStore.open(folder, passphrase), folder)

    @classmethod
    async def resume(cls, store: DeviceStore, folder: Path) -> Self:
        """The record of a profile whose store is already open. Takes the store over."""
        async with await OpenProfile.resume(store, "patient") as profile:
            if store.get("vault", LocalVault) is None:
                if store.get("restoring", ToBeRestored) is not None:
                    raise NotPermitted(RESTORING)
                # The enrolment was cut off after the identity was made.
                await found_vault(store, profile.service, profile.own)
            return cls(profile, folder)

    async def close(self) -> None:
        """Close the connections and the profile."""
        await self._profile.close()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def vault(self) -> bytes:
        """The id of the record."""
        return self.replica.vault

    async def sync(self) -> int:
        """Take in what other devices have changed. Returns how many changes there were.

        Copies of documents that are no longer in the record are removed. A passkey that the server forgot is made anew.
        Grants for which that is due are keyed anew: ``renewal`` says which, and which could not be. What the service went
        back behind, by its own word, and this device has is given back first (``given_back``).
        """
        await self._give_back()
        taken = await self.replica.sync()
        await self.passkeys.ensure_if_possible()
        self.files.drop_unwanted()
        if not self.is_restoring:
            self.renewal = await self._sharing.changes.renew()
        return taken

    @property
    def given_back(self) -> GivenBack | None:
        """What became of what the service declared to have lost, if there was something to be done since this was opened."""
        return self._giving_back.outcome

    async def _give_back(self) -> None:
        if not self.is_restoring:
            await self._giving_back.run()

    # What waits to be in the record

    def waiting(self) -> list[QueuedChange]:
        """The changes that are kept on this device and not known to be in the record, in the order they will be made."""
        return self._queue.waiting()

    @property
    def asked(self) -> QueuedChange | None:
        """The change that was asked for last since the record was opened, if it waits."""
        return self._asked if self._asked is not None and self._queue.has(self._asked.id) else None

    def is_sent(self, queued: QueuedChange) -> bool:
        """Whether a change that waits was sent and not answered: it may be in the record."""
        return self._sending.is_sent(queued.change)

    async def send_waiting(self, *, progress: Progress | None = None) -> None:
        """Go on with every change that waits, as far as that is possible now. ``outcome`` says what came of it.

        Copies of documents that are no longer in the record are removed.
        """
        await self._sending.send_waiting(progress)
        self.files.drop_unwanted()

    @property
    def outcome(self) -> Outcome:
        """What came of the changes that waited, since the record was opened."""
        return self._sending.outcome

    def take_back(self, identifier: bytes) -> QueuedChange:
        """Make a change that waits no more. Raises NotPermitted for an end, and for what may be in the record."""
        queued = self._queue.get(identifier)
        self._sending.take_back(queued)
        return queued

    async def _make(self, change: AnyChange) -> None:
        """Keep ``change`` on this device, then carry it out. When nobody answers it goes on waiting."""
        await self._carry_out(self._queue.note(change))

    async def _carry_out(self, queued: QueuedChange, progress: Progress | None = None) -> None:
        self._asked = queued
        await self._sending.send_now(queued, progress)

    # Who one is

    async def identity_history(self) -> IdentityHistory:
        """Which devices came and went, and when the kit was used, as the directory shows it now."""
        await self.own.refresh(self.service, self._store)
        return self.own.history(self.service)

    @property
    def is_restoring(self) -> bool:
        """Whether the record is being restored: it can be read, and not written."""
        return self.replica.is_restoring()

    # Documents

    async def add(
        self, source: Path, descriptor: Descriptor | None = None, *, progress: Progress | None = None
    ) -> PatientDocument:
        """Encrypt ``source`` (at most 2 GiB) here, send it, and add it to the record.

        Once it is encrypted it waits on this device until it is in the record: what was sent is not sent again.
        """
        change = await self._adding.prepare(source, descriptor, progress)
        try:
            queued = self._queue.note(change)
        except BaseException:
            self._adding.discard(change)
            raise
        return await self.go_on_adding(queued.id, change.doc, progress=progress)

    async def go_on_adding(
        self, identifier: bytes, doc: bytes, *, progress: Progress | None = None
    ) -> PatientDocument:
        """Add ``doc``, which waits as this change, after what has waited longer. Raises what stands in the way."""
        await self._carry_out(self._queue.get(identifier), progress)
        return self._shown(self.replica.document(doc))

    def documents(self) -> list[PatientDocument]:
        """The documents of the record, in no particular order."""
        return [self._shown(document) for document in self.replica.documents()]

    async def get(
        self, doc: bytes, destination: Path, *, progress: Progress | None = None
    ) -> PatientDocument:
        """Verify the whole of a document, from its copy here or from the server, and write it to ``destination``.

        A download that was cut off is gone on with. Raises Unavailable, before anything is fetched, when
        ``destination`` has no folder to be written in; otherwise as ``DocumentFiles.write``.
        """
        check_folder(destination.parent)
        document = self.replica.document(doc)
        await self.files.write(document, destination, progress)
        return self._shown(document)

    async def fetch_replica(self, *, progress: Progress | None = None) -> ReplicaFetched:
        """Fetch what is not on this device yet, so that everything can be read offline. See ``DocumentFiles``."""
        return await self.files.fetch_all(progress)

    async def mask(self, doc: bytes, *, masked: bool = True) -> None:
        """Leave a document out of every grant, or take it in again."""
        self.replica.document(doc)
        await self._make(MaskDocument(doc=doc, masked=masked))

    async def delete(self, doc: bytes) -> None:
        """Delete a document for ever, and the copy of it that is here."""
        version = newest(self.replica.document(doc).document)
        await self._make(DeleteDocument(doc=doc))
        self.files.copies.drop(version.ver)

    # Whom nothing may be granted: what may be opened by whom is in ``patient_grants``

    async def block(self, identity: bytes, *, blocked: bool = True) -> None:
        """Grant nothing more to someone, or allow it again. Grants in force are ended one by one with ``revoke``."""
        await self._make(BlockIdentity(identity=identity, blocked=blocked))

    # Taking it elsewhere

    async def export(self, destination: Path, *, progress: Progress | None = None) -> CheckedExport:
        """Write the whole record into the new folder ``destination``, in the clear. See ``Export.write``."""
        writing = Export(self._store, self.service, self.own, self.replica, self.files)
        return await writing.write(destination, progress)

    def take_in(
        self, export: CheckedExport, files: FolderFiles, shown: Shown
    ) -> AsyncIterator[PatientDocument]:
        """Add the documents of ``export``, which this record goes on from. See ``Import``."""
        return Import(self._store, self, export).run(files, shown)

    def history(self, files: FolderFiles | None = None) -> CheckedExport | None:
        """The record that this one goes on from, checked anew; None when it goes on from none.

        ``files``: its export, which is kept first where this device has none. See ``read_history``.
        """
        continues = decode(self.replica.local.genesis.body, Genesis).continues
        return read_history(self._store, continues.export, files) if continues is not None else None

    # The log

    async def log(self) -> AuditReport:
        """Scan the log for what is new in this record, check every entry, and report all of them."""
        await self._give_back()
        return await self._audit().run()

    def last_log(self) -> AuditReport | None:
        """What the last ``log`` reported, dated as it was, without asking anyone. None before the first."""
        return self._audit().last()

    @property
    def erasing(self) -> Erasing:
        """Has the traces of readings destroyed. Look at ``log`` first: what it reports is what can be erased."""
        return Erasing(self._store, self.service, self.own, self.replica)

    def _audit(self) -> Audit:
        return Audit(self._store, self.service, self.own, self.replica)

    def _shown(self, document: LocalDocument) -> PatientDocument:
        state = document.document
        return PatientDocument(
            doc=state.doc,
            ver=newest(state).ver,
            descriptor=document.descriptor,
            masked=state.masked,
            here=self.files.is_here(document),
        )
