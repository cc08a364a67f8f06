"""The geometry of ciphertext, and the one hash that names it.

A ciphertext is a 56-byte header and chunks: 16 KiB of plaintext and a 16-byte tag each, the last always shorter
(C2SP chunked-encryption). Four chunks are a *piece*, 65,600 bytes, the unit that one thread reads, ciphers, hashes
and writes, and that can be proven and opened alone. 128 pieces are a *part*, the unit that travels. ``ct_root`` is
the RFC 6962 root over the pieces, the first preceded by the header; a full part is a complete subtree of it, so the
root follows from the hashes of the parts. Nothing here can open anything.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from crypto import merkle
from crypto.errors import Malformed, TooLarge

HEADER: Final = 56
CHUNK: Final = 16384
TAG: Final = 16
SEALED_CHUNK: Final = CHUNK + TAG
CHUNKS: Final = 4
PLAIN_PIECE: Final = CHUNKS * CHUNK
PIECE: Final = CHUNKS * SEALED_CHUNK
PART: Final = 128
MAX_CHUNKS: Final = 2**38

_LEAF = hashlib.sha256(b"\0")


def ciphertext_length(plaintext_length: int) -> int:
    """How long the ciphertext of ``plaintext_length`` bytes is. Raises TooLarge above 2^38 chunks."""
    chunks = plaintext_length // CHUNK + 1
    if chunks > MAX_CHUNKS:
        raise TooLarge("Nothing was sealed: the content is longer than one ciphertext may be.")
    return HEADER + plaintext_length + TAG * chunks


def plaintext_length(ciphertext_length: int) -> int:
    """How long the plaintext of ``ciphertext_length`` bytes is. Raises Malformed for a length no ciphertext has."""
    body = ciphertext_length - HEADER
    _check_end(body)
    if body // SEALED_CHUNK >= MAX_CHUNKS:
        raise Malformed("A ciphertext was refused: it is longer than one may be.")
    return body - TAG * (body // SEALED_CHUNK + 1)


def piece_count(ciphertext_length: int) -> int:
    """How many pieces a ciphertext has: at least one. Raises Malformed for a length no ciphertext has."""
    return plaintext_length(ciphertext_length) // PLAIN_PIECE + 1


def part_count(ciphertext_length: int) -> int:
    """How many parts a ciphertext has: at least one. Raises Malformed for a length no ciphertext has."""
    return -(-piece_count(ciphertext_length) // PART)


def piece_slice(index: int, ciphertext_length: int) -> slice:
    """Where piece ``index`` lies; piece 0 begins with the header. Raises Malformed when there is no such piece."""
    return _slice(index, piece_count(ciphertext_length), PIECE, ciphertext_length)


def part_slice(number: int, ciphertext_length: int) -> slice:
    """Where part ``number`` lies; part 0 begins with the header. Raises Malformed when there is no such part."""
    return _slice(number, part_count(ciphertext_length), PART * PIECE, ciphertext_length)


def piece_hash(*fragments: bytes | memoryview) -> bytes:
    """The leaf hash of one piece, given whole or in fragments that follow one another."""
    leaf = _LEAF.copy()
    for fragment in fragments:
        leaf.update(fragment)
    return leaf.digest()


def ct_root(ciphertext: bytes) -> bytes:
    """The content address of a whole ciphertext. Raises Malformed for a length no ciphertext has."""
    _check_end(len(ciphertext) - HEADER)
    return merkle.root_of([*_leaves(memoryview(ciphertext), 0)])


def upload_part_hash(part: bytes, number: int) -> bytes:
    """The subtree hash of part ``number``. Raises Malformed for a length that no such part has."""
    body = len(part) - (0 if number else HEADER)
    if body != PART * PIECE:
        _check_end(body)
    if body > PART * PIECE:
        raise Malformed("A part of a ciphertext was refused: it is longer than a part may be.")
    return merkle.root_of([*_leaves(memoryview(part), number)])


def upload_part_hashes(piece_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """The subtree hashes of all parts, from the leaf hashes of all pieces."""
    return tuple(
        merkle.root_of(piece_hashes[first : first + PART]) for first in range(0, len(piece_hashes), PART)
    )


def root_from_parts(hashes: Sequence[bytes], ciphertext_length: int) -> bytes:
    """``ct_root`` from the hashes of all parts, without the ciphertext. Raises Malformed unless all are there."""
    if len(hashes) != part_count(ciphertext_length):
        raise Malformed("A ciphertext was refused: it does not have the parts its length asks for.")
    return merkle.root_of(hashes)


def verify_piece(piece: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that ``piece`` is number ``index`` of ``count`` under ``root``. Raises NotProven.

    ``path`` is an RFC 6962 audit path; the caller has ``count`` from a signed length. Piece 0 includes the header.
    """
    merkle.verify_inclusion(piece_hash(piece), index, count, path, root)


def _leaves(part: memoryview, number: int) -> Iterator[bytes]:
    start = 0
    stop = PIECE if number else HEADER + PIECE
    while start < len(part):
        yield piece_hash(part[start:stop])
        start, stop = stop, stop + PIECE


def _slice(index: int, count: int, size: int, end: int) -> slice:
    if not 0 <= index < count:
        raise Malformed("A ciphertext does not have the piece or part that was asked for.")
    start = HEADER + index * size if index else 0
    return slice(start, min(HEADER + (index + 1) * size, end))


def _check_end(body: int) -> None:
    # The last chunk is shorter than 16 KiB and has a tag of its own.
    if body < TAG or body % SEALED_CHUNK < TAG:
        raise Malformed("A ciphertext was refused: no whole ciphertext has this length.")
