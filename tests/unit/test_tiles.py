"""Where the hashes and entries of a log are, and proofs read from them."""

import pytest

from crypto.errors import Malformed, NotProven
from crypto.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from crypto.tiles import (
    Tile,
    decode_bundle,
    decode_tile,
    encode_bundle,
    parse_tile_path,
    subtree_reader,
    tile_path,
    tiles_above,
    tiles_of,
    tiles_read,
)

SIZE = 256 * 256 + 700
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(SIZE)]
LEVELS = [LEAVES]
while len(LEVELS[-1]) >= 256:
    below = LEVELS[-1]
    LEVELS.append([root_of(below[at : at + 256]) for at in range(0, len(below) - len(below) % 256, 256)])


class Tiles:
    """A log's tiles, which notes what is read and serves only what a tree of ``size`` leaves has."""

    def __init__(self, size):
        self.size = size
        self.read = []

    def __call__(self, tile):
        full, partial = tiles_of(self.size)[tile.level]
        assert (tile.n < full and tile.width == 256) or (tile.n == full and tile.width == partial > 0)
        self.read.append(tile)
        begin = tile.n * 256
        return b"".join(LEVELS[tile.level][begin : begin + tile.width])


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(3, 1234067, 112), "tile/3/x001/x234/067.p/112"),
        (Tile(63, 999), "tile/63/999"),
        (Tile(0, 1000, 1), "tile/0/x001/000.p/1"),
        (Tile("entries", 0, 255), "tile/entries/000.p/255"),
        (Tile("entries", 1000000), "tile/entries/x001/x000/000"),
    ],
)
def test_a_tile_has_one_path(tile, path):
    """A tile is named as tlog-tiles says, and the name is read back to the same tile."""
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "/tile/0/000", "tile/0/000/", "tile/0/000\n", " tile/0/000",
        "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/0/x000/000", "tile/0/x000/001",
        "tile/0/001/000", "tile/0/x001", "tile/0/x001/x000", "tile/0/X001/000", "tile/0/x1/000", "tile/0/-01",
        "tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/+1/000", "tile/1_0/000", "tile/٣/000",
        "tile/0/٠٠٠", "tile/data/000", "tile/Entries/000", "tile/entries",
        "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/999",
        "tile/0/000.p/1/", "tile/0/000.p/1.p/1", "tile/0/000/p/1", "tile/0/../000", "tile/0/000?x=1", "tile/0/000%2f",
        "tile/0/x036/x028/x797/x018/x963/968", "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
    ],
)  # fmt: skip
def test_no_other_path_is_read(path):
    """Signs, zeros, other digits, other places and other widths are refused."""
    with pytest.raises(Malformed):
        parse_tile_path(path)


@pytest.mark.parametrize(
    "tile", [Tile(64, 0), Tile(-1, 0), Tile(0, -1), Tile(0, 2**55), Tile(0, 0, 0), Tile(0, 0, 257)]
)
def test_no_path_is_written_for_a_tile_that_cannot_be(tile):
    """Levels, places and widths outside of the geometry have no name."""
    with pytest.raises(Malformed):
        tile_path(tile)


def test_the_last_place_of_the_largest_log_has_a_path():
    """The path of the last possible tile is read back."""
    tile = Tile(0, 2**55 - 1)
    assert parse_tile_path(tile_path(tile)) == tile


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        (0, []),
        (1, [(0, 1)]),
        (255, [(0, 255)]),
        (256, [(1, 0), (0, 1)]),
        (257, [(1, 1), (0, 1)]),
        (70000, [(273, 112), (1, 17), (0, 1)]),
        (256**2, [(256, 0), (1, 0), (0, 1)]),
    ],
)
def test_the_size_gives_the_tiles(size, levels):
    """Full tiles and widths of partial ones are those of the two examples of tlog-tiles, and at the borders."""
    assert tiles_of(size) == levels


