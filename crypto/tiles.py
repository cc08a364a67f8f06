"""The geometry of C2SP tlog-tiles: where the hashes and entries of a log are, and how a proof is made from them.

A tile holds 256 consecutive hashes of one level, each the root over a full tile of the level below; the rightmost tile
of a level may be partial. An entry bundle holds the entries behind a tile of level 0, each behind its length in two
bytes, big-endian. Everything here is names and bytes; reading them is the caller's. See docs/format/tree.md.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from crypto.errors import Malformed, NotProven
from crypto.merkle import HASH_SIZE, SubtreeHash, root_of

WIDTH = 256
HEIGHT = 8
MAX_LEVEL = 63
MAX_ENTRY = 2**16 - 1

Level = int | Literal["entries"]

_MAX_N = 2**55 - 1  # of a log of at most 2^63 leaves
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class Tile(NamedTuple):
    """One tile or, at level ``entries``, one entry bundle. ``width`` below 256 makes it partial."""

    level: Level
    n: int
    width: int = WIDTH


def tile_path(tile: Tile) -> str:
    """The path of ``tile`` below the log's prefix. Raises Malformed for a tile that no tree can have."""
    level, n, width = tile
    if (
        (level != "entries" and not 0 <= level <= MAX_LEVEL)
        or not 0 <= n <= _MAX_N
        or not 1 <= width <= WIDTH
    ):
        raise Malformed("A tile was refused: no log can have one at that place.")
    digits = f"{n:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *first, last = (digits[start : start + 3] for start in range(0, len(digits), 3))
    place = "/".join([f"x{element}" for element in first] + [last])
    return f"tile/{level}/{place}" + (f".p/{width}" if width < WIDTH else "")


def parse_tile_path(path: str) -> Tile:
    """The tile that ``path`` names. Raises Malformed for anything but what ``tile_path`` writes."""
    parts = _PATH.fullmatch(path)
    if parts is not None:
        level, place, width = parts.groups()
        tile = Tile(
            level="entries" if level == "entries" else int(level),
            n=int(place.replace("x", "").replace("/", "")),
            width=WIDTH if width is None else int(width),
        )
        if tile_path(tile) == path:
            return tile
    raise Malformed("A tile path was refused: it is not one that a log serves.")


def tiles_of(size: int) -> list[tuple[int, int]]:
    """For each level from 0 of a tree of ``size`` leaves: how many full tiles, and the partial tile's width or 0."""
    levels = []
    while size:
        levels.append(divmod(size, WIDTH))
        size //= WIDTH
    return levels


def tiles_above(full: Sequence[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
    """Every tile above the lowest: level, place, hashes. ``full``: the roots of the full lowest tiles, in order."""
    level, row = 1, full
    while row:
        tiles = [list(row[start : start + WIDTH]) for start in range(0, len(row), WIDTH)]
        for n, tile in enumerate(tiles):
            yield level, n, tile
        level, row = level + 1, [root_of(tile) for tile in tiles if len(tile) == WIDTH]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Join 1 to 256 entries into one bundle. Raises Malformed for more, none, or an entry above 65,535 bytes."""
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise Malformed("An entry bundle was not made: it takes 1 to 256 entries of at most 65535 bytes.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The ``width`` entries of a bundle. Raises Malformed unless there are exactly so many and no byte more."""
    entries: list[bytes] = []
    position = 0
    for _ in range(width):
        begin = position + 2
        position = begin + int.from_bytes(data[position:begin], "big")
        entries.append(data[begin:position])
    if position != len(data):
        raise Malformed(f"An entry bundle was refused: the number of its entries is not {width}.")
    return entries


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """The ``width`` hashes of a tile. Raises Malformed for any other length."""
    if len(data) != width * HASH_SIZE:
        raise Malformed(f"A tile was refused: the number of its hashes is not {width}.")
    return [data[start : start + HASH_SIZE] for start in range(0, len(data), HASH_SIZE)]


def tiles_read(size: int, read: Callable[[SubtreeHash], object]) -> list[Tile]:
    """The tiles that ``read`` needs of the tree of ``size`` leaves: the shape of a proof depends on sizes alone."""
    wanted: dict[Tile, None] = {}

    def note(tile: Tile) -> bytes:
        wanted[tile] = None
        return bytes(HASH_SIZE * tile.width)

    read(subtree_reader(size, note))
    return list(wanted)


def subtree_reader(size: int, read_tile: Callable[[Tile], bytes]) -> SubtreeHash:
    """What ``merkle`` needs to make proofs for the tree of ``size`` leaves, read from its tiles.

    Only tiles of that tree are asked for, each at its width there. The function returned raises Malformed for a tile
    of the wrong length and NotProven for a subtree that is not complete at that size.
    """

    kept: dict[tuple[int, int], list[bytes]] = {}  # the hashes of one proof lie in few tiles

    def hashes(level: int, n: int) -> list[bytes]:
        found = kept.get((level, n))
        if found is None:
            width = min(WIDTH, (size >> HEIGHT * level) - n * WIDTH)
            found = kept[level, n] = decode_tile(read_tile(Tile(level, n, width)), width)
        return found

    def hash_of_subtree(level: int, index: int) -> bytes:
        if not 0 <= index < size >> level:
            raise NotProven(f"No proof was made: the tree of size {size} does not reach that far.")
        tile_level, height = divmod(level, HEIGHT)
        n, first = divmod(index << height, WIDTH)
        return root_of(hashes(tile_level, n)[first : first + (1 << height)])

    return hash_of_subtree
