"""Taking an export into a new record, which says in its founding that it goes on from the old one.

Each document is added anew, under new keys and a new id; what is masked stays masked. Which one became which is kept
as it goes, so an import that was cut off is gone on with by asking for it again. Grants are not carried over: whoever
shall read in the new record is authorised there.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from crypto.descriptors import Descriptor
from crypto.encoding import Body, Bytes16, decode
from crypto.errors import NotPermitted
from crypto.exports import ExportedGrant
from crypto.vault_links import Continues, Genesis
from vault_client.changes import AddDocument
from vault_client.device_store import DeviceStore
from vault_client.export_check import CheckedExport
from vault_client.export_files import FolderFiles
from vault_client.kept_history import keep_history
from vault_client.progress import Progress

if TYPE_CHECKING:
    from vault_client.patient import Patient, PatientDocument


class Imported(Body, frozen=True):
    """The document of this record that an exported one became."""

    doc: Bytes16


class ToImport(NamedTuple):
    """A document to be taken in: its newest version."""

    doc: bytes
    descriptor: Descriptor
    file: str
    masked: bool


# What shows the progress of one document, by its title, while a block runs.
Shown = Callable[[str], AbstractContextManager[Progress | None]]


def continuation(export: CheckedExport) -> Continues:
    """What the founding of a record that goes on from ``export`` says of it."""
    return Continues(vault=export.manifest.vault, export=export.digest)


def to_import(export: CheckedExport) -> Iterator[ToImport]:
    """The documents that can be taken in: those that are not deleted and whose newest version is as it was signed."""
    wrong = {finding.path for finding in export.findings if finding.what in ("missing", "changed")}
    for document in export.manifest.documents:
        newest = document.versions[-1]
        if document.deleted or newest.file is None or newest.descriptor is None:
            continue
        if newest.file in export.good and newest.file not in wrong:
            yield ToImport(document.doc, newest.descriptor, newest.file, document.masked)


def left_out(export: CheckedExport) -> int:
    """How many documents that were not deleted can not be taken in."""
    there = sum(not document.deleted for document in export.manifest.documents)
    return there - sum(1 for _ in to_import(export))


def grants_in_force(export: CheckedExport, now: int) -> list[ExportedGrant]:
    """The grants that were in force when the record was exported and would be at ``now``."""
    return [
        grant
        for grant in export.manifest.grants
        if not grant.ended and (grant.expiry is None or grant.expiry > now)
    ]


class Import:
    """Takes one export into the record of ``patient``."""

    def __init__(self, store: DeviceStore, patient: "Patient", export: CheckedExport) -> None:
        """Raises NotPermitted unless the record was founded to go on from ``export``, which a holder signed."""
        genesis = decode(patient.replica.local.genesis.body, Genesis)
        if not export.is_signed or genesis.continues != continuation(export):
            raise NotPermitted(
                "The record of this profile does not go on from that export. Nothing was imported. Name a new folder "
                "with --home."
            )
        self._store = store
        self._patient = patient
        self._export = export

    async def run(self, files: FolderFiles, shown: Shown) -> AsyncIterator["PatientDocument"]:
        """Add every document that is not there yet, one after the other; each is yielded once it is in the record."""
        keep_history(self._store, files, self._export.good)
        await self._patient.send_waiting()  # what an import that was cut off left waiting is there then
        await self._patient.sync()
        for wanted in to_import(self._export):
            if self._store.get(_imported(wanted.doc), Imported) is None:
                yield await self._take(wanted, files, shown)

    async def _take(self, wanted: ToImport, files: FolderFiles, shown: Shown) -> "PatientDocument":
        document = self._added_before(wanted)
        if document is None:
            with shown(wanted.descriptor.title) as progress:
                document = await self._add(wanted, files, progress)
        if wanted.masked and not document.masked:
            await self._patient.mask(document.doc)
        self._store.put(_imported(wanted.doc), Imported(doc=document.doc))
        return document

    async def _add(
        self, wanted: ToImport, files: FolderFiles, progress: Progress | None
    ) -> "PatientDocument":
        """Add ``wanted``, or go on with it where an earlier run left it waiting."""
        for queued in self._patient.waiting():
            change = queued.change
            if isinstance(change, AddDocument) and change.descriptor == wanted.descriptor:
                return await self._patient.go_on_adding(queued.id, change.doc, progress=progress)
        return await self._patient.add(files.place(wanted.file), wanted.descriptor, progress=progress)

    def _added_before(self, wanted: ToImport) -> "PatientDocument | None":
        """The document that ``wanted`` became, where that was not noted: when a cut came between, or on another device.

        It is one with the same description that nothing else became.
        """
        known = {imported.doc for _, imported in self._store.scan("imported", Imported)}
        for document in self._patient.documents():
            if document.doc not in known and document.descriptor == wanted.descriptor:
                return document
        return None


def _imported(doc: bytes) -> str:
    return f"imported/{doc.hex()}"
