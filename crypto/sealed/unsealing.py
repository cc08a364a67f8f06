"""The private half of ``crypto.sealing``.

A private key is a 32-byte seed; SHAKE256(seed, 96) gives the 64-byte ML-KEM-768 seed and the X25519 scalar
(X-Wing's expansion, as draft-ietf-hpke-pq has it).
"""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.errors import CannotOpen
from crypto.sealing import MAX_INFO, SUITE
from crypto.secret_bytes import SecretBytes


class UnsealingKey:
    """A private key that opens what was sealed to ``public``."""

    __slots__ = ("_key", "public", "seed")

    def __init__(self, seed: SecretBytes) -> None:
        expanded = hashlib.shake_256(seed.reveal()).digest(96)
        kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self.seed = seed
        self._key = hpke.MLKEM768X25519PrivateKey(kem, curve)
        self.public = kem.public_key().public_bytes(
            Encoding.Raw, PublicFormat.Raw
        ) + curve.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def generate(cls) -> "UnsealingKey":
        """A fresh key."""
        return cls(SecretBytes.random(32))

    def open(self, info: bytes, sealed: bytes) -> bytes:
        """What was sealed to this key for ``info``. Raises CannotOpen for every kind of failure alike."""
        if len(info) > MAX_INFO:
            raise CannotOpen
        try:
            return SUITE.decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError):
            raise CannotOpen from None
