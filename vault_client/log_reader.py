"""Reads a log's public tiles: consistency proofs between heads, and leaves."""

from crypto.access_log import LEAF, parse_leaf
from crypto.merkle import consistency_path
from crypto.tiles import WIDTH, Tile, decode_bundle, subtree_reader, tile_path
from crypto.wire.vault_api import VaultApi

_FULL_TILES_KEPT = 64


class LogReader:
    """Fetches what proofs and scans need, each tile at most once while it is wanted."""

    def __init__(self, api: VaultApi) -> None:
        self._api = api
        self._full: dict[tuple[str, Tile], bytes] = {}

    async def consistency(self, origin: str, old: int, new: int) -> list[bytes]:
        """The hashes that show the tree of ``old`` leaves to be the beginning of that of ``new``. Unverified."""
        if old == 0 or old >= new:
            return []  # nothing to show; verifying refuses what does not fit
        wanted: list[Tile] = []

        def note(tile: Tile) -> bytes:
            wanted.append(tile)
            return bytes(32 * tile.width)

        # The proof's shape depends on the sizes alone: a first walk learns which tiles it needs.
        consistency_path(old, new, subtree_reader(new, note))
        tiles = {tile: await self._tile(origin, tile) for tile in wanted}
        return consistency_path(old, new, subtree_reader(new, tiles.__getitem__))

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

    async def _tile(self, origin: str, tile: Tile) -> bytes:
        known = self._full.get((origin, tile))
        if known is None:
            known = await self._api.tile(origin, tile_path(tile))
            if tile.width == WIDTH:
                if len(self._full) >= _FULL_TILES_KEPT:
                    self._full.pop(next(iter(self._full)))
                self._full[origin, tile] = known
        return known
