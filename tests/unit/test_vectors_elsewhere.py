"""Signatures, derivation, sealing and joining against vectors that nobody here wrote.

Each test notes how many it ran from which file; the run's last lines give the sums.
"""

import base64
import json
import zlib

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.derivation import Deriver, derive
from crypto.encoding import pae
from crypto.errors import BadSignature
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import VerifyKey

MLKEM768_X25519, MLKEM768, X25519 = 0x647A, 0x0041, 0x0020
AEADS = {1: hpke.AEAD.AES_128_GCM, 2: hpke.AEAD.AES_256_GCM, 3: hpke.AEAD.CHACHA20_POLY1305}
KEMS = {MLKEM768_X25519: hpke.KEM.MLKEM768_X25519, MLKEM768: hpke.KEM.MLKEM768, X25519: hpke.KEM.X25519}
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@pytest.fixture
def count(record_property):
    """Notes that ``number`` vectors of file ``name`` have run, and that it is not none."""

    def note(name, number):
        assert number > 0
        record_property(name, number)

    return note


def load(path):
    """A file of vectors."""
    return json.loads(path.read_text(encoding="utf-8"))


def wycheproof(shared_vectors, name):
    """Every case of a Wycheproof file, with its group."""
    groups = load(shared_vectors / "wycheproof" / name)["testGroups"]
    return [(group, case) for group in groups for case in group["tests"]]


def test_dsse(shared_vectors, count):
    """The joining of one part is that of DSSE's own example."""
    example = load(shared_vectors / "dsse" / "pae.json")
    assert pae(example["payload_type"], example["body"].encode()) == example["pae"].encode()
    count("dsse/pae.json", 1)


def test_wycheproof_ed25519(shared_vectors, count):
    """Each signature is accepted or refused as Wycheproof says; every one of its public keys is a key."""
    cases = wycheproof(shared_vectors, "ed25519_test.json")
    for group, case in cases:
        key = VerifyKey(bytes.fromhex(group["publicKey"]["pk"]))
        message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
        if case["result"] == "valid":
            key.check(message, signature)
        else:
            with pytest.raises(BadSignature):
                key.check(message, signature)
    count("wycheproof/ed25519_test.json", len(cases))


def test_wycheproof_hkdf_sha256(shared_vectors, count):
    """Where the salt is empty and a block or less is asked for, our derivation gives Wycheproof's bytes.

    Longer outputs begin with our block too, for the first block does not depend on the length.
    """
    fitting = [
        case
        for _, case in wycheproof(shared_vectors, "hkdf_sha256_test.json")
        if not case["salt"] and case["result"] == "valid"
    ]
    for case in fitting:
        secret, info, okm = (bytes.fromhex(case[part]) for part in ("ikm", "info", "okm"))
        length = min(32, case["size"])
        assert derive(secret, info)[:length] == okm[:length]
        assert Deriver(secret).derive(info) == derive(secret, info)
    count("wycheproof/hkdf_sha256_test.json", len(fitting))


def test_wycheproof_aes_gcm(shared_vectors, count):
    """The cipher of wraps and content encrypts and refuses as Wycheproof says, where it takes the nonce at all.

    It takes nonces of 8 to 128 bytes; ours have 12.
    """
    run = 0
    for group, case in wycheproof(shared_vectors, "aes_gcm_test.json"):
        if not 64 <= group["ivSize"] <= 1024:
            assert {"LongIv", "SmallIv", "ZeroLengthIv"} & set(case["flags"])
            continue
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(case[part]) for part in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        if case["result"] == "valid":
            assert AESGCM(key).encrypt(nonce, plaintext, aad) == ciphertext + tag
            assert AESGCM(key).decrypt(nonce, ciphertext + tag, aad) == plaintext
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
        run += 1
    count("wycheproof/aes_gcm_test.json", run)


def test_wycheproof_x25519(shared_vectors, count):
    """The classical half of sealing computes Wycheproof's secrets, and refuses the keys that give none."""
    cases = wycheproof(shared_vectors, "x25519_test.json")
    for _, case in cases:
        private = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
        public = x25519.X25519PublicKey.from_public_bytes(bytes.fromhex(case["public"]))
        if "ZeroSharedSecret" in case["flags"]:
            with pytest.raises(ValueError, match=r"[Ee]rror"):
                private.exchange(public)
        else:
            assert private.exchange(public).hex() == case["shared"]
    count("wycheproof/x25519_test.json", len(cases))


def test_wycheproof_mlkem_768(shared_vectors, count):
    """The other half decapsulates to Wycheproof's secrets; ciphertexts and seeds of another length are refused."""
    cases = wycheproof(shared_vectors, "mlkem_768_test.json")
    for _, case in cases:
        seed, ciphertext = bytes.fromhex(case["seed"]), bytes.fromhex(case["c"])
        if case["result"] == "valid":
            key = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
            assert key.public_key().public_bytes_raw().hex() == case["ek"]
            assert key.decapsulate(ciphertext).hex() == case["K"]
        else:
            with pytest.raises(ValueError, match=r".+"):
                mlkem.MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)
    count("wycheproof/mlkem_768_test.json", len(cases))


