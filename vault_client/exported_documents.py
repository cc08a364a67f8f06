"""The documents of an export: their keys from the keyring, and the proof that a plain file is what was signed.

The ciphertext is not exported. Sealing the plain file once more under its own key and salt gives it again, and so the
root that the chain names: whoever holds the keys can see that not a byte of the document is another.
"""

from collections.abc import Iterator
from typing import NamedTuple

from crypto import exports
from crypto.descriptors import Descriptor, document_context
from crypto.encoding import decode
from crypto.errors import Malformed, NotPermitted, NotProven
from crypto.exports import ExportedParts, ExportManifest, versions
from crypto.sealed.keyring import VaultKeyring, check_epoch
from crypto.secret_bytes import SecretBytes
from crypto.statements import part_hash
from crypto.vault_chain import Version
from vault_client.ciphertext_spool import sealed_root
from vault_client.export_files import ExportFiles, read_lines, read_whole
from vault_client.exported_chain import ExportedChain
from vault_client.own_versions import open_descriptor, open_key
from vault_client.progress import Progress


class Stated(NamedTuple):
    """A version whose content is in the export, as the manifest has it."""

    doc: bytes
    ver: bytes
    header: bytes
    descriptor: Descriptor
    file: str


class OpenedVersion(NamedTuple):
    """A version as the chain has it, and its document key."""

    version: Version
    key: SecretBytes


def stated_versions(manifest: ExportManifest) -> Iterator[Stated]:
    """Every version whose content is in the export."""
    for document, version in versions(manifest.documents):
        if version.header is not None and version.descriptor is not None and version.file is not None:
            yield Stated(document.doc, version.ver, version.header, version.descriptor, version.file)


class ExportedDocuments:
    """Opens what an export holds of the documents that its chain names."""

    def __init__(self, files: ExportFiles, manifest: ExportManifest, chain: ExportedChain) -> None:
        self._files = files
        self._manifest = manifest
        self._vault = chain.head.vault
        self._chain = chain
        self._versions = {
            (doc, version.ver): version
            for doc, state in chain.documents.items()
            for version in state.versions
        }

    def open_keys(self) -> VaultKeyring:
        """The keyring, if it holds the private halves of just what the chain names. Raises NotPermitted."""
        data = read_whole(self._files, exports.KEYS, exports.MAX_KEYS)
        keyring = decode(data, VaultKeyring, limit=exports.MAX_KEYS)
        if [keys.epoch for keys in keyring.epochs] != list(self._chain.epochs):
            raise NotPermitted("It lacks keys of the record.")
        for keys in keyring.epochs:
            check_epoch(keys, self._chain.epochs[keys.epoch])
        named = (keyring.vault or self._vault, keyring.origin, keyring.person)
        if named != (self._vault, self._chain.genesis.origin, self._manifest.person):
            raise NotPermitted("It is of another record.")
        return keyring

    def read_parts(self) -> dict[tuple[bytes, bytes], ExportedParts]:
        """The erasable parts by document and version, each of them the one that was signed. Raises NotProven."""
        parts: dict[tuple[bytes, bytes], ExportedParts] = {}
        for part in read_lines(self._files, exports.PARTS, ExportedParts):
            version = self._versions.get((part.doc, part.ver))
            hashes = (part_hash(part.self_wrap), part_hash(part.descriptor))
            if version is None or hashes != (version.self_wrap, version.descriptor):
                raise NotProven("It holds other parts than those that were signed.")
            if parts.setdefault((part.doc, part.ver), part) is not part:
                raise Malformed("It holds the parts of one version twice.")
        return parts

    def open_version(self, keyring: VaultKeyring, stated: Stated, part: ExportedParts) -> OpenedVersion:
        """The document key, and that the manifest describes the version as its descriptor does.

        Raises CannotOpen or NotProven.
        """
        doc, version = stated.doc, self._versions[stated.doc, stated.ver]
        key = open_key(keyring.epochs[version.epoch], self._vault, doc, version, part.self_wrap)
        if open_descriptor(key, self._vault, doc, version.ver, part.descriptor) != stated.descriptor:
            raise NotProven("The manifest describes it otherwise than the record does.")
        return OpenedVersion(version, key)

    def check_content(self, opened: OpenedVersion, stated: Stated, progress: Progress | None) -> None:
        """That the plain file is the content that was signed. Raises NotProven or CannotOpen."""
        with self._files.open(stated.file) as file:
            root = sealed_root(
                file,
                key=opened.key,
                context=document_context(self._vault, stated.doc, stated.ver),
                header=stated.header,
                progress=progress,
            )
            length = file.tell()
        if (root, length) != (opened.version.ct_root, stated.descriptor.length):
            raise NotProven("It is not the content that was signed when the document was added.")
