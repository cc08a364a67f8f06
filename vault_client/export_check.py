"""Checking an export without a server: everything is looked at, and all that is missing or changed is named.

Files are compared with the manifest; the manifest's signature, the chain and the log with each other and with the
trust root; and each document is sealed once more, to see that its plain file is the very ciphertext that was signed.
What rests on something that does not hold is said to be unchecked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from crypto import exports, labels
from crypto.errors import BrokenChain, CoffreError, Malformed, NotPermitted
from crypto.exports import ExportedDocument, ExportedParts, ExportManifest, versions
from crypto.sealed.keyring import VaultKeyring
from crypto.signing import Envelope
from crypto.statements import RootRef
from crypto.trust_root import TrustRoot
from crypto.vault_chain import check_signers
from crypto.vault_links import check_person, export_digest
from vault_client.audit_report import Entry
from vault_client.export_files import ExportFiles, FolderFiles, measured, read_signed
from vault_client.exported_chain import ExportedChain, Identities, follow_chain, read_trust
from vault_client.exported_documents import ExportedDocuments, Stated, stated_versions
from vault_client.exported_log import ExportedLog, read_checkpoint
from vault_client.progress import Progress

Made = TypeVar("Made")

What = Literal["missing", "changed", "unchecked", "foreign"]


class Finding(NamedTuple):
    """Something that is not as it should be: what is wrong, with which file or part, and why, in words.

    ``title``: of the document whose file it is; else empty.
    """

    what: What
    path: str
    why: str
    title: str


@dataclass
class CheckedExport:
    """What an export was found to be. It is whole when there are no ``findings``.

    ``first_root``: the trust root it starts from, for comparing with the service's card. ``time``: of the newest
    cosignature on its log. ``good``: the files that are as the manifest has them. ``is_signed``: a holder of the record
    signed the manifest, and it says what the record's changes say; whatever else may be wrong.
    """

    digest: bytes
    manifest: ExportManifest
    first_root: RootRef | None = None
    trust_root: TrustRoot | None = None
    time: int | None = None
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    is_signed: bool = False


def check_export(
    files: ExportFiles,
    *,
    card: RootRef | None = None,
    contents: bool = True,
    progress: Progress | None = None,
) -> CheckedExport:
    """Check all of an export; ``card`` says which trust root it must start from. Without ``contents`` no document.

    Raises Malformed when there is no manifest to check anything by.
    """
    try:
        manifest, envelope = read_signed(files)
    except (FileNotFoundError, CoffreError) as error:
        why = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise Malformed(
            f"This is no export that can be read: its manifest or its signatures are {why}. Nothing was checked. Use "
            "another copy of it."
        ) from None
    checking = _Check(files, manifest, envelope, contents=contents)
    checking.run(card, progress)
    return checking.checked


class _Check:
    def __init__(
        self, files: ExportFiles, manifest: ExportManifest, envelope: Envelope, *, contents: bool
    ) -> None:
        self.checked = CheckedExport(digest=export_digest(envelope.body), manifest=manifest)
        self._files = files
        self._manifest = manifest
        self._envelope = envelope
        self._contents = contents
        self._titles = {
            version.file: version.descriptor.title
            for _, version in versions(manifest.documents)
            if version.file is not None and version.descriptor is not None
        }

    def run(self, card: RootRef | None, progress: Progress | None) -> None:
        """Everything, in an order in which each step rests on those before it."""
        self._compare_files(progress)
        trusted = self._step("who the service is", exports.TRUST_ROOTS, lambda: read_trust(self._files, card))
        if trusted is None:
            return self._rest_unchecked()
        self.checked.first_root, root = trusted[0], trusted[1].root
        self.checked.trust_root = root
        people = self._step("the keys of people", exports.IDENTITIES, lambda: Identities(root, self._files))
        if people is None:
            return self._rest_unchecked()
        chain = self._step("the changes", exports.CHAIN, lambda: follow_chain(self._files, people))
        if chain is None:
            return self._rest_unchecked()
        signed = self._step("the manifest", exports.MANIFEST, lambda: self._check_manifest(people, chain))
        self.checked.is_signed = signed is not None
        self._check_log(root, people, chain)
        self._check_documents(chain, progress)
        return None

    def _rest_unchecked(self) -> None:
        self._unchecked("who signed the manifest, the changes, the log and the documents", "see above")

    # Files

    def _compare_files(self, progress: Progress | None) -> None:
        for expected in self._manifest.files:
            if not self._contents and expected.path not in exports.RECORD_FILES:
                continue
            try:
                found = measured(self._files, expected.path)
            except FileNotFoundError:
                self._add("missing", expected.path, "it is not there.")
                continue
            except CoffreError as error:
                self._add("changed", expected.path, str(error))
                continue
            if found == expected:
                self.checked.good.add(expected.path)
            else:
                self._add("changed", expected.path, "it is not what was exported.")
        if isinstance(self._files, FolderFiles):
            known = {file.path for file in self._manifest.files} | {exports.MANIFEST, exports.SIGNATURES}
            for path in self._files.others(known):
                self._add("foreign", path, "it is not of the export.")
        for document, version in versions(self._manifest.documents):
            if version.file is None and not document.deleted:
                name = f"document {document.doc.hex()}, version {version.ver.hex()}"
                self._add("missing", name, "it could not be had when the export was made.")

    def _step(self, what: str, path: str, work: Callable[[], Made]) -> Made | None:
        """What ``work`` makes of the file at ``path``; None, with a finding, when it does not hold."""
        if path != exports.MANIFEST and path not in self.checked.good:
            self._unchecked(what, f"it rests on {path}, which is missing or changed")
            return None
        try:
            return work()
        except (CoffreError, FileNotFoundError) as error:
            self._add("changed", path, str(error))
            return None

    # The record

    def _check_manifest(self, people: Identities, chain: ExportedChain) -> ExportManifest:
        """That a holder signed the manifest, and that it says what the chain says."""
        manifest, head = self._manifest, chain.head
        known = people.signers(manifest.signers, manifest.view.dir)
        check_signers(self._envelope, labels.EXPORT, manifest.signers, known, head.holders, 1)
        check_person(manifest.person, chain.genesis.person)
        if (manifest.vault, manifest.n, manifest.link) != (head.vault, head.n, head.link):
            raise BrokenChain("It speaks of another record, or of another moment, than the changes shown.")
        if {document.doc: _state(document) for document in manifest.documents} != {
            doc: (state.masked, state.deleted, tuple((each.ver, each.ct_root) for each in state.versions))
            for doc, state in chain.documents.items()
        } or len(manifest.documents) != len(chain.documents):
            raise NotPermitted("It names other documents than the record has.")
        if sorted((each.gid, each.recipient, each.ended) for each in manifest.grants) != sorted(
            (each.gid, each.recipient, each.ended) for each in chain.grants.values()
        ):
            raise NotPermitted("It names other grants than the record has.")
        return manifest

    def _check_log(self, root: TrustRoot, people: Identities, chain: ExportedChain) -> None:
        head = self._step(
            "the log", exports.CHECKPOINT, lambda: read_checkpoint(self._files, root, self._manifest)
        )
        if head is None:
            return
        checkpoint, self.checked.time = head
        log = ExportedLog(self._manifest, checkpoint, chain, people)
        self._step("the log", exports.ENTRIES, lambda: log.check(self._files))
        for index, why in log.problems:
            self._add("changed", f"entry {index} of the log", why)
        for index, why in log.unknown:
            self._unchecked(f"who read in entry {index} of the log", why)
        if log.begins:
            self._unchecked(
                f"what the log said before entry {log.begins}",
                "those entries are not in the export: they were over three years old and gone, or were left out",
            )
        self.checked.entries = log.entries

    def _check_documents(self, chain: ExportedChain, progress: Progress | None) -> None:
        """Every version: its parts are those signed; with the keys, its descriptor and its file are too."""
        documents = ExportedDocuments(self._files, self._manifest, chain)
        keyring = self._step("the keys", exports.KEYS, documents.open_keys)
        parts = self._step("the documents' own keys", exports.PARTS, documents.read_parts)
        if parts is None:
            return
        stated = list(stated_versions(self._manifest))
        if keyring is None and stated:
            self._unchecked("the documents", "without the keys only their hashes could be compared")
        total, done = sum(each.descriptor.length for each in stated), 0
        for each in stated:
            part = parts.get((each.doc, each.ver))
            if part is None:
                self._add("missing", exports.PARTS, f"it lacks the keys of {each.file}.")
            elif keyring is not None:
                self._check_version(documents, keyring, each, part, _after(progress, done, total))
            done += each.descriptor.length

    def _check_version(
        self,
        documents: ExportedDocuments,
        keyring: VaultKeyring,
        stated: Stated,
        part: ExportedParts,
        progress: Progress | None,
    ) -> None:
        try:
            opened = documents.open_version(keyring, stated, part)
            if self._contents and stated.file in self.checked.good:
                documents.check_content(opened, stated, progress)
        except (CoffreError, FileNotFoundError) as error:
            self._add("changed", stated.file, str(error))

    def _add(self, what: What, name: str, why: str) -> None:
        self.checked.findings.append(Finding(what, name, why, self._titles.get(name, "")))

    def _unchecked(self, name: str, why: str) -> None:
        self._add("unchecked", name, f"{why}.")


def _state(document: ExportedDocument) -> tuple[bool, bool, tuple[tuple[bytes, bytes], ...]]:
    return (
        document.masked,
        document.deleted,
        tuple((version.ver, version.ct_root) for version in document.versions),
    )


def _after(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)
