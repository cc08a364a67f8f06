"""Sealing to a public key: HPKE, base mode, single shot (RFC 9180).

KEM MLKEM768-X25519 (0x647a, draft-ietf-hpke-pq), KDF HKDF-SHA256, AEAD AES-256-GCM, through ``cryptography``. A public
key is 1184 bytes of ML-KEM-768 followed by 32 bytes of X25519; what is sealed grows by 1136 bytes. All binding goes
into ``info``, a pre-authentication encoding of at most 1 KiB. This half cannot open anything; the other half is
``crypto.sealed.unsealing``. The sender is never proved by a seal: a seal counts only where a signed body names it.
"""

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from crypto.errors import Malformed, TooLarge

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
OVERHEAD = 1136
MAX_INFO = 1024

_CURVE_PRIME = 2**255 - 19


def seal(public_key: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal ``plaintext`` to ``public_key`` (1216 bytes), bound to ``info``.

    Raises Malformed for a key that is not one, TooLarge for more than 1 KiB of ``info``.
    """
    if len(info) > MAX_INFO:
        raise TooLarge("Nothing was sealed: the binding of a seal may hold 1 KiB at most.")
    try:
        return SUITE.encrypt(plaintext, _load(public_key), info=info)
    except ValueError:
        raise Malformed("Nothing was sealed: a public key is not a sound one.") from None


def check_public_key(public_key: bytes) -> None:
    """Raises Malformed unless ``public_key`` can be sealed to."""
    seal(public_key, b"", b"")


def key_hash(public_key: bytes) -> bytes:
    """The id of a sealing key: SHA-256 of its bytes."""
    return hashlib.sha256(public_key).digest()


@lru_cache(maxsize=64)  # many seals go to the same few keys, and reading one costs as much as sealing
def _load(public_key: bytes) -> hpke.MLKEM768X25519PublicKey:
    # X25519 takes other spellings of a number for the same key; then one key would have two hashes.
    if int.from_bytes(public_key[1184:], "little") >= _CURVE_PRIME:
        raise ValueError
    return hpke.MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(public_key[:1184]),
        x25519.X25519PublicKey.from_public_bytes(public_key[1184:]),
    )
