"""The tree of one log as the server keeps it: its right edge in memory, its tiles in the store.

Appending touches the edge only. Proofs are made from tiles by ``crypto.merkle``; a tile that is not in memory is
fetched and the proof made again, so making one needs no knowledge of which tiles it will ask for.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from crypto.errors import Damaged
from crypto.merkle import HASH_SIZE, Frontier, SubtreeHash, root_of
from crypto.tiles import HEIGHT, WIDTH, Tile, decode_tile, subtree_reader, tiles_of
from vault_server.recent import Recent

FULL_TILE = WIDTH * HASH_SIZE
# Consecutive proofs need a few for each log; all together they take about five MiB.
NODES = 1 << 14

T = TypeVar("T")


class TileName(NamedTuple):
    """A tile of hashes, at whatever width it has."""

    origin: str
    level: int
    n: int


class Edge:
    """The rightmost tile of each level, and the root."""

    def __init__(self, size: int, tiles: Sequence[bytes]) -> None:
        """``tiles``: for each level from 0, the partial tile (empty when the level ends in a full one)."""
        self._tiles = [bytearray(tile) for tile in tiles]
        self._frontier = Frontier()
        for level in reversed(range(len(tiles))):
            for node in decode_tile(tiles[level], len(tiles[level]) // HASH_SIZE):
                self._frontier.append_subtree(node, HEIGHT * level)
        if self._frontier.size != size:
            raise Damaged("The server was not started: a log's tiles do not fit its size.")

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._frontier.size

    def root(self) -> bytes:
        """The root over them."""
        return self._frontier.root()

    def append(self, leaf_hashes: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
        """Add leaves. Returns every tile that changed, by level and place."""
        changed: dict[tuple[int, int], bytes] = {}
        levels: set[int] = set()
        for leaf in leaf_hashes:
            self._frontier.append(leaf)
            self._add(0, leaf, changed, levels)
        for level in levels:
            if self._tiles[level]:
                changed[level, (self.size >> HEIGHT * level) // WIDTH] = bytes(self._tiles[level])
        return changed

    def _add(self, level: int, node: bytes, changed: dict[tuple[int, int], bytes], levels: set[int]) -> None:
        if level == len(self._tiles):
            self._tiles.append(bytearray())
        tile = self._tiles[level]
        tile += node
        levels.add(level)
        if len(tile) == FULL_TILE:
            full = bytes(tile)
            tile.clear()
            changed[level, (self.size >> HEIGHT * level) // WIDTH - 1] = full
            self._add(level + 1, root_of(decode_tile(full, WIDTH)), changed, levels)


class TileAbsentError(Exception):
    """A proof asked for a tile that is not in memory."""

    def __init__(self, name: TileName) -> None:
        self.name = name


class TileCache:
    """The tiles used lately, by all logs of this server."""

    def __init__(self, fetch: Callable[[TileName], Awaitable[bytes | None]], tiles: int = 1024) -> None:
        self._fetch = fetch
        self._tiles = Recent[TileName, bytes](tiles)
        self._nodes: dict[tuple[str, int, int], bytes] = {}

    def put(self, name: TileName, data: bytes) -> None:
        """Remember a tile that has just been written."""
        self._tiles[name] = data

    async def prove(self, origin: str, size: int, make: Callable[[SubtreeHash], T]) -> T:
        """What ``make`` makes of the tree of ``size`` leaves. Raises Damaged when the store lacks one of its tiles."""

        def read(tile: Tile) -> bytes:
            name = TileName(origin, int(tile.level), tile.n)
            data = self._tiles.get(name, b"")
            if len(data) < tile.width * HASH_SIZE:
                raise TileAbsentError(name)
            return data[: tile.width * HASH_SIZE]

        subtree = subtree_reader(size, read)

        def remembered(level: int, index: int) -> bytes:
            # A complete subtree never changes, and consecutive proofs ask for nearly the same ones.
            node = self._nodes.get((origin, level, index))
            if node is None:
                if len(self._nodes) >= NODES:
                    self._nodes.clear()
                node = self._nodes[origin, level, index] = subtree(level, index)
            return node

        seen: set[TileName] = set()
        while True:
            try:
                return make(remembered)
            except TileAbsentError as absent:
                data = None if absent.name in seen else await self._fetch(absent.name)
                if data is None:
                    raise Damaged("A tile of a log is missing from the store. Nothing was proven.") from None
                seen.add(absent.name)
                self.put(absent.name, data)


def edge_tiles(size: int) -> list[int | None]:
    """For each level of a tree of ``size`` leaves: the place of its partial tile, if it has one."""
    return [full if partial else None for full, partial in tiles_of(size)]


def root_at(size: int, subtree: SubtreeHash) -> bytes:
    """The root of the first ``size`` leaves."""
    frontier, begin = Frontier(), 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            frontier.append_subtree(subtree(level, begin >> level), level)
            begin += 1 << level
    return frontier.root()
