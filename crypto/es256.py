"""ES256, the one algorithm of passkeys: ECDSA on P-256 with SHA-256, as WebAuthn and COSE write it.

Only the client's own software passkey signs with it; the server verifies through its WebAuthn library, which is shown no key
that has not been checked here. Nothing of a vault depends on such a key: it opens a gate at the server, and no document.
"""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from crypto.errors import Malformed
from crypto.secret_bytes import SecretBytes

ALGORITHM = -7  # its number in COSE

_CURVE = ec.SECP256R1()
# The map {1: 2, 3: -7, -1: 1, -2: x, -3: y} of a COSE key, in the one order of canonical CBOR.
_BEFORE_X, _BEFORE_Y = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")


def check_public_key(cose: bytes) -> None:
    """Raises Malformed for anything but the one encoding, 77 bytes, of a public key of the curve."""
    x, y = cose[10:42], cose[45:]
    if cose != _BEFORE_X + x + _BEFORE_Y + y or len(y) != 32:
        raise Malformed("A passkey's public key does not have its one form. It was not taken.")
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), _CURVE)
    try:
        point.public_key()
    except ValueError:
        raise Malformed("A passkey's public key is no point of its curve. It was not taken.") from None


class Es256Key:
    """A private key, kept as its 32-byte scalar."""

    __slots__ = ("_key", "scalar")

    def __init__(self, scalar: SecretBytes) -> None:
        """Raises Malformed for anything but 32 bytes that are a private key of the curve."""
        if len(scalar) != 32:
            raise Malformed("A passkey's key does not have 32 bytes. It was not used.")
        try:
            self._key = ec.derive_private_key(int.from_bytes(scalar.reveal(), "big"), _CURVE)
        except ValueError:
            raise Malformed("A passkey's key is not one of its curve. It was not used.") from None
        self.scalar = scalar

    @classmethod
    def generate(cls) -> "Es256Key":
        """A fresh key."""
        value = ec.generate_private_key(_CURVE).private_numbers().private_value
        return cls(SecretBytes(value.to_bytes(32, "big")))

    @property
    def cose(self) -> bytes:
        """The public half as an encoded COSE key, 77 bytes."""
        point = self._key.public_key().public_numbers()
        return _BEFORE_X + point.x.to_bytes(32, "big") + _BEFORE_Y + point.y.to_bytes(32, "big")

    def sign_bytes(self, message: bytes) -> bytes:
        """A signature over ``message`` as it is, in DER."""
        return self._key.sign(message, ec.ECDSA(SHA256()))
