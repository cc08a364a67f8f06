"""Ends that a keeper holds until they are logged, as one keeper shows them to another that lost its store.

Each shows the end key itself, so that whoever takes it checks what a patient's post is checked for: the tag follows
from the key, and so does the event that must be in the log. Sealed, since knowing the key is the right to end.
"""

from typing import Annotated

import msgspec

from crypto import labels, sealing
from crypto.encoding import Bytes32, Natural, SecretBody, ShortText, decode, encode, pae
from crypto.locators import end_tag
from crypto.padding import pad_record, unpad_record
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes

MAX_HELD = 1 << 22


class HeldEnd(SecretBody, frozen=True):
    """The end of grant ``gid``, posted with the policy of its event ``j``."""

    origin: ShortText
    gid: Bytes32
    j: Natural
    end_key: Bytes32

    @property
    def tag(self) -> bytes:
        """The end tag, which follows from the key."""
        return end_tag(SecretBytes(self.end_key), self.origin, self.gid)


class HeldEnds(SecretBody, frozen=True):
    """All that a keeper holds."""

    ends: Annotated[tuple[HeldEnd, ...], msgspec.Meta(max_length=8192)]


def seal_ends(ends: HeldEnds, key: bytes, *about: bytes) -> bytes:
    """Seal ``ends`` to a keeper's sealing key. ``about``: the digest of the question they answer, and behind which tag."""
    return sealing.seal(key, pae(labels.HELD_ENDS, *about), pad_record(encode(ends)))


def open_ends(key: UnsealingKey, box: bytes, *about: bytes) -> HeldEnds:
    """What was sealed to this keeper in answer to ``about``. Raises CannotOpen, or Malformed for what are no ends."""
    return decode(unpad_record(key.open(pae(labels.HELD_ENDS, *about), box)), HeldEnds, limit=MAX_HELD)
