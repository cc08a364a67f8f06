"""The passkey's signature: a key of RFC 6979, its COSE form, and what is no key."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import Malformed
from crypto.es256 import ALGORITHM, Es256Key, check_public_key
from crypto.secret_bytes import SecretBytes
from tests.strategies import edits

# RFC 6979, appendix A.2.5
SCALAR = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
X = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
Y = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_a_key_of_the_standard() -> None:
    """The point is that of RFC 6979, written as the COSE key of RFC 9053 with five entries in canonical order."""
    key = Es256Key(SecretBytes(bytes.fromhex(SCALAR)))
    assert key.cose.hex() == f"a5010203262001215820{X}225820{Y}"
    assert key.cose[4] == 0x20 - 1 - ALGORITHM  # a negative number in CBOR
    public = ec.EllipticCurvePublicNumbers(int(X, 16), int(Y, 16), ec.SECP256R1()).public_key()
    public.verify(key.sign_bytes(b"sample"), b"sample", ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(key.sign_bytes(b"sample"), b"Sample", ec.ECDSA(SHA256()))


def test_a_fresh_key_is_kept_as_its_scalar() -> None:
    """Two keys differ; the scalar makes the same key again, at its full length."""
    key = Es256Key.generate()
    assert Es256Key(key.scalar).cose == key.cose != Es256Key.generate().cose
    assert len(key.scalar) == 32


@pytest.mark.parametrize(
    "scalar",
    [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, b"\x01" * 31, b"\x01" * 33, b""],
    ids=["zero", "the order", "above it", "short", "long", "empty"],
)
def test_what_is_no_key_is_refused(scalar: bytes) -> None:
    """Neither a scalar outside the group nor another length."""
    with pytest.raises(Malformed):
        Es256Key(SecretBytes(scalar))


def test_a_public_key_has_77_bytes() -> None:
    """The same point with a zero in front of a coordinate is refused."""
    cose = Es256Key(SecretBytes(bytes.fromhex(SCALAR))).cose
    for at in (10, 45):
        with pytest.raises(Malformed):
            check_public_key(cose[:at] + b"\0" + cose[at:])


@given(data=st.data())
def test_a_public_key_has_one_form(data: st.DataObject) -> None:
    """That of a key is taken; with one byte changed, left out, doubled or put in, it is not."""
    cose = Es256Key(SecretBytes(bytes.fromhex(SCALAR))).cose
    check_public_key(cose)
    with pytest.raises(Malformed):
        check_public_key(data.draw(edits(cose).filter(lambda edited: edited != cose)))
