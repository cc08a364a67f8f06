"""A second implementation of docs/format/sealing.md: the HPKE key schedule and the hybrid KEM written out.

ML-KEM-768, X25519 and the AEAD are taken from ``cryptography``; its HPKE is not used. The AEAD can be exchanged, since
the published vectors of this KEM use another one than the suite.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

AES_256_GCM, CHACHA20_POLY1305 = 2, 3
CIPHERS = {AES_256_GCM: AESGCM, CHACHA20_POLY1305: ChaCha20Poly1305}
CURVE_LABEL = bytes.fromhex("5c2e2f2f5e5c")


class RefusedError(Exception):
    """What the page says is to be refused."""


def private_keys(seed):
    """Both private halves of a seed."""
    expanded = hashlib.shake_256(seed).digest(96)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def public_key(seed):
    """The 1216 bytes."""
    kem, curve = private_keys(seed)
    return kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def shared_secret(ss_m, ss_x, ct_x, pk_x):
    """The combiner."""
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + CURVE_LABEL).digest()


def encapsulate(public):
    """A fresh shared secret and its encapsulation."""
    if len(public) != 1216:
        raise RefusedError("length")
    if int.from_bytes(public[1184:], "little") >= 2**255 - 19:
        raise RefusedError("another spelling of a key")
    fresh = X25519PrivateKey.generate()
    try:
        ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
        ss_x = fresh.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    except ValueError as error:
        raise RefusedError("an unsound key") from error
    ct_x = fresh.public_key().public_bytes_raw()
    return shared_secret(ss_m, ss_x, ct_x, public[1184:]), ct_m + ct_x


def decapsulate(seed, enc):
    """The shared secret of an encapsulation."""
    kem, curve = private_keys(seed)
    ct_m, ct_x = enc[:1088], enc[1088:]
    try:
        ss_x = curve.exchange(X25519PublicKey.from_public_bytes(ct_x))
    except ValueError as error:
        raise RefusedError("zero") from error
    return shared_secret(kem.decapsulate(ct_m), ss_x, ct_x, curve.public_key().public_bytes_raw())


def key_and_nonce(ss, info, aead):
    """The key schedule."""
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x647A, 1, aead))

    def extract(salt, label, ikm):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk, label, about, length):
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + about
        return hmac.digest(prk, labelled + b"\x01", "sha256")[:length]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(ss, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


def seal(public, info, plaintext, *, aead=AES_256_GCM):
    """A box."""
    if len(info) > 1024:
        raise RefusedError("info")
    ss, enc = encapsulate(public)
    key, nonce = key_and_nonce(ss, info, aead)
    return enc + CIPHERS[aead](key).encrypt(nonce, plaintext, None)


def unseal(seed, info, box, *, aead=AES_256_GCM):
    """What is in a box. Refuses everything that is not one for this key and ``info``."""
    if len(box) < 1136 or len(info) > 1024:
        raise RefusedError("length")
    key, nonce = key_and_nonce(decapsulate(seed, box[:1120]), info, aead)
    try:
        return CIPHERS[aead](key).decrypt(nonce, box[1120:], None)
    except InvalidTag as error:
        raise RefusedError("tag") from error


def random_seed():
    """A fresh private key."""
    return os.urandom(32)
