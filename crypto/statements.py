"""What signed bodies have in common: which world their signer saw.

Every signed body of a person, team or registrar names the trust root, the head of the directory log (``dir``) and the
newest verified head of the log it goes to (``seen``). A device, certificate or membership is live or not *at* ``dir``.
Exceptions: logins, the trust root, C2SP notes and an identity's first link.
"""

import hashlib

from crypto import labels
from crypto.encoding import Body, Bytes32, Natural, Positive, pae


class RootRef(Body, frozen=True):
    """A trust root by version and digest."""

    version: Positive
    digest: Bytes32


class Head(Body, frozen=True):
    """Size and root of a log."""

    size: Natural
    root: Bytes32


class View(Body, frozen=True):
    """What the signer had verified when signing."""

    trust_root: RootRef
    dir: Head
    seen: Head


class IdentityRef(Body, frozen=True):
    """An identity as it stood after link ``n``; ``leaf`` is the leaf hash of that link in the directory log."""

    identity: Bytes32
    n: Natural
    leaf: Bytes32


def part_hash(data: bytes) -> bytes:
    """The name of an erasable part: a blob that links refer to by hash, so that it can be destroyed."""
    return hashlib.sha256(pae(labels.PART, data)).digest()
