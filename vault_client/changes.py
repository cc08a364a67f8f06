"""What a patient can ask for, as it waits on this device until it is in the record.

Unsigned: each is looked at again and signed on the head that the record has when the server is reached. Records of the
device store, which is encrypted; ``change_queue`` keeps them.
"""

from crypto import pieces
from crypto.descriptors import Descriptor
from crypto.encoding import Bytes16, Bytes32, Natural, SecretBody
from crypto.grants import Act
from crypto.vault_links import (
    AddVersion,
    AnyOperation,
    Block,
    End,
    Grant,
    Mask,
    Tombstone,
)
from crypto.wire.cards import IdentityCard


class Change(SecretBody, frozen=True, tag_field="change"):
    """One thing that was asked for."""


class AddDocument(Change, frozen=True, tag="add"):
    """A document, encrypted already: its key, its sealed descriptor, and the hashes of the parts of its ciphertext.

    The ciphertext, ``length`` bytes, lies in the profile's spool under the name of ``ver``. The key is wrapped for
    oneself when the link is signed, under the epoch of that moment.
    """

    doc: Bytes16
    ver: Bytes16
    key: Bytes32
    descriptor: Descriptor
    sealed_descriptor: bytes
    length: Natural
    part_hashes: tuple[Bytes32, ...]

    @property
    def ct_root(self) -> bytes:
        """The content address of the ciphertext."""
        return pieces.root_from_parts(self.part_hashes, self.length)


class DeleteDocument(Change, frozen=True, tag="delete"):
    """A document is to be deleted for ever."""

    doc: Bytes16


class MaskDocument(Change, frozen=True, tag="mask"):
    """A document is to be left out of every new grant, or not any more."""

    doc: Bytes16
    masked: bool


class BlockIdentity(Change, frozen=True, tag="block"):
    """Nothing more is to be granted to someone, or it may be again."""

    identity: Bytes32
    blocked: bool


class Authorise(Change, frozen=True, tag="authorise"):
    """The person on a card is to open documents until ``expiry``. They are looked up when the grant is signed.

    ``met_again``: they were asked in person about a recovery or reset that the card shows.
    """

    gid: Bytes32
    card: IdentityCard
    documents: tuple[Bytes16, ...]
    acts: tuple[Act, ...]
    purposes: tuple[str, ...]
    expiry: Natural
    met_again: bool


class ExtendGrant(Change, frozen=True, tag="extend"):
    """Documents are to be added to a grant."""

    gid: Bytes32
    documents: tuple[Bytes16, ...]


class WithdrawDocuments(Change, frozen=True, tag="withdraw"):
    """Documents are to be taken out of a grant, which goes on with the others."""

    gid: Bytes32
    documents: tuple[Bytes16, ...]


class AmendGrant(Change, frozen=True, tag="amend"):
    """A grant is to allow something else from now on. What is None stays as it is."""

    gid: Bytes32
    acts: tuple[Act, ...] | None
    purposes: tuple[str, ...] | None
    expiry: Natural | None


class EndGrant(Change, frozen=True, tag="end"):
    """A grant is to end. It waits until the end is in the record and known to be in force."""

    gid: Bytes32


NextEvent = ExtendGrant | WithdrawDocuments | AmendGrant
AnyChange = AddDocument | DeleteDocument | MaskDocument | BlockIdentity | Authorise | NextEvent | EndGrant


class QueuedChange(SecretBody, frozen=True):
    """A change that waits: when it was asked for, and its place among the others."""

    id: Bytes16
    number: Natural
    asked: Natural
    change: AnyChange


def is_of(operation: AnyOperation, change: AnyChange) -> bool:
    """Whether a link's operation is what ``change`` asks for."""
    match change:
        case AddDocument(ver=ver):
            return isinstance(operation, AddVersion) and operation.ver == ver
        case DeleteDocument(doc=doc):
            return operation == Tombstone(doc=doc)
        case MaskDocument(doc=doc, masked=masked):
            return operation == Mask(doc=doc, masked=masked)
        case BlockIdentity(identity=identity, blocked=blocked):
            return operation == Block(identity=identity, blocked=blocked)
        case Authorise(gid=gid) | ExtendGrant(gid=gid) | WithdrawDocuments(gid=gid) | AmendGrant(gid=gid):
            return isinstance(operation, Grant) and operation.gid == gid
        case EndGrant(gid=gid):
            return operation == End(gid=gid)


def is_next_event(change: AnyChange, gid: bytes) -> bool:
    """Whether ``change`` is to alter a grant that is there, and this one."""
    return isinstance(change, NextEvent) and change.gid == gid


def subject_of(change: AnyChange) -> bytes:
    """What a change is about: of two about the same, the later one decides."""
    match change:
        case AddDocument(doc=subject) | DeleteDocument(doc=subject) | MaskDocument(doc=subject):
            return subject
        case BlockIdentity(identity=subject):
            return subject
        case Authorise(gid=subject) | EndGrant(gid=subject):
            return subject
        case ExtendGrant(gid=subject) | WithdrawDocuments(gid=subject) | AmendGrant(gid=subject):
            return subject
