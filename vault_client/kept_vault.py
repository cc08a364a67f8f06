"""What this device keeps of a vault: its head and keys, its documents, its grants."""

from collections.abc import Iterator, Mapping

import msgspec

from crypto.access_log import Opening, opening_info
from crypto.errors import NotPermitted
from crypto.sealed.keyring import EpochKeys
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.vault_chain import Document
from crypto.wire.messages import SealedOpening
from vault_client.kept_grants import KeptGrants
from vault_client.local_vault import Blocked, LocalDocument, LocalVault, ToBeRestored, newest
from vault_client.own_versions import open_descriptor, open_key


class KeptVault(KeptGrants):
    """The vault of this profile, as it is kept."""

    @property
    def local(self) -> LocalVault:
        """Head and keyring. Raises NotPermitted when there is no vault here."""
        local = self._store.get("vault", LocalVault)
        if local is None:
            raise NotPermitted("There is no record in this profile. Nothing was done. Enrol first.")
        return local

    @property
    def vault(self) -> bytes:
        """The vault's id."""
        return self.local.head.vault

    @property
    def origin(self) -> str:
        """The log the vault is written in."""
        return self.local.head.origin

    def epoch(self, number: int | None = None) -> EpochKeys:
        """The secrets of an epoch, by default the present one."""
        local = self.local
        wanted = local.head.keys.epoch if number is None else number
        for keys in local.keyring.epochs:
            if keys.epoch == wanted:
                return keys
        raise NotPermitted(
            "Older keys of this record are not on this device. Nothing was opened. Use a device that has them."
        )

    def document(self, doc: bytes) -> LocalDocument:
        """One document. Raises NotPermitted when it is not in the record."""
        found = self._store.get(_document(doc), LocalDocument)
        if found is None or found.document.deleted:
            raise NotPermitted(
                "There is no such document in this record. Nothing was done. Look at the list."
            )
        return found

    def state(self, doc: bytes) -> Document | None:
        """A document as the chain has it, also when it is deleted; None when it never was in the record."""
        found = self._store.get(_document(doc), LocalDocument)
        return found.document if found is not None else self._store.get(_withheld(doc), Document)

    def states(self) -> Iterator[Document]:
        """Every document as the chain has it, also those that are deleted."""
        for _, local in self._store.scan("document", LocalDocument):
            yield local.document
        for _, document in self._store.scan("withheld", Document):
            yield document

    def documents(self, *, deleted: bool = False) -> Iterator[LocalDocument]:
        """Every document that is not deleted; or those that are, as far as this device had them before."""
        for _, document in self._store.scan("document", LocalDocument):
            if document.document.deleted is deleted:
                yield document

    def deleted_titles(self) -> dict[bytes, str]:
        """The title of every document that was deleted; empty where this device does not have it."""
        deleted = {state.doc: "" for state in self.states() if state.deleted}
        return deleted | {each.document.doc: each.descriptor.title for each in self.documents(deleted=True)}

    def document_key(self, document: LocalDocument) -> SecretBytes:
        """The key of a document's newest version."""
        version = newest(document.document)
        epoch = self.epoch(version.epoch)
        return open_key(epoch, self.vault, document.document.doc, version, document.self_wrap)

    def opening(self, sealed: SealedOpening, commitment: bytes) -> Opening:
        """What opens the entry with ``commitment``, as it was sealed to this record; not yet compared with the entry.

        Raises CannotOpen, Malformed, or NotPermitted for an epoch that is not known here.
        """
        log_key = UnsealingKey(SecretBytes(self.epoch(sealed.epoch).log_key))
        return Opening.from_record(log_key.open(opening_info(self.origin, commitment), sealed.box))

    def is_restoring(self) -> bool:
        """Whether the record is being restored: links and log were not compared to the end yet."""
        return self._store.get("restoring", ToBeRestored) is not None

    def is_blocked(self, identity: bytes) -> bool:
        """Whether nothing may be granted to ``identity``."""
        found = self._store.get(f"blocked/{identity.hex()}", Blocked)
        return found is not None and found.blocked

    def _keep_document(self, doc: bytes, document: Document, parts: Mapping[bytes, bytes]) -> None:
        local = self._local_document(document, parts)
        if local is None:
            self._store.delete(_document(doc))
            self._store.put(_withheld(doc), document)
        else:
            self._store.delete(_withheld(doc))
            self._store.put(_document(doc), local)

    def _local_document(self, document: Document, parts: Mapping[bytes, bytes]) -> LocalDocument | None:
        """A document with the parts of its newest version; None where these were not shown."""
        version = newest(document)
        known = self._store.get(_document(document.doc), LocalDocument)
        if known is not None and newest(known.document) == version:
            return msgspec.structs.replace(known, document=document)
        if not {version.self_wrap, version.descriptor} <= parts.keys():
            return None
        doc, self_wrap, sealed = document.doc, parts[version.self_wrap], parts[version.descriptor]
        key = open_key(self.epoch(version.epoch), self.vault, doc, version, self_wrap)
        descriptor = open_descriptor(key, self.vault, doc, version.ver, sealed)
        return LocalDocument(document=document, self_wrap=self_wrap, descriptor=descriptor)


def _document(doc: bytes) -> str:
    return f"document/{doc.hex()}"


def _withheld(doc: bytes) -> str:
    return f"withheld/{doc.hex()}"
