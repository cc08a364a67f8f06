"""What is written in the logs: leaves, the server's part of an entry, openings.

A leaf is 97 bytes that say nothing: version, two 32-byte slots, a 32-byte commitment

    C = SHA-256(PAE("entry", salt, signed body, SP))

to one signed body (the whole envelope) and to SP, the server's part. Whoever holds salt, body and SP can check a leaf;
without them it is random-looking. Each vault's entries form a hash chain inside SP that only the patient can follow.
"""

import hashlib
from typing import Literal

from crypto import labels
from crypto.encoding import MAX_BODY, Body, Bytes32, Natural, SecretBody, decode, encode, pae
from crypto.errors import Malformed, NotProven
from crypto.padding import pad_record, unpad_record
from crypto.signing import Envelope

LEAF = 97
LEAF_VERSION = 1
MAP_ROOT_VERSION = 2
FIRST = bytes(32)

Outcome = Literal["accepted", "granted", "refused"]


class Leaf(Body, frozen=True):
    """One leaf, taken apart."""

    slot_one: Bytes32
    slot_two: Bytes32
    commitment: Bytes32

    def to_bytes(self) -> bytes:
        """The 97 bytes."""
        return bytes([LEAF_VERSION]) + self.slot_one + self.slot_two + self.commitment


class ServerPart(Body, frozen=True):
    """SP: what the server adds to an entry. ``time`` in seconds since 1970; ``prev`` hides the previous entry."""

    body: Bytes32
    time: Natural
    outcome: Outcome
    prev: Bytes32


class Disclosure(Body, frozen=True):
    """What lets one party check one leaf: its place, its slots, the salt and the server's part."""

    index: Natural
    slot_one: Bytes32
    slot_two: Bytes32
    salt: Bytes32
    part: ServerPart

    def leaf(self, envelope: Envelope) -> Leaf:
        """The leaf that ``envelope`` must have here. Raises NotProven when SP names another body."""
        if self.part.body != envelope.digest:
            raise NotProven("A log entry names another body than the one shown. It was not believed.")
        return Leaf(
            slot_one=self.slot_one,
            slot_two=self.slot_two,
            commitment=commitment(self.salt, envelope, self.part),
        )


class Opening(SecretBody, frozen=True):
    """What the patient receives for each leaf of the vault, sealed to the vault's log key."""

    salt: Bytes32
    salt2: Bytes32
    previous: Bytes32
    envelope: Envelope
    part: ServerPart

    def to_record(self) -> bytes:
        """Encoded and padded, ready to be sealed."""
        return pad_record(encode(self))

    @classmethod
    def from_record(cls, record: bytes) -> "Opening":
        """The opening inside an unsealed record. Raises Malformed or CannotOpen."""
        # A body of the largest size is a third longer here: what a reader could sign, the patient must be able to read.
        return decode(unpad_record(record), cls, limit=2 * MAX_BODY)


def parse_leaf(data: bytes) -> Leaf | None:
    """Take a leaf apart. Raises Malformed for another length or version.

    None for one of version 2, which is reserved for a map root: it counts in the tree, and has no slots.
    """
    if len(data) != LEAF or data[0] not in (LEAF_VERSION, MAP_ROOT_VERSION):
        raise Malformed("A log entry was refused: it is not a leaf of a known version.")
    if data[0] == MAP_ROOT_VERSION:
        return None
    return Leaf(slot_one=data[1:33], slot_two=data[33:65], commitment=data[65:])


def commitment(salt: bytes, envelope: Envelope, part: ServerPart) -> bytes:
    """C: the commitment of a leaf."""
    return hashlib.sha256(pae(labels.ENTRY, salt, encode(envelope), encode(part))).digest()


def previous(salt2: bytes, previous_commitment: bytes) -> bytes:
    """SP.prev: a hiding link to the vault's previous entry; ``FIRST`` stands for the first."""
    return hashlib.sha256(pae(labels.PREVIOUS, salt2, previous_commitment)).digest()


def opening_info(origin: str, commitment_: bytes) -> bytes:
    """The binding of a sealed opening: the log it is in and the leaf it opens."""
    return pae(labels.OPENING, origin.encode(), commitment_)
