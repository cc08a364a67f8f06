"""Keyed hashing and key derivation: HMAC-SHA-256, and HKDF-SHA-256 (RFC 5869) with an empty salt and one block.

Granting computes a few of these for every document, so a key that is used often is prepared once.
"""

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

_EMPTY_SALT = bytes(32)


class Mac:
    """HMAC-SHA-256 under one key, prepared for many messages that begin alike."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes, beginning: bytes) -> None:
        self._begun = HMAC(key, SHA256())
        self._begun.update(beginning)

    def of(self, rest: bytes) -> bytes:
        """The 32-byte code of the common beginning and ``rest``."""
        code = self._begun.copy()
        code.update(rest)
        return code.finalize()

    def __repr__(self) -> str:
        return "Mac(…)"


class Deriver:
    """Derives many 32-byte keys from one secret, for purposes that begin alike: the extract step is done once."""

    __slots__ = ("_mac",)

    def __init__(self, secret: bytes, beginning: bytes = b"") -> None:
        self._mac = Mac(hmac.digest(_EMPTY_SALT, secret, "sha256"), beginning)

    def derive(self, info: bytes) -> bytes:
        """HKDF-Expand(HKDF-Extract("", secret), beginning ‖ info, 32): together a pre-authentication encoding."""
        return self._mac.of(info + b"\x01")

    def __repr__(self) -> str:
        return "Deriver(…)"


def derive(secret: bytes, info: bytes) -> bytes:
    """One 32-byte key derived from ``secret`` for the purpose that ``info`` names."""
    return Deriver(secret).derive(info)
