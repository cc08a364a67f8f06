"""Signed bodies as rows hold them."""

from crypto.encoding import decode
from crypto.signing import Envelope

MAX_ENVELOPE = 1 << 22


def envelope(data: bytes) -> Envelope:
    """A stored envelope: its body was held to its own limit when it was accepted."""
    return decode(data, Envelope, limit=MAX_ENVELOPE)
