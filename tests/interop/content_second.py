"""A second implementation of docs/format/content.md, written from that page alone. Plain rather than fast."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class RefusedError(Exception):
    """What the page says is to be refused."""


def pae(label: bytes, *ids: bytes) -> bytes:
    """Section 2."""
    return b"DSSEv1" + b"".join(b" " + str(len(part)).encode() + b" " + part for part in (label, *ids))


def padded_length(n: int) -> int:
    """P(n) of section 3."""
    if n < 2:
        return 4096
    e = n.bit_length() - 1
    s = 0 if e == 0 else e.bit_length()
    unit = 1 << max(0, e - s)
    return max(4096, -(-n // unit) * unit)


def derive(content_key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, base nonce and commitment of section 1, with HKDF-Expand written out."""
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM" + b"\x00" + salt + context
    first = hmac.new(content_key, info + b"\x01", hashlib.sha512).digest()
    second = hmac.new(content_key, first + info + b"\x02", hashlib.sha512).digest()
    okm = (first + second)[:76]
    return okm[:32], okm[32:44], okm[44:]


def nonce(base: bytes, k: int) -> bytes:
    """The nonce of chunk k."""
    return bytes(a ^ b for a, b in zip(base, k.to_bytes(12, "big"), strict=True))


def encrypt(content_key: bytes, context: bytes, salt: bytes, plaintext: bytes) -> bytes:
    """Section 1."""
    key, base, commitment = derive(content_key, salt, context)
    out = salt + commitment
    for k in range(len(plaintext) // 16384 + 1):
        out += AESGCM(key).encrypt(nonce(base, k), plaintext[k * 16384 : (k + 1) * 16384], None)
    return out


def decrypt(content_key: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Section 1, the other way."""
    body = ciphertext[56:]
    if len(body) < 16 or len(body) % 16400 < 16:
        raise RefusedError("length")
    key, base, commitment = derive(content_key, ciphertext[:24], context)
    if not hmac.compare_digest(commitment, ciphertext[24:56]):
        raise RefusedError("commitment")
    chunks = [body[start : start + 16400] for start in range(0, len(body), 16400)]
    return b"".join(AESGCM(key).decrypt(nonce(base, k), chunk, None) for k, chunk in enumerate(chunks))


def encrypt_document(content_key: bytes, context: bytes, salt: bytes, document: bytes) -> bytes:
    """Sections 1 and 3."""
    return encrypt(content_key, context, salt, document + bytes(padded_length(len(document)) - len(document)))


def open_document(content_key: bytes, context: bytes, ciphertext: bytes, root: bytes, n: int) -> bytes:
    """Section 5."""
    p = padded_length(n)
    if len(ciphertext) != 56 + p + 16 * (p // 16384 + 1):
        raise RefusedError("length")
    if ct_root(ciphertext) != root:
        raise RefusedError("root")
    plaintext = decrypt(content_key, context, ciphertext)
    if any(plaintext[n:]):
        raise RefusedError("padding")
    return plaintext[:n]


def leaf_hashes(ciphertext: bytes) -> list[bytes]:
    """The leaves of section 4."""
    count = -(-(len(ciphertext) - 56) // 65600)
    pieces = [ciphertext[56 + i * 65600 : 56 + (i + 1) * 65600] for i in range(count)]
    pieces[0] = ciphertext[:56] + pieces[0]
    return [hashlib.sha256(b"\x00" + piece).digest() for piece in pieces]


def mth(hashes: list[bytes]) -> bytes:
    """MTH of section 4."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def ct_root(ciphertext: bytes) -> bytes:
    """Section 4."""
    return mth(leaf_hashes(ciphertext))


def part_hashes(ciphertext: bytes) -> list[bytes]:
    """Section 6."""
    leaves = leaf_hashes(ciphertext)
    return [mth(leaves[first : first + 128]) for first in range(0, len(leaves), 128)]