def private_key(kem, raw):
    """A private key of a vector. For our KEM it is made by our own expansion of the seed."""
    if kem == MLKEM768_X25519:
        ours = UnsealingKey(SecretBytes(raw))
        return ours._key, ours.public
    if kem == MLKEM768:
        key = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw)
        return key, key.public_key().public_bytes_raw()
    key = x25519.X25519PrivateKey.from_private_bytes(raw)
    return key, key.public_key().public_bytes_raw()


@pytest.mark.parametrize("name", ["hpke-pq-draft04.json", "rfc9180.json"])
def test_hpke(shared_vectors, count, name):
    """Each set's private key gives its public key, and opens its first message; a wrong info or tag does not.

    Our own suite is of the draft's KEM with another cipher than its vectors use, so the cipher is taken from the set;
    expansion of the seed, KEM and key schedule are those of ``crypto.sealing``. Later messages of a set do not come
    up in single-shot use.
    """
    run = 0
    for vector in load(shared_vectors / "hpke" / name):
        if vector["aead_id"] not in AEADS:
            continue
        suite = hpke.Suite(KEMS[vector["kem_id"]], hpke.KDF.HKDF_SHA256, AEADS[vector["aead_id"]])
        key, public = private_key(vector["kem_id"], bytes.fromhex(vector["skRm"]))
        assert public.hex() == vector["pkRm"]
        info, enc, first = (
            bytes.fromhex(vector["info"]),
            bytes.fromhex(vector["enc"]),
            vector["encryptions"][0],
        )
        aad, sealed = bytes.fromhex(first["aad"]), enc + bytes.fromhex(first["ct"])
        opened = openssl.hpke._decrypt_with_aad(suite, sealed, key, info, aad)
        assert opened.hex() == first["pt"]
        for bad_info, bad_sealed in ((info + b"x", sealed), (info, sealed[:-1] + bytes([sealed[-1] ^ 1]))):
            with pytest.raises(InvalidTag):
                openssl.hpke._decrypt_with_aad(suite, bad_sealed, key, bad_info, aad)
        run += 1
    count(f"hpke/{name}", run)


def fields_of(data):
    """The fields in front of an age test file, some of them several times, and the file itself."""
    head, _, body = data.partition(b"\n\n")
    fields = [line.split(": ", 1) for line in head.decode().split("\n")]
    known = dict(fields)
    if known.get("compressed") == "zlib":
        body = zlib.decompress(body)
    if known.get("armored") == "yes":
        body = base64.b64decode(b"".join(body.strip().split(b"\n")[1:-1]))
    return known, [value for name, value in fields if name == "identity"], body


def seed_of(identity):
    """The 32-byte seed in a Bech32 identity; its checksum is not our subject."""
    data = identity.lower().rpartition("1")[2][:-6]
    bits = "".join(f"{BECH32.index(character):05b}" for character in data)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) // 8 * 8, 8))


def hybrid_stanzas(body):
    """The arguments and body lines of each hybrid stanza in an age header."""
    header = body.partition(b"\n---")[0].decode()
    for stanza in header.split("\n-> ")[1:]:
        first, *lines = stanza.split("\n")
        kind, *arguments = first.split(" ")
        if kind == "mlkem768x25519":
            yield arguments, "".join(lines)


def strict(text):
    """Unpadded base64 in its one form."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if base64.b64encode(data).decode().rstrip("=") != text:
        raise ValueError("not in the one form")
    return data


def file_key(arguments, text, key):
    """What a hybrid stanza holds for ``key``, or nothing when it is malformed or does not open."""
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    try:
        (enc,), sealed = map(strict, arguments), strict(text)
        if len(enc) != 1120:
            return None
        return suite.decrypt(enc + sealed, key, info=b"age-encryption.org/mlkem768x25519")
    except (InvalidTag, ValueError):
        return None


def test_age_hybrid(shared_vectors, count):
    """The hybrid stanza of each age file opens to its file key under our expansion of the seed, or is refused."""
    paths = sorted(path for path in (shared_vectors / "age").iterdir() if "hybrid" in path.name)
    for path in paths:
        fields, identities, body = fields_of(path.read_bytes())
        seeds = [seed_of(each) for each in identities if each.startswith("AGE-SECRET-KEY-PQ-")]
        keys = [UnsealingKey(SecretBytes(seed))._key for seed in seeds]
        found = {file_key(*stanza, key) for stanza in hybrid_stanzas(body) for key in keys} - {None}
        expected = {bytes.fromhex(fields["file key"])} if fields["expect"] == "success" else set()
        assert found == expected, path.name
    count("age/*hybrid*", len(paths))
