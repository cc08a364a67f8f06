"""Content: C2SP chunked-encryption, Cobblestone-256 (c2sp.org/chunked-encryption, version 1).

One fresh key, base nonce and commitment per ciphertext, by HKDF-Expand-SHA-512 from a 32-byte content key, a random
24-byte salt and a context, which is always a pre-authentication encoding: what the content is and whose. Chunks of
16 KiB under AES-256-GCM; the nonce is the base nonce XOR the chunk's number, so chunks cannot be moved; the last
chunk is shorter than the others, so none can be cut off. The commitment is checked before anything is deciphered: no
ciphertext opens under two keys.

``Sealer`` and ``Opener`` work on blocks of whole pieces between buffers of the caller, in any order and from several
threads. ``seal`` and ``open`` take small content whole; ``seal_document`` and ``open_document`` also pad it. Every
failure of opening is the same CannotOpen.
"""

import hmac
import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto import pieces
from crypto.errors import CannotOpen, Malformed
from crypto.padding import padded_length
from crypto.secret_bytes import SecretBytes

KEY: Final = 32
SALT: Final = 24

_SHA512 = SHA512()
_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"


class Sealer:
    """Seals one ciphertext, block by block. ``header`` goes before the first block.

    Each block is to be sealed once: two plaintexts in one place would give both away.
    """

    __slots__ = ("_aead", "_base_nonce", "header")

    def __init__(self, key: SecretBytes, context: bytes) -> None:
        """Draws a fresh salt. Raises Malformed for a key that is not 32 bytes."""
        self._aead, self._base_nonce, self.header = _derive(key, context, secrets.token_bytes(SALT))

    @classmethod
    def again(cls, key: SecretBytes, context: bytes, header: bytes) -> Self:
        """Seals as the ciphertext that begins with ``header`` was sealed, to see whether the same comes out.

        What it gives is to be hashed and thrown away, never kept: other content would give both away. Raises CannotOpen
        when ``header`` is not of this key and context.
        """
        sealer = cls.__new__(cls)
        opener = Opener(key, context, header)
        sealer._aead, sealer._base_nonce, sealer.header = opener._aead, opener._base_nonce, header
        return sealer

    def seal_into(self, first_piece: int, plaintext: memoryview, ciphertext: memoryview) -> int:
        """Seal a block that begins with piece ``first_piece``; returns how many bytes of ``ciphertext`` it took.

        A block of whole pieces goes on after its end; any other, also an empty one, is the last of its ciphertext.
        """
        aead, base = self._aead, self._base_nonce
        chunk, written, length = first_piece * pieces.CHUNKS, 0, len(plaintext)
        is_last = not length or length % pieces.PLAIN_PIECE != 0
        for start in range(0, length + is_last, pieces.CHUNK):
            open_chunk = plaintext[start : start + pieces.CHUNK]
            size = len(open_chunk) + pieces.TAG
            aead.encrypt_into(_nonce(base, chunk), open_chunk, None, ciphertext[written : written + size])
            chunk, written = chunk + 1, written + size
        return written


class Opener:
    """Opens one ciphertext, block by block. ``header`` is what stood before the first block."""

    __slots__ = ("_aead", "_base_nonce", "header")

    def __init__(self, key: SecretBytes, context: bytes, header: bytes) -> None:
        """Checks the commitment of ``header``. Raises CannotOpen under another key or context."""
        if len(key) != KEY:
            raise CannotOpen
        self._aead, self._base_nonce, self.header = _derive(key, context, header[:SALT])
        if not hmac.compare_digest(self.header, header):
            raise CannotOpen

    def open_into(self, first_piece: int, ciphertext: memoryview, plaintext: memoryview) -> int:
        """Open a block that begins with piece ``first_piece``; returns how many bytes of ``plaintext`` it took.

        Checks every tag. That a block is the last one the caller knows from the ciphertext's length: a block of
        whole pieces is not, any other is. Raises CannotOpen; ``plaintext`` is then to be thrown away.
        """
        aead, base = self._aead, self._base_nonce
        chunk, written, length = first_piece * pieces.CHUNKS, 0, len(ciphertext)
        if not length or (length % pieces.PIECE and length % pieces.SEALED_CHUNK < pieces.TAG):
            raise CannotOpen
        try:
            for start in range(0, length, pieces.SEALED_CHUNK):
                sealed_chunk = ciphertext[start : start + pieces.SEALED_CHUNK]
                size = len(sealed_chunk) - pieces.TAG
                aead.decrypt_into(
                    _nonce(base, chunk), sealed_chunk, None, plaintext[written : written + size]
                )
                chunk, written = chunk + 1, written + size
        except InvalidTag:
            raise CannotOpen from None
        return written


def seal(key: SecretBytes, context: bytes, plaintext: bytes) -> bytes:
    """Seal small content whole, under a fresh salt. Raises Malformed for a key that is not 32 bytes."""
    return _seal(key, context, secrets.token_bytes(SALT), plaintext)


def open(key: SecretBytes, context: bytes, ciphertext: bytes) -> bytes:  # noqa: A001 - the format's own verb
    """What ``seal`` sealed. Checks length, commitment and every tag; raises CannotOpen."""
    try:
        plaintext = bytearray(pieces.plaintext_length(len(ciphertext)))
    except Malformed:
        raise CannotOpen from None
    opener = Opener(key, context, ciphertext[: pieces.HEADER])
    opener.open_into(0, memoryview(ciphertext)[pieces.HEADER :], memoryview(plaintext))
    return bytes(plaintext)


def seal_document(key: SecretBytes, context: bytes, document: bytes) -> bytes:
    """Pad ``document`` with zeros to its Padmé length and seal it whole."""
    return seal(key, context, document.ljust(padded_length(len(document)), b"\0"))


def open_document(key: SecretBytes, context: bytes, ciphertext: bytes, length: int) -> bytes:
    """The document of ``length`` bytes that ``seal_document`` sealed.

    Checks what ``open`` checks, and that the padding is exactly what that length asks for. Raises CannotOpen.
    """
    padded = open(key, context, ciphertext)
    if len(padded) != padded_length(length) or padded[length:] != bytes(len(padded) - length):
        raise CannotOpen
    return padded[:length]


def _seal(key: SecretBytes, context: bytes, salt: bytes, plaintext: bytes) -> bytes:
    # Sealing takes a salt here, for vectors, and in ``Sealer.again``, for comparing; nowhere else.
    aead, base, header = _derive(key, context, salt)
    sealed = [header]
    for chunk in range(len(plaintext) // pieces.CHUNK + 1):
        open_chunk = plaintext[chunk * pieces.CHUNK : (chunk + 1) * pieces.CHUNK]
        sealed.append(aead.encrypt(_nonce(base, chunk), open_chunk, None))
    return b"".join(sealed)


def _derive(key: SecretBytes, context: bytes, salt: bytes) -> tuple[AESGCM, int, bytes]:
    """The cipher, the base nonce and the header of one ciphertext."""
    prk = key.reveal()
    if len(prk) != KEY:
        raise Malformed("A content key was refused: it must be 32 bytes. Nothing was sealed.")
    okm = HKDFExpand(_SHA512, KEY + 12 + 32, _INFO + salt + context).derive(prk)
    return AESGCM(okm[:KEY]), int.from_bytes(okm[KEY : KEY + 12], "big"), salt + okm[KEY + 12 :]


def _nonce(base: int, chunk: int) -> bytes:
    return (base ^ chunk).to_bytes(12, "big")
