"""Envelopes and keys: who signed, what, and which keys are no keys."""

import hashlib

import msgspec
import pytest

from crypto.encoding import Body, encode, pae
from crypto.errors import BadSignature, Malformed
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, VerifyKey, read, sign, sign_encoded, verify, verify_keys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
KEY, OTHER = SigningKey(SecretBytes(bytes(32))), SigningKey(SecretBytes(b"\1" * 32))
LABEL = "test/statement"


class Statement(Body, frozen=True):
    """Something to sign."""

    text: str


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The sum of two points of edwards25519, by the formula of RFC 8032, section 5.1."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """``factor`` times a point."""
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def x_of(y: int) -> int | None:
    """An x with (x, y) on the curve, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for candidate in (x, x * ROOT_OF_MINUS_ONE % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def written(y: int, sign_bit: int) -> bytes:
    """32 bytes with this y, reduced or not, and this sign bit."""
    return (y | sign_bit << 255).to_bytes(32, "little")


def small_order_points() -> set[tuple[int, int]]:
    """The eight points whose order divides 8: any point times the large prime, and its multiples."""
    y = 2
    while True:
        x = x_of(y)
        if x is not None:
            torsion = times(L, (x, y))
            if times(4, torsion) != (0, 1):
                return {times(factor, torsion) for factor in range(8)}
        y += 1


def small_order_encodings() -> list[bytes]:
    """Every 32 bytes that a lenient reader takes for one of them: y may be unreduced, and x = 0 may bear a sign."""
    encodings = set()
    for x, y in small_order_points():
        for form in (y, y + P):
            if form < 2**255:
                encodings.add(written(form, x & 1))
                if x == 0:
                    encodings.add(written(form, 1))
    return sorted(encodings)


def test_there_are_fourteen_low_order_encodings():
    """The derivation finds eight points, eight canonical encodings of them and six others."""
    assert len(small_order_points()) == 8
    assert len(small_order_encodings()) == 14


@pytest.mark.parametrize("raw", small_order_encodings(), ids=bytes.hex)
def test_a_low_order_key_is_refused(raw):
    """No encoding of a small-order point is a key: under one, a constant signature fits many messages."""
    with pytest.raises(Malformed):
        VerifyKey(raw)


def test_a_key_with_a_small_part_is_refused():
    """An honest key is one; the same point plus one of order 2, 4 or 8 is none."""
    y = int.from_bytes(KEY.public.raw, "little") & (2**255 - 1)
    x = x_of(y)
    point = (x, y) if x & 1 == KEY.public.raw[31] >> 7 else (P - x, y)
    assert VerifyKey(written(point[1], point[0] & 1)).raw == KEY.public.raw
    mixed = [add(point, small) for small in small_order_points() if small != (0, 1)]
    for x, y in mixed:
        with pytest.raises(Malformed):
            VerifyKey(written(y, x & 1))


def test_other_bytes_are_no_key():
    """A point off the curve, an unreduced one and another length are refused."""
    off = next(y for y in range(2, 50) if x_of(y) is None)
    unreduced = [written(y + P, bit) for y in range(2, 19) if x_of(y) is not None for bit in (0, 1)]
    assert unreduced
    for raw in (written(off, 0), *unreduced, b"", KEY.public.raw[:31], KEY.public.raw + b"\0"):
        with pytest.raises(Malformed):
            VerifyKey(raw)


def test_what_is_signed_is_read():
    """A signed body comes back, and the key ids say who signed; with two keys, both."""
    envelope = sign(LABEL, Statement(text="yes"), KEY, OTHER)
    keys = verify_keys(KEY.public.raw, OTHER.public.raw)
    assert verify(envelope, LABEL, keys) == set(keys)
    assert read(envelope, LABEL, Statement, keys) == Statement(text="yes")
    assert envelope.signers == (KEY.public.key_id, OTHER.public.key_id)
    assert KEY.public.key_id == hashlib.sha256(KEY.public.raw).digest()
    assert sign_encoded(LABEL, encode(Statement(text="yes")), KEY, OTHER) == envelope


def test_the_digest_names_type_and_body():
    """The digest is over what was signed, whoever signed, and differs by type and body."""
    envelope = sign(LABEL, Statement(text="yes"), KEY)
    assert envelope.digest == hashlib.sha256(pae(LABEL, envelope.body)).digest()
    assert sign(LABEL, Statement(text="yes"), OTHER).digest == envelope.digest
    assert sign(LABEL + "2", Statement(text="yes"), KEY).digest != envelope.digest
    assert sign(LABEL, Statement(text="no"), KEY).digest != envelope.digest


def refused(envelope: Envelope, label: str = LABEL, *keys: SigningKey) -> None:
    """Both ways of checking refuse ``envelope``."""
    known = verify_keys(*(key.public.raw for key in keys or (KEY, OTHER)))
    with pytest.raises(BadSignature):
        verify(envelope, label, known)
    with pytest.raises(BadSignature):
        read(envelope, label, Statement, known)


def test_another_type_is_refused():
    """A body signed under one label counts under no other, though label and signature be swapped in."""
    envelope = sign(LABEL, Statement(text="yes"), KEY)
    refused(envelope, "test/other")
    refused(msgspec.structs.replace(envelope, type="test/other"))
    refused(msgspec.structs.replace(envelope, type="test/other"), "test/other")


def test_every_signature_must_count():
    """A signature twice, by an unknown key, under another key's name, over another body, or none at all: refused."""
    envelope = sign(LABEL, Statement(text="yes"), KEY)
    (signature,) = envelope.signatures
    replace = msgspec.structs.replace
    refused(replace(envelope, signatures=(signature, signature)))
    refused(replace(envelope, signatures=()))
    refused(sign(LABEL, Statement(text="yes"), KEY, OTHER), LABEL, KEY)
    refused(replace(envelope, signatures=(replace(signature, key=OTHER.public.key_id),)))
    refused(replace(envelope, body=encode(Statement(text="no"))))


def test_a_signature_is_read_in_one_form():
    """S plus the group order, which satisfies the same equation, is refused; so is a non-canonical or small R."""
    message = b"message"
    signature = KEY.sign_bytes(message)
    KEY.public.check(message, signature)
    larger = (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")
    forged = [signature[:32] + larger, *(raw + signature[32:] for raw in small_order_encodings()), bytes(64)]
    for each in forged:
        with pytest.raises(BadSignature):
            KEY.public.check(message, each)


def test_the_border_between_signature_and_message_holds():
    """Moving bytes between signature and message is refused, though their joined bytes are the same."""
    signature = KEY.sign_bytes(b"message")
    for at in (0, 1, 63, 65):
        joined = signature + b"message"
        with pytest.raises(BadSignature):
            KEY.public.check(joined[at:], joined[:at])


def test_a_verified_body_must_also_parse():
    """A sound signature over another form of the same body does not make it readable."""
    envelope = sign_encoded(LABEL, b'{ "text":"yes"}', KEY)
    with pytest.raises(Malformed):
        read(envelope, LABEL, Statement, verify_keys(KEY.public.raw))


def test_a_signing_key_comes_back_from_its_seed():
    """The seed is all there is to keep."""
    key = SigningKey.generate()
    assert SigningKey(key.seed).public.raw == key.public.raw
    assert SigningKey.generate().public.raw != key.public.raw
