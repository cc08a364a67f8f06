"""Writing an export: the whole record as a folder that can be checked, and taken in elsewhere, without this server.

What there is to export is fixed first: the log is audited, and the chain as the audit left it is what is exported.
A document that the server does not give, or gives otherwise than it was signed, is left out by name; anything else
that is missing refuses the whole. The folder gets its name only when everything in it is on disk and was checked.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto import exports, labels, trust_root_chain
from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.encoding import Body, encode
from crypto.errors import Conflict, NotProven, Refusal, TooMany
from crypto.exports import (
    ExportedAlarm,
    ExportedDocument,
    ExportedFile,
    ExportedGrant,
    ExportManifest,
    ExportSignatures,
)
from crypto.requests import read_request
from crypto.signing import Envelope, sign
from crypto.statements import View
from crypto.vault_chain import GrantEntry
from crypto.wire.messages import IdentityQuery, ShownChain, TrustRootQuery
from vault_client import trust
from vault_client.audit import Audit
from vault_client.audit_report import AuditReport
from vault_client.device_store import DeviceStore
from vault_client.document_files import DocumentFiles
from vault_client.export_check import CheckedExport, check_export
from vault_client.export_documents import ExportDocuments
from vault_client.export_entries import ExportEntries
from vault_client.export_files import FOLDERS, FolderFiles, measured
from vault_client.local_vault import AuditPlace
from vault_client.own_identity import OwnIdentity
from vault_client.part_folder import check_free, part_folder
from vault_client.private_part import private_part
from vault_client.progress import Progress
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica

_TRIES = 3


@dataclass
class _Moment:
    """What is exported: the log as it was checked, under a head that others can check too."""

    report: AuditReport
    checkpoint: Checkpoint
    note: bytes
    view: View


class Export:
    """Exports the record of one profile."""

    def __init__(
        self,
        store: DeviceStore,
        service: Service,
        own: OwnIdentity,
        replica: VaultReplica,
        files: DocumentFiles,
    ) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica
        self._files = files

    async def write(self, destination: Path, progress: Progress | None) -> CheckedExport:
        """Make the folder ``destination``, which is not there yet or empty. Returns what checking it found.

        A finding is a document that could not be had, or what the log's alarms are about. Raises Conflict when there is
        something at ``destination``, Unavailable when the server or the disk fails; then there is no export.
        """
        check_free(destination)
        moment = await self._moment()
        with part_folder(destination) as part:
            for name in FOLDERS:
                (part / name).mkdir(mode=0o700)
            await self._write_trust_roots(part / exports.TRUST_ROOTS)
            self._write_chain(part / exports.CHAIN)
            count, readers = await self._write_entries(part / exports.ENTRIES, moment)
            _write(part / exports.CHECKPOINT, moment.note)
            own = await self._write_identities(part / exports.IDENTITIES, readers, moment)
            documents = await self._write_documents(part, progress)
            _write(part / exports.KEYS, encode(self._replica.local.keyring))
            files = await asyncio.to_thread(_measured, FolderFiles(part))
            manifest = self._manifest(moment, documents, files, count, own)
            envelope = sign(labels.EXPORT, manifest, self._own.device)
            _write(part / exports.MANIFEST, envelope.body)
            _write(part / exports.SIGNATURES, encode(ExportSignatures(signatures=envelope.signatures)))
            return await asyncio.to_thread(check_export, FolderFiles(part), contents=False)

    async def _moment(self) -> _Moment:
        for _ in range(_TRIES):
            report = await Audit(self._store, self._service, self._own, self._replica).run()
            place = self._store.get("audit", AuditPlace)
            # A change that another device has just made may not be under a cosigned head yet.
            if place is not None and (place.next_link > self._replica.local.head.n or report.alarms):
                break
        else:
            raise Conflict(
                "Another device is writing to this record. Nothing was exported. Try again in a moment."
            )
        origin, root = self._replica.origin, self._service.root
        _, note = await self._service.witnessed(origin)
        await self._own.refresh(self._service, self._store)
        self._service.forget_directory()
        view = await self._service.view(origin)
        return _Moment(report, open_checkpoint(note, root.log_key_of(origin)), note, view)

    async def _write_trust_roots(self, path: Path) -> None:
        accepted = self._service.accepted
        chain = (await self._service.api.trust_roots(TrustRootQuery(since=0))).chain[: accepted.ref.version]
        if (
            not chain
            or trust_root_chain.advance(trust_root_chain.first(chain[0], card=None), chain[1:]) != accepted
        ):
            raise NotProven(
                "The service shows other trust roots than those it was believed by. Nothing was exported."
            )
        with _lines(path) as line:
            for envelope in chain:
                line(envelope)

    def _write_chain(self, path: Path) -> None:
        with _lines(path) as line:
            for n in range(self._replica.local.head.n + 1):
                envelope = self._store.get(f"link/{n}", Envelope)
                if envelope is None:
                    raise NotProven(f"This device lacks change {n} of the record. Nothing was exported.")
                line(envelope)

    async def _write_entries(self, path: Path, moment: _Moment) -> tuple[int, set[bytes]]:
        """Returns how many entries there are, and who read."""
        count, readers = 0, set()
        with _lines(path) as line:
            entries = ExportEntries(self._service, self._replica, moment.report, moment.checkpoint)
            async for entry in entries.all():
                line(entry)
                count += 1
                opening = entry.opening
                if opening.envelope.type == labels.ACCESS_REQUEST and opening.part.outcome == "granted":
                    request = read_request(opening.envelope)
                    readers |= {each for each in (request.identity, request.team) if each is not None}
        return count, readers

    async def _write_identities(self, path: Path, readers: set[bytes], moment: _Moment) -> ShownChain:
        """Returns the owner's own chain. A reader whose keys are not shown is left out."""
        own = await self._service.prove_chain(self._own.profile.chain)
        shown = {self._own.identity: own}
        for identity in readers - {self._own.identity}:
            try:
                chain = await self._service.api.identity_chain(IdentityQuery(identity=identity))
                proved = await self._service.prove_chain(chain)
                trust.believe_chain(self._service.root, proved, moment.view.dir)
            except TooMany:
                raise
            except Refusal:
                continue
            shown[chain.identity] = proved
        with _lines(path) as line:
            for _, each in sorted(shown.items()):
                line(each)
        return own

    async def _write_documents(self, part: Path, progress: Progress | None) -> list[ExportedDocument]:
        found = sorted(self._replica.states(), key=lambda document: document.doc)
        total = sum(version.length for each in found if not each.deleted for version in each.versions)
        folder = part / exports.DOCUMENTS
        writing = ExportDocuments(self._service, self._replica, self._files, folder, progress, total)
        documents = [await writing.write(document) for document in found]
        with _lines(part / exports.PARTS) as line:
            for parts in writing.parts:
                line(parts)
        return documents

    def _manifest(
        self,
        moment: _Moment,
        documents: list[ExportedDocument],
        files: tuple[ExportedFile, ...],
        entries: int,
        own: ShownChain,
    ) -> ExportManifest:
        head = self._replica.local.head
        known = trust.believe_chain(self._service.root, own, moment.view.dir)
        return ExportManifest(
            suite=labels.SUITE,
            vault=head.vault,
            person=self._replica.local.keyring.person,
            origin=moment.checkpoint.origin,
            n=head.n,
            link=head.link,
            checked=moment.report.size,
            entries=entries,
            time=self._service.now(),
            documents=tuple(documents),
            grants=tuple(self._grants()),
            alarms=tuple(
                ExportedAlarm(code=alarm.code, index=alarm.index, text=alarm.text)
                for alarm in moment.report.alarms
            ),
            files=files,
            signers=(known.ref,),
            view=moment.view,
        )

    def _grants(self) -> Iterator[ExportedGrant]:
        for _, entry in sorted(self._store.scan("grant-entry", GrantEntry)):
            made = self._replica.grant(entry.gid)
            yield ExportedGrant(
                gid=entry.gid,
                recipient=entry.recipient,
                ended=entry.ended,
                subject=made.subject if made is not None else "",
                name=made.name if made is not None else "",
                documents=tuple(sorted(version.doc for version in self._replica.granted(entry.gid))),
                expiry=made.expiry if made is not None else None,
            )


def _measured(files: FolderFiles) -> tuple[ExportedFile, ...]:
    """Everything in the folder, in order of path."""
    return tuple(measured(files, path) for path in sorted(files.others(set())))


def _write(path: Path, data: bytes) -> None:
    with private_part(path) as part:
        part.write_bytes(data)


@contextmanager
def _lines(path: Path) -> Iterator[Callable[[Body], None]]:
    """Writes one body to a line into a new file."""
    with private_part(path) as part, part.open("r+b") as out:

        def line(body: Body) -> None:
            out.write(encode(body) + b"\n")

        yield line
