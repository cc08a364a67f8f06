"""Reads a log's public tiles: consistency proofs between heads, and leaves."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from crypto.access_log import LEAF, parse_leaf
from crypto.evidence import Beginning
from crypto.merkle import SubtreeHash, complete_subtrees, consistency_path, inclusion_path
from crypto.tiles import WIDTH, Tile, decode_bundle, subtree_reader, tile_path, tiles_read
from crypto.wire.vault_api import VaultApi

_FULL_TILES_KEPT = 64

Proof = TypeVar("Proof")


class LogReader:
    """Fetches what proofs and scans need, each tile at most once while it is wanted."""

    def __init__(self, api: VaultApi) -> None:
        self._api = api
        self._full: dict[tuple[str, Tile], bytes] = {}

    async def consistency(self, origin: str, old: int, new: int) -> list[bytes]:
        """The hashes that show the tree of ``old`` leaves to be the beginning of that of ``new``. Unverified."""
        if old == 0 or old >= new:
            return []  # nothing to show; verifying refuses what does not fit
        (path,) = await self._proofs(origin, new, [lambda subtrees: consistency_path(old, new, subtrees)])
        return path

    async def beginnings(self, origin: str, sizes: Sequence[int], size: int) -> list[Beginning]:
        """What stands in the tree of ``size`` leaves as its first leaves, for each of ``sizes``. Unverified."""
        return await self._proofs(origin, size, [partial(Beginning.shown, old, size) for old in sizes])

    async def inclusion(self, origin: str, indexes: Sequence[int], size: int) -> list[list[bytes]]:
        """The audit path of each of ``indexes`` in the tree of ``size`` leaves. Unverified."""
        return await self._proofs(origin, size, [partial(inclusion_path, index, size) for index in indexes])

    async def subtrees(self, origin: str, first: int, size: int) -> list[bytes]:
        """The complete subtrees that the first ``first`` leaves are, in the tree of ``size``. Unverified."""
        (found,) = await self._proofs(origin, size, [lambda subtrees: complete_subtrees(first, subtrees)])
        return found

    async def _proofs(
        self, origin: str, size: int, made: Sequence[Callable[[SubtreeHash], Proof]]
    ) -> list[Proof]:
        def all_made(subtrees: SubtreeHash) -> list[Proof]:
            return [proof(subtrees) for proof in made]

        tiles = {tile: await self._tile(origin, tile) for tile in tiles_read(size, all_made)}
        return all_made(subtree_reader(size, tiles.__getitem__))

    async def leaves(self, origin: str, start: int, end: int) -> bytes:
        """Leaves ``start`` to ``end`` (exclusive) one after the other, each checked to be a leaf. Unproven."""
        collected = bytearray()
        for n in range(start // WIDTH, -(-end // WIDTH)):
            width = min(WIDTH, end - n * WIDTH)
            data = await self._api.tile(origin, tile_path(Tile("entries", n, width)))
            for entry in decode_bundle(data, width):
                parse_leaf(entry)
                collected += entry
        skipped = start % WIDTH * LEAF
        return bytes(collected[skipped:])

    async def leaves_at(self, origin: str, indexes: Collection[int]) -> dict[int, bytes]:
        """The leaves ``indexes``, each checked to be a leaf. Unproven."""
        found: dict[int, bytes] = {}
        for tile in sorted({index // WIDTH for index in indexes}):
            wanted = [index for index in indexes if index // WIDTH == tile]
            shown = await self.leaves(origin, tile * WIDTH, max(wanted) + 1)
            found |= {index: shown[index % WIDTH * LEAF :][:LEAF] for index in wanted}
        return found

    async def _tile(self, origin: str, tile: Tile) -> bytes:
        known = self._full.get((origin, tile))
        if known is None:
            known = await self._api.tile(origin, tile_path(tile))
            if tile.width == WIDTH:
                if len(self._full) >= _FULL_TILES_KEPT:
                    self._full.pop(next(iter(self._full)))
                self._full[origin, tile] = known
        return known
