"""Key derivation: HKDF-SHA-256 (RFC 5869) with an empty salt and one block of output."""

import hmac

_EMPTY_SALT = bytes(32)


class Deriver:
    """Derives many 32-byte keys from one secret: the extract step is done once."""

    __slots__ = ("_prk",)

    def __init__(self, secret: bytes) -> None:
        self._prk = hmac.digest(_EMPTY_SALT, secret, "sha256")

    def derive(self, info: bytes) -> bytes:
        """HKDF-Expand(HKDF-Extract("", secret), info, 32). ``info`` is a pre-authentication encoding."""
        return hmac.digest(self._prk, info + b"\x01", "sha256")

    def __repr__(self) -> str:
        return "Deriver(…)"


def derive(secret: bytes, info: bytes) -> bytes:
    """One 32-byte key derived from ``secret`` for the purpose that ``info`` names."""
    return Deriver(secret).derive(info)
