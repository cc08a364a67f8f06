"""The geometry of ciphertext and its root."""

import hashlib
import os

import pytest

from crypto import merkle, pieces
from crypto.errors import Malformed, NotProven, TooLarge

LENGTHS = [0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 1 << 20]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def fake_ciphertext(plaintext_length: int) -> bytes:
    """Bytes of a length that a ciphertext may have."""
    return os.urandom(pieces.ciphertext_length(plaintext_length))


def cut(ciphertext: bytes) -> list[bytes]:
    """All pieces of ``ciphertext``."""
    count = pieces.piece_count(len(ciphertext))
    return [ciphertext[pieces.piece_slice(index, len(ciphertext))] for index in range(count)]


@pytest.mark.parametrize(
    ("plain", "sealed", "count"),
    [
        (0, 72, 1),
        (1, 73, 1),
        (16383, 16455, 1),
        (16384, 16472, 1),
        (65535, 65655, 1),
        (65536, 65672, 2),
        (131072, 131272, 3),
    ],
)
def test_lengths_are_those_of_the_format(plain: int, sealed: int, count: int) -> None:
    """A tag for every 16 KiB and one more, behind 56 bytes; whole pieces are followed by one more piece."""
    assert pieces.ciphertext_length(plain) == sealed
    assert pieces.plaintext_length(sealed) == plain
    assert pieces.piece_count(sealed) == count


@pytest.mark.parametrize("length", [-1, 0, 55, 56, 71, 56 + 16400, 56 + 16415, 56 + 65600, 56 + 65615])
def test_lengths_of_no_ciphertext_are_refused(length: int) -> None:
    """Too short, cut at a chunk, or ending in less than a tag: no ciphertext is so long."""
    with pytest.raises(Malformed):
        pieces.plaintext_length(length)
    with pytest.raises(Malformed):
        pieces.part_count(length)
    with pytest.raises(Malformed):
        pieces.ct_root(bytes(max(length, 0)))


def test_more_than_two_to_the_38_chunks_are_refused() -> None:
    """The longest content has one byte less than 4 PiB, on both sides."""
    longest = pieces.MAX_CHUNKS * pieces.CHUNK - 1
    sealed = pieces.ciphertext_length(longest)
    assert pieces.plaintext_length(sealed) == longest
    with pytest.raises(TooLarge):
        pieces.ciphertext_length(longest + 1)
    with pytest.raises(Malformed):
        pieces.plaintext_length(sealed + 32)


@pytest.mark.parametrize("plain", LENGTHS)
def test_pieces_and_parts_cover_the_ciphertext(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into pieces or parts and joined again, a ciphertext is the same."""
    monkeypatch.setattr(pieces, "PART", 2)
    ciphertext = fake_ciphertext(plain)
    total = len(ciphertext)
    parts = [ciphertext[pieces.part_slice(number, total)] for number in range(pieces.part_count(total))]
    assert b"".join(cut(ciphertext)) == ciphertext
    assert b"".join(parts) == ciphertext
    with pytest.raises(Malformed):
        pieces.piece_slice(pieces.piece_count(total), total)
    with pytest.raises(Malformed):
        pieces.part_slice(-1, total)


def test_the_first_piece_and_part_include_the_header() -> None:
    """Piece 0 and part 0 are 56 bytes longer than those after them."""
    total = pieces.ciphertext_length(300 * pieces.PLAIN_PIECE)
    assert pieces.piece_slice(0, total) == slice(0, 65656)
    assert pieces.piece_slice(1, total) == slice(65656, 131256)
    assert pieces.part_slice(0, total) == slice(0, 56 + 128 * 65600)
    assert pieces.part_slice(1, total) == slice(56 + 128 * 65600, 56 + 256 * 65600)
    assert pieces.part_slice(2, total).stop == total


@pytest.mark.parametrize("plain", LENGTHS)
def test_the_root_is_that_of_rfc_6962(plain: int) -> None:
    """``ct_root`` is the root over the pieces as leaves."""
    ciphertext = fake_ciphertext(plain)
    assert pieces.ct_root(ciphertext) == naive_root(cut(ciphertext))


@pytest.mark.parametrize("part", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_the_root_follows_from_the_parts(part: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts hashed one by one, however many there are and however ragged the last, give the same root."""
    monkeypatch.setattr(pieces, "PART", part)
    ciphertext = fake_ciphertext((count - 1) * pieces.PLAIN_PIECE + 5)
    total = len(ciphertext)
    hashes = [
        pieces.upload_part_hash(ciphertext[pieces.part_slice(number, total)], number)
        for number in range(pieces.part_count(total))
    ]
    assert pieces.root_from_parts(hashes, total) == pieces.ct_root(ciphertext)
    assert pieces.upload_part_hashes([pieces.piece_hash(piece) for piece in cut(ciphertext)]) == tuple(hashes)
    with pytest.raises(Malformed):
        pieces.root_from_parts(hashes[:-1], total)
    with pytest.raises(Malformed):
        pieces.root_from_parts([*hashes, hashes[0]], total)


def test_parts_have_128_pieces() -> None:
    """At its real size, a part is a complete subtree of seven levels."""
    ciphertext = bytes(pieces.ciphertext_length(130 * pieces.PLAIN_PIECE))
    first, second = (ciphertext[pieces.part_slice(number, len(ciphertext))] for number in range(2))
    joined = merkle.node_hash(pieces.upload_part_hash(first, 0), pieces.upload_part_hash(second, 1))
    assert joined == naive_root(cut(ciphertext))


@pytest.mark.parametrize(
    ("length", "number"),
    [(0, 0), (0, 1), (56, 0), (71, 0), (15, 1), (65600, 1), (2 * 65600 + 16, 1), (2 * 65600 + 57, 0)],
)
def test_parts_of_impossible_length_are_refused(
    length: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is full or ends a ciphertext; nothing else is hashed."""
    monkeypatch.setattr(pieces, "PART", 2)
    with pytest.raises(Malformed):
        pieces.upload_part_hash(bytes(length), number)


def test_a_piece_given_in_fragments_has_the_same_hash() -> None:
    """Header and body need not lie together to be hashed."""
    assert pieces.piece_hash(b"ab", memoryview(b"c")) == pieces.piece_hash(b"abc") == merkle.leaf_hash(b"abc")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_a_piece_is_proven_alone(count: int) -> None:
    """Every piece is proven by its path; at another place, changed, or with another path it is not."""
    ciphertext = fake_ciphertext((count - 1) * pieces.PLAIN_PIECE + 5)
    root, all_pieces = pieces.ct_root(ciphertext), cut(ciphertext)
    leaves = [pieces.piece_hash(piece) for piece in all_pieces]

    def subtree(level: int, index: int) -> bytes:
        return merkle.root_of(leaves[index << level : (index + 1) << level])

    for index, piece in enumerate(all_pieces):
        path = merkle.inclusion_path(index, count, subtree)
        pieces.verify_piece(piece, index, count, path, root)
        changed = bytes([piece[0] ^ 1]) + piece[1:]
        for wrong in (
            (changed, index, count, path, root),
            (piece, index, count, [*path, root], root),
            (piece, count, count, path, root),
            (piece, -1, count, path, root),
            (piece, index, count, path, bytes(32)),
            (piece, (index + 1) % count if count > 1 else 1, count, path, root),
        ):
            with pytest.raises(NotProven):
                pieces.verify_piece(*wrong)
