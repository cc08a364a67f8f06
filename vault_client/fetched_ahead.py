"""What a practitioner fetched ahead, for where there is no network: ciphertext in the profile, its key among its records.

It is kept no longer than the grant lasts, and no longer than this device believes that the grant gives it. Nobody can make
a device forget what it does not know to have ended: that is why fetching ahead is an act of its own, which a grant allows
or not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from crypto.descriptors import document_context
from crypto.encoding import Bytes32, SecretBody
from crypto.errors import CannotOpen, NotPermitted
from crypto.padding import padded_length
from crypto.pieces import HEADER, ciphertext_length
from crypto.sealed.content import Opener
from crypto.secret_bytes import SecretBytes
from vault_client.ciphertext_replica import CiphertextReplica
from vault_client.ciphertext_spool import check_ciphertext, in_thread
from vault_client.device_store import DeviceStore
from vault_client.granted_document import GrantedDocument
from vault_client.progress import Progress
from vault_client.reading import Fetched, write
from vault_client.received_grants import ReceivedGrants

_GROUP: Final = "ahead"

Why = Literal["ended", "expired", "taken out", "refused"]

# What people read
NOT_HERE = (
    "This document is not kept on this device: it was never fetched ahead, or was removed since. Nothing was opened. Fetch "
    "it ahead while the server answers."
)


class KeptDocument(SecretBody, frozen=True):
    """A document that was fetched ahead: what it is called, the signed root of its ciphertext, and its key."""

    document: GrantedDocument
    ct_root: Bytes32
    key: Bytes32


class Removed(NamedTuple):
    """A document that was fetched ahead and is no longer kept. ``why``: as this device learnt it."""

    document: GrantedDocument
    why: Why


class FetchedAhead:
    """What is kept in one profile. The caller holds the profile's lock."""

    def __init__(self, store: DeviceStore, grants: ReceivedGrants, profile: Path) -> None:
        """Copies that no record names, of a run that was killed, are removed."""
        self._store = store
        self._grants = grants
        self._copies = CiphertextReplica(profile)
        self._copies.keep_only(self._versions())

    def all(self) -> Iterator[KeptDocument]:
        """All that is kept, in no particular order."""
        for _, kept in self._store.scan(_GROUP, KeptDocument):
            yield kept

    def find(self, document: GrantedDocument) -> KeptDocument | None:
        """What is kept of just this version under just this grant."""
        kept = self._store.get(_name(document), KeptDocument)
        return kept if kept is not None and kept.document.document.ver == document.document.ver else None

    async def take(self, fetched: Fetched, progress: Progress | None) -> None:
        """Keep a document whose ciphertext is found to be the one that was signed, and its key that ciphertext's.

        Raises CannotOpen otherwise, Full when it would take the last room of the disk.
        """
        document = fetched.document
        self._copies.check_room(0)
        await in_thread(lambda report: _check(fetched, report), progress)
        self._copies.keep(document.document.ver, fetched.ciphertext)
        kept = KeptDocument(document=document, ct_root=fetched.ct_root, key=fetched.key.reveal())
        self._store.put(_name(document), kept)

    async def open(self, document: GrantedDocument, destination: Path, progress: Progress | None) -> None:
        """Decipher what is kept of a document into ``destination``.

        Raises NotPermitted when it is not kept, CannotOpen when the copy is no longer what was signed; it is then fetched
        ahead anew, or read.
        """
        kept = self.find(document)
        if kept is None:
            raise NotPermitted(NOT_HERE)
        listed = kept.document.document
        copy = self._copies.find(listed.ver, ciphertext_length(padded_length(listed.length)))
        if copy is None:
            raise CannotOpen("The copy on this device")
        fetched = Fetched(kept.document, kept.ct_root, copy, SecretBytes(kept.key))
        await write(fetched, destination, progress)

    def remove_ended(self, now: int) -> list[Removed]:
        """Remove all that may not be opened any more at ``now``, as far as this device knows."""
        removed = []
        for kept in list(self.all()):
            why = self._ended(kept, now)
            if why is not None:
                removed.append(self._remove(kept, why))
        return removed

    def remove(self, document: GrantedDocument) -> list[Removed]:
        """Remove what is kept of a document whose opening the server refused to log."""
        kept = self.find(document)
        return [] if kept is None else [self._remove(kept, "refused")]

    def _ended(self, kept: KeptDocument, now: int) -> Why | None:
        grant = self._grants.get(kept.document.gid)
        if grant.said_ended:
            return "ended"
        if now >= grant.state.event.expiry:
            return "expired"
        try:
            row = self._grants.row(grant.gid, kept.document.document.doc)
        except NotPermitted:
            return "taken out"
        is_given = (row.ver, row.ct_root) == (kept.document.document.ver, kept.ct_root)
        return None if is_given and "reopen" in grant.state.event.acts else "taken out"

    def _remove(self, kept: KeptDocument, why: Why) -> Removed:
        # The key goes first: without it the copy opens nothing, whatever becomes of it.
        self._store.delete(_name(kept.document))
        self._copies.keep_only(self._versions())
        return Removed(kept.document, why)

    def _versions(self) -> set[bytes]:
        return {kept.document.document.ver for kept in self.all()}


def _name(document: GrantedDocument) -> str:
    return f"{_GROUP}/{document.gid.hex()}-{document.document.doc.hex()}"


def _check(fetched: Fetched, progress: Progress) -> None:
    check_ciphertext(fetched.ciphertext, ct_root=fetched.ct_root, progress=progress)
    with fetched.ciphertext.open("rb") as file:
        listed = fetched.document.document
        Opener(
            fetched.key,
            document_context(fetched.document.vault, listed.doc, listed.ver),
            file.read(HEADER),
        )
