"""An export: one record as a folder of plain files, named whole by a manifest that a holder's device signed.

The manifest is a signed body whose bytes lie in ``manifest.json``, its signatures beside it. It names every other file
with length and SHA-256 and says what each document's file is, so nothing can be missing or changed unseen. Sequences
are files of canonical JSON, one body to a line, so that a long record is read piece by piece. The format page is
docs/format/export.md.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from crypto import labels
from crypto.access_log import Leaf, Opening, commitment
from crypto.descriptors import Descriptor, Label
from crypto.encoding import Body, Bytes16, Bytes32, Bytes48, Natural, SecretBody, ShortText, Suite, decode
from crypto.errors import Malformed
from crypto.file_names import check_name
from crypto.pieces import HEADER
from crypto.signing import Envelope, Signature
from crypto.statements import View
from crypto.vault_links import Person, Signers

MANIFEST: Final = "manifest.json"
SIGNATURES: Final = "signatures.json"
KEYS: Final = "keys.json"
TRUST_ROOTS: Final = "record/trust-roots.jsonl"
IDENTITIES: Final = "record/identities.jsonl"
CHAIN: Final = "record/chain.jsonl"
PARTS: Final = "record/parts.jsonl"
ENTRIES: Final = "log/entries.jsonl"
CHECKPOINT: Final = "log/checkpoint.txt"
DOCUMENTS: Final = "documents"

RECORD_FILES: Final = (KEYS, CHECKPOINT, ENTRIES, CHAIN, IDENTITIES, PARTS, TRUST_ROOTS)
"""The files that every export has besides manifest and signatures."""

MAX_MANIFEST: Final = 1 << 26
MAX_KEYS: Final = 1 << 24
MAX_LINE: Final = 1 << 23

FilePath = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Header = Annotated[bytes, msgspec.Meta(min_length=HEADER, max_length=HEADER)]


class ExportedFile(Body, frozen=True):
    """One file: its path within the export, with ``/`` between folder and name, its length and SHA-256."""

    path: FilePath
    length: Natural
    sha256: Bytes32


class ExportedVersion(Body, frozen=True):
    """A version: ``file`` holds its content, ``header`` is the first 56 bytes of its ciphertext.

    All three of the last are absent where it was deleted, or could not be had when the export was made.
    """

    ver: Bytes16
    ct_root: Bytes32
    header: Header | None
    descriptor: Descriptor | None
    file: FilePath | None


class ExportedDocument(Body, frozen=True):
    """A document with all its versions, oldest first."""

    doc: Bytes16
    masked: bool
    deleted: bool
    versions: Annotated[tuple[ExportedVersion, ...], msgspec.Meta(min_length=1, max_length=65536)]


class ExportedGrant(Body, frozen=True):
    """A grant, and what the exporting device knows of it: whom it is for, which documents it gives, until when."""

    gid: Bytes32
    recipient: Bytes32
    ended: bool
    subject: Label
    name: Label
    documents: tuple[Bytes16, ...]
    expiry: Natural | None


class ExportedAlarm(Body, frozen=True):
    """An alarm of the exporting device about the record's log."""

    code: ShortText
    index: Natural | None
    text: str


class ExportManifest(SecretBody, frozen=True):
    """What was exported, and of which moment.

    ``n`` and ``link``: the newest link. ``checked``: the log was looked through up to that many entries, of which
    ``entries`` are the record's. ``time`` in seconds since 1970. ``files`` in order of path, without the manifest and
    its signatures.
    """

    suite: Suite
    vault: Bytes32
    person: Person | None
    origin: ShortText
    n: Natural
    link: Bytes32
    checked: Natural
    entries: Natural
    time: Natural
    documents: tuple[ExportedDocument, ...]
    grants: tuple[ExportedGrant, ...]
    alarms: tuple[ExportedAlarm, ...]
    files: tuple[ExportedFile, ...]
    signers: Signers
    view: View


class ExportSignatures(Body, frozen=True):
    """The signatures over the manifest."""

    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=16)]

    def over(self, manifest: bytes) -> Envelope:
        """The signed body that the manifest's bytes and these are. Nothing of it is checked yet.

        Its digest is what ``Continues`` says of the export.
        """
        return Envelope(type=labels.EXPORT, body=manifest, signatures=self.signatures)


class ExportedParts(SecretBody, frozen=True):
    """A line of ``parts``: the erasable parts of one version."""

    doc: Bytes16
    ver: Bytes16
    self_wrap: Bytes48
    descriptor: bytes


class ExportedEntry(SecretBody, frozen=True):
    """A line of ``entries``: one leaf of the record, opened, with the audit path to the exported checkpoint."""

    index: Natural
    slot_one: Bytes32
    slot_two: Bytes32
    path: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=63)]
    opening: Opening

    @property
    def leaf(self) -> Leaf:
        """The leaf that the opening gives."""
        return Leaf(
            slot_one=self.slot_one,
            slot_two=self.slot_two,
            commitment=commitment(self.opening.salt, self.opening.envelope, self.opening.part),
        )


def read_manifest(data: bytes) -> ExportManifest:
    """Parse a manifest whose signatures are still to be checked.

    Raises TooLarge or Malformed, also unless every file is named once, in order, the files that every export has are
    among them, and each other one lies in the folder of documents as the content of just one version.
    """
    manifest = decode(data, ExportManifest, limit=MAX_MANIFEST)
    paths = [file.path for file in manifest.files]
    contents = [version.file for _, version in versions(manifest.documents) if version.file is not None]
    if sorted([*RECORD_FILES, *contents]) != paths:
        raise Malformed("A manifest contradicts itself about its files. Nothing of the export was believed.")
    for path in contents:
        folder, _, name = path.partition("/")
        if folder != DOCUMENTS:
            raise Malformed(
                "A manifest names a document outside of its folder. Nothing of the export was believed."
            )
        check_name(name)
    if len({path.casefold() for path in paths}) != len(paths):
        raise Malformed("A manifest names two files that are one on some systems. Nothing was believed.")
    for _, version in versions(manifest.documents):
        if len({version.file is None, version.header is None, version.descriptor is None}) != 1:
            raise Malformed("A manifest says half of what a document is. Nothing of the export was believed.")
    return manifest


def versions(
    documents: Iterable[ExportedDocument],
) -> Iterable[tuple[ExportedDocument, ExportedVersion]]:
    """Every version, with its document."""
    return ((document, version) for document in documents for version in document.versions)
