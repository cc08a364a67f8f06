"""Two implementations of HPKE with the hybrid KEM: each opens the other's boxes, and published vectors hold."""

import json

import pytest

from crypto import sealing
from crypto.errors import CoffreError
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from tests.interop import sealing_second as second

SEED = bytes(range(32))
OURS = UnsealingKey(SecretBytes(SEED))
INFO = b"what it is for"


def test_keys_grow_from_seeds_alike():
    """A seed gives the same public key."""
    assert second.public_key(SEED) == OURS.public


@pytest.mark.parametrize("plaintext", [b"", b"x" * 64, b"y" * 5000])
def test_each_opens_what_the_other_sealed(plaintext):
    """Boxes of either open in both."""
    assert second.unseal(SEED, INFO, sealing.seal(OURS.public, INFO, plaintext)) == plaintext
    assert OURS.open(INFO, second.seal(OURS.public, INFO, plaintext)) == plaintext


@pytest.mark.parametrize("at", [0, 1087, 1088, 1119, 1120, -17, -1])
def test_both_refuse_a_changed_byte(at):
    """A box with one byte changed anywhere opens in neither."""
    box = bytearray(second.seal(OURS.public, INFO, b"secret"))
    box[at] ^= 1
    with pytest.raises(CoffreError):
        OURS.open(INFO, bytes(box))
    with pytest.raises(second.RefusedError):
        second.unseal(SEED, INFO, bytes(box))


@pytest.mark.parametrize(
    ("info", "box"),
    [
        (b"another", second.seal(OURS.public, INFO, b"")),
        (bytes(1025), second.seal(OURS.public, INFO, b"")),
        (INFO, second.seal(OURS.public, INFO, b"")[:-1]),
        (INFO, b""),
        (INFO, second.seal(OURS.public, INFO, b"")[:1088] + bytes(32) + bytes(16)),
    ],
    ids=["another info", "long info", "short box", "no box", "a zero point"],
)
def test_both_refuse_what_is_no_box(info, box):
    """Another binding, another length and a zero point are refused by both."""
    with pytest.raises(CoffreError):
        OURS.open(info, box)
    with pytest.raises(second.RefusedError):
        second.unseal(SEED, info, box)


@pytest.mark.parametrize(
    "public", [OURS.public[:-32] + bytes(32), b"\xff" * 1216, OURS.public[:-1], b""], ids=range(4)
)
def test_both_refuse_unsound_keys(public):
    """A zero point, coefficients out of range and another length are sealed to by neither."""
    with pytest.raises(CoffreError):
        sealing.seal(public, INFO, b"")
    with pytest.raises(second.RefusedError):
        second.seal(public, INFO, b"")


def test_published_vectors_open(shared_vectors, record_property):
    """The draft's own vectors for this KEM, with the AEAD they use, give the same secrets, keys and plaintexts."""
    sets = json.loads((shared_vectors / "hpke" / "hpke-pq-draft04.json").read_text())
    opened = 0
    for each in sets:
        if (each["kem_id"], each["kdf_id"]) != (0x647A, 1):
            continue
        seed, enc, info = (bytes.fromhex(each[name]) for name in ("skRm", "enc", "info"))
        assert second.public_key(seed).hex() == each["pkRm"]
        secret = second.decapsulate(seed, enc)
        assert secret.hex() == each["shared_secret"]
        key, nonce = second.key_and_nonce(secret, info, each["aead_id"])
        assert (key.hex(), nonce.hex()) == (each["key"], each["base_nonce"])
        for entry in each["encryptions"]:
            aad, ct, of_entry = (bytes.fromhex(entry[name]) for name in ("aad", "ct", "nonce"))
            cipher = second.CIPHERS[each["aead_id"]](key)
            assert cipher.decrypt(of_entry, ct, aad).hex() == entry["pt"]
            opened += 1
    record_property("opened", opened)
    assert opened > 0