@pytest.mark.parametrize("size", [0, 255, 256, 257, 256 * 255, 256 * 256, SIZE])
def test_the_tiles_above_are_those_of_each_level(size):
    """From the roots of the full lowest tiles: every tile of the levels above at that size, once, in order."""
    expected = [
        (level, n, LEVELS[level][n * 256 : min((n + 1) * 256, full * 256 + partial)])
        for level, (full, partial) in enumerate(tiles_of(size))
        if level
        for n in range(full + (partial > 0))
    ]
    assert [*tiles_above(LEVELS[1][: size // 256])] == expected


def test_a_bundle_keeps_its_entries():
    """Entries of all lengths come back, each behind two bytes of length."""
    assert decode_bundle(encode_bundle([b"one"]), 1) == [b"one"]
    entries = [b"", b"one", b"\0" * 65535]
    data = encode_bundle(entries)
    assert data.startswith(b"\0\0\0\3one\xff\xff")
    assert decode_bundle(data, 3) == entries
    assert len(decode_bundle(encode_bundle([bytes(97)] * 256), 256)) == 256


def test_a_bundle_of_another_number_or_length_is_refused():
    """One entry more or less, one byte more or less, and the number is not believed."""
    data = encode_bundle([b"one", b"two"])
    for bad, width in [
        (data, 1),
        (data, 3),
        (data[:-1], 2),
        (data + b"\0", 2),
        (data + b"\0\0", 2),
        (b"", 1),
    ]:
        with pytest.raises(Malformed):
            decode_bundle(bad, width)
    for entries in ([], [b""] * 257, [bytes(65536)], [b"", bytes(65536)]):
        with pytest.raises(Malformed):
            encode_bundle(entries)


def test_a_tile_of_another_length_is_refused():
    """A tile holds exactly as many hashes as its name says."""
    assert decode_tile(bytes(64), 2) == [bytes(32)] * 2
    for length in (0, 63, 65, 96):
        with pytest.raises(Malformed):
            decode_tile(bytes(length), 2)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 700, 65536, 65537, SIZE])
def test_proofs_are_read_from_tiles(size):
    """Every proof made from the tiles of a tree holds in it, and reads a handful of tiles, each once."""
    root = root_of(LEAVES[:size])
    for place in sorted({0, 1, 255, 256, 300, size // 2, size - 2, size - 1} & set(range(size))):
        tiles = Tiles(size)
        path = inclusion_path(place, size, subtree_reader(size, tiles))
        verify_inclusion(LEAVES[place], place, size, path, root)
        assert len(tiles.read) == len(set(tiles.read)) <= 5
        tiles = Tiles(size)
        old_root = root_of(LEAVES[: place + 1])
        path = consistency_path(place + 1, size, subtree_reader(size, tiles))
        verify_consistency(place + 1, old_root, size, root, path)
        assert len(tiles.read) == len(set(tiles.read)) <= 5


def test_nothing_beyond_the_tree_is_read():
    """A subtree that is not complete at that size has no hash, and no tile is asked for."""
    tiles = Tiles(700)
    hash_of_subtree = subtree_reader(700, tiles)
    for level, index in [(0, 700), (0, -1), (2, 175), (8, 2), (10, 0), (70, 0)]:
        with pytest.raises(NotProven):
            hash_of_subtree(level, index)
    assert tiles.read == []


def test_a_damaged_tile_makes_no_proof():
    """A tile of the wrong length is refused, not used in part."""
    hash_of_subtree = subtree_reader(700, lambda tile: bytes(32 * tile.width - 1))
    with pytest.raises(Malformed):
        hash_of_subtree(0, 3)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (255, 256), (300, 700), (0, SIZE), (SIZE - 1, SIZE)])
def test_the_tiles_of_a_proof_are_known_before_any_is_read(index, size):
    """Just those that making the proof reads, each once and in that order, whatever stands in them."""
    tiles = Tiles(size)
    inclusion_path(index, size, subtree_reader(size, tiles))
    wanted = tiles_read(size, lambda subtree: inclusion_path(index, size, subtree))
    assert wanted == list(dict.fromkeys(tiles.read))
    assert bool(wanted) == (size > 1)


def test_no_tiles_are_wanted_where_none_is_read():
    """What asks for nothing needs nothing."""
    assert tiles_read(SIZE, lambda subtree: None) == []
