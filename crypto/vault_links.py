"""What a vault chain is made of: the genesis, links and their operations.

Private: holders' devices and the server see links, nobody else; only the genesis is shown to recipients, in the first
event of a grant. Links name the hashes of erasable parts, never their content, so a part can be destroyed and the
chain still folds. ``crypto.vault_chain`` holds the rules.
"""

import hashlib
from typing import Annotated

import msgspec

from crypto import labels
from crypto.encoding import (
    Body,
    Bytes16,
    Bytes32,
    Natural,
    Positive,
    SealingKey,
    SecretBody,
    ShortText,
    Suite,
    pae,
)
from crypto.errors import NotPermitted
from crypto.statements import IdentityRef, View

Signers = Annotated[tuple[IdentityRef, ...], msgspec.Meta(min_length=1, max_length=16)]


class VaultOperation(Body, frozen=True, tag_field="op"):
    """One operation of a link."""


class AddVersion(VaultOperation, frozen=True, tag="add_version"):
    """A new version of a document: its ciphertext by root and length, its erasable parts by hash."""

    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    length: Natural
    epoch: Natural
    self_wrap: Bytes32
    descriptor: Bytes32


class Adopt(VaultOperation, frozen=True, tag="adopt"):
    """A deposit becomes a document: as ``add_version``, and the author's manifest and its leaf."""

    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    length: Natural
    epoch: Natural
    self_wrap: Bytes32
    descriptor: Bytes32
    manifest: Bytes32
    index: Natural


class Tombstone(VaultOperation, frozen=True, tag="tombstone"):
    """A document is deleted for ever."""

    doc: Bytes16


class Mask(VaultOperation, frozen=True, tag="mask"):
    """A document is left out of every grant until it is unmasked."""

    doc: Bytes16
    masked: bool


class Grant(VaultOperation, frozen=True, tag="grant"):
    """Event ``j`` of grant ``gid``: its digest, and the epoch its secrets come from."""

    gid: Bytes32
    j: Natural
    event: Bytes32
    recipient: Bytes32
    rekey: Natural
    epoch: Natural


class End(VaultOperation, frozen=True, tag="end"):
    """A grant ends. It is never taken up again: a new grant has a new ``gid``."""

    gid: Bytes32


class Block(VaultOperation, frozen=True, tag="block"):
    """No deposit from, and no grant to, an identity until it is unblocked."""

    identity: Bytes32
    blocked: bool


class Rotate(VaultOperation, frozen=True, tag="rotate"):
    """A new epoch: the keyring with its secrets, and the public keys that come with it."""

    epoch: Natural
    keyring: Bytes32
    scan_key: Bytes32
    log_key: SealingKey
    deposit_key: SealingKey
    category_keys: Annotated[tuple[SealingKey, ...], msgspec.Meta(max_length=32)]


class Reseal(VaultOperation, frozen=True, tag="reseal"):
    """The keyring of the same epoch, sealed to another set of unlock keys."""

    keyring: Bytes32


class PolicyPart(VaultOperation, frozen=True, tag="policy"):
    """Names one erasable part and changes nothing else. What such a part holds is for a later page to say."""

    part: Bytes32


class ProfilePart(VaultOperation, frozen=True, tag="profile"):
    """Likewise."""

    part: Bytes32


class SnapshotPart(VaultOperation, frozen=True, tag="snapshot"):
    """Likewise."""

    part: Bytes32


AnyOperation = (
    AddVersion
    | Adopt
    | Tombstone
    | Mask
    | Grant
    | End
    | Block
    | Rotate
    | Reseal
    | PolicyPart
    | ProfilePart
    | SnapshotPart
)


class Continues(Body, frozen=True):
    """The vault that an imported one goes on from, and the ``export_digest`` of what was imported."""

    vault: Bytes32
    export: Bytes32


class Person(SecretBody, frozen=True):
    """Who a record is about, as the patient says, with the salt that opens the genesis' commitment."""

    salt: Bytes32
    name: ShortText


class Genesis(Body, frozen=True):
    """Link 0. ``rule``: how many holders must sign. ``person``: a salted commitment. ``slot``: reserved place."""

    suite: Suite
    holders: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=8)]
    rule: Positive
    person: Bytes32
    origin: ShortText
    slot: Natural
    random: Bytes32
    continues: Continues | None
    keyring: Rotate
    signers: Signers
    view: View


class VaultLink(Body, frozen=True):
    """Link ``n`` of a vault, from 1 on."""

    suite: Suite
    vault: Bytes32
    n: Positive
    prev: Bytes32
    signers: Signers
    operations: Annotated[tuple[AnyOperation, ...], msgspec.Meta(min_length=1, max_length=256)]
    view: View


def vault_id(genesis: bytes) -> bytes:
    """The id of the vault that a genesis body founds."""
    return hashlib.sha256(pae(labels.VAULT, genesis)).digest()


def scan_key_commitment(scan_key: bytes) -> bytes:
    """What a rotation says of Kv, so that the server can check the one it is handed."""
    return hashlib.sha256(pae(labels.SCAN_KEY, scan_key)).digest()


def person_commitment(salt: bytes, name: str) -> bytes:
    """The genesis' commitment to who the record is about; ``name`` is empty when nobody is named."""
    return hashlib.sha256(pae(labels.PERSON, salt, name.encode())).digest()


def check_person(person: Person | None, commitment: bytes) -> None:
    """Raises NotPermitted when somebody is named whom the genesis did not commit to."""
    if person is not None and person_commitment(person.salt, person.name) != commitment:
        raise NotPermitted(
            "A record is said to be somebody's whom its founding does not name. It was not believed."
        )


def export_digest(manifest: bytes) -> bytes:
    """What ``Continues`` says of an export: the digest of its manifest's bytes."""
    return hashlib.sha256(pae(labels.EXPORT, manifest)).digest()
