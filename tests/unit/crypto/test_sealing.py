"""HPKE in both halves: what opens, what does not, and that no refusal tells why."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.errors import CannotOpen, Malformed, TooLarge
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import MAX_INFO, OVERHEAD, SUITE, check_public_key, key_hash, seal
from crypto.secret_bytes import SecretBytes
from tests.support.people import fresh

KEY = UnsealingKey(SecretBytes(bytes(range(32))))
P = 2**255 - 19


def low_order_u() -> list[int]:
    """The u of Montgomery points of small order: 0, 1, -1, and those of order 8, where doubling gives u = ±1."""
    # Doubling takes u to (u^2-1)^2 / 4u(u^2+Au+1). It is 1, of order 4, where u^4 - 4u^3 - (4A+2)u^2 - 4u + 1 = 0,
    # that is (u + 1/u - 2)^2 = 4A + 8, so u + 1/u = 2 ± sqrt(4A + 8).
    a, found = 486662, [0, 1, P - 1]
    for root in square_roots(4 * a + 8):
        total = (2 + root) % P
        found += [(total + half) * pow(2, -1, P) % P for half in square_roots(total * total - 4)]
    return found


def square_roots(square: int) -> list[int]:
    """Both square roots modulo P, or none."""
    root = pow(square % P, (P + 3) // 8, P)
    for each in (root, root * pow(2, (P - 1) // 4, P) % P):
        if each * each % P == square % P:
            return [each, P - each]
    return []


def test_what_is_sealed_opens():
    """A seal opens with the key and the info it was made for, and grows by a fixed length."""
    for plaintext in (b"", b"x", bytes(10_000)):
        sealed = seal(KEY.public, b"info", plaintext)
        assert KEY.open(b"info", sealed) == plaintext
        assert len(sealed) == len(plaintext) + OVERHEAD
    assert seal(KEY.public, b"", b"x") != seal(KEY.public, b"", b"x")


def opened_by_hand(seed: bytes, info: bytes, sealed: bytes) -> bytes:
    """HPKE once more from its text: X-Wing's combiner (draft-connolly-cfrg-xwing-kem), RFC 9180's key schedule.

    No published vectors combine this KEM with AES-256-GCM.
    """
    suite = b"HPKE" + bytes.fromhex("647a00010002")
    enc, ciphertext = sealed[:1120], sealed[1120:]
    expanded = hashlib.shake_256(seed).digest(96)
    curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    secret = hashlib.sha3_256(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(enc[:1088])
        + curve.exchange(x25519.X25519PublicKey.from_public_bytes(enc[1088:]))
        + enc[1088:]
        + curve.public_key().public_bytes_raw()
        + bytes.fromhex("5c2e2f2f5e5c")
    ).digest()

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk: bytes, label: bytes, context: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(prk, labelled + b"\1", "sha256")[:length]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    schedule = extract(secret, b"secret", b"")
    key, nonce = expand(schedule, b"key", context, 32), expand(schedule, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, None)


def test_the_suite_is_the_one_written():
    """What is sealed opens under a key schedule written from the text of the two documents alone."""
    sealed = seal(KEY.public, b"some info", b"plaintext")
    assert opened_by_hand(KEY.seed.reveal(), b"some info", sealed) == b"plaintext"


def test_a_key_comes_back_from_its_seed():
    """The seed is all there is to keep; the public key has its length and its hash is its id."""
    again = UnsealingKey(KEY.seed)
    assert again.public == KEY.public
    assert len(KEY.public) == 1216
    assert again.open(b"", seal(KEY.public, b"", b"x")) == b"x"
    assert UnsealingKey.generate().public != KEY.public
    assert len(UnsealingKey.generate().seed) == 32
    assert key_hash(KEY.public) != key_hash(UnsealingKey.generate().public)


def test_every_failure_looks_alike():
    """Another key, another info, a change anywhere, a cut, an addition, nothing at all: one CannotOpen, one message."""
    sealed = seal(KEY.public, b"info", b"plaintext")
    assert KEY.open(b"info", sealed) == b"plaintext"
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        for at in (0, 500, 1087, 1088, 1119, 1120, 1128, len(sealed) - 1)
    ]
    attempts = [(KEY, b"info", each) for each in [*changed, sealed[:-1], sealed + b"\0", b"", sealed[:1120]]]
    attempts += [(UnsealingKey.generate(), b"info", sealed), (KEY, b"inf", sealed), (KEY, b"", sealed)]
    attempts += [(KEY, bytes(MAX_INFO + 1), sealed)]
    attempts += [
        (KEY, b"info", sealed[:1088] + u.to_bytes(32, "little") + sealed[1120:]) for u in low_order_u()
    ]
    messages = set()
    for key, info, each in attempts:
        with pytest.raises(CannotOpen) as refusal:
            key.open(info, each)
        messages.add(str(refusal.value))
        assert refusal.value.__context__ is None or refusal.value.__suppress_context__
    assert messages == {str(CannotOpen())}


def test_info_has_a_limit():
    """1 KiB of info is sealed; one byte more is TooLarge, and is not opened though another sealed it."""
    assert KEY.open(bytes(MAX_INFO), seal(KEY.public, bytes(MAX_INFO), b"x")) == b"x"
    with pytest.raises(TooLarge):
        seal(KEY.public, bytes(MAX_INFO + 1), b"x")
    public = hpke.MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(KEY.public[:1184]),
        x25519.X25519PublicKey.from_public_bytes(KEY.public[1184:]),
    )
    with pytest.raises(CannotOpen):
        KEY.open(bytes(MAX_INFO + 1), SUITE.encrypt(b"x", public, info=bytes(MAX_INFO + 1)))


def test_there_are_low_order_points_to_try():
    """The derivation finds the five points of small order."""
    assert len(set(low_order_u())) >= 5


@pytest.mark.parametrize("u", low_order_u(), ids=hex)
def test_a_low_order_key_is_refused(u):
    """A public key whose X25519 half has small order is Malformed, also unreduced and with the bit that is ignored."""
    check_public_key(KEY.public)
    for form in {u, u + P if u + P < 2**255 else u}:
        for bit in (0, 1):
            with pytest.raises(Malformed):
                check_public_key(KEY.public[:1184] + (form | bit << 255).to_bytes(32, "little"))


def test_a_key_has_one_spelling():
    """The bit that X25519 ignores and numbers above its prime are Malformed: one key would have two hashes."""
    kem, curve = KEY.public[:1184], int.from_bytes(KEY.public[1184:], "little")
    assert curve < P
    nine = (9).to_bytes(32, "little")  # the base point: small enough to have another spelling below 2^255
    check_public_key(kem + nine)
    for number in (curve | 1 << 255, 9 + P, P, 2**255 - 1, 9 | 1 << 255):
        for use in (check_public_key, lambda raw: seal(raw, b"", b"x")):
            with pytest.raises(Malformed):
                use(kem + number.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "raw",
    [b"", KEY.public[:-1], KEY.public + b"\0", b"\xff" * 1184 + KEY.public[1184:], KEY.public[1184:]],
    ids=["nothing", "short", "long", "coefficients above the modulus", "the classical half alone"],
)
def test_other_bytes_are_no_key(raw):
    """Another length, and ML-KEM coefficients that are not reduced, are Malformed, on registering and on sealing."""
    with pytest.raises(Malformed):
        check_public_key(raw)
    with pytest.raises(Malformed):
        seal(raw, b"", fresh())
