"""Whether what is stored of one log is one tree: entries, their hashes, every tile, root, signed head, published heads.

Every start looks, and ``--fsck``. The first place that does not fit is named.
"""

from collections.abc import Iterable, Sequence

from crypto.access_log import parse_leaf
from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.errors import NotProven, Refusal
from crypto.merkle import HASH_SIZE, Frontier, leaf_hash, root_of
from crypto.tiles import HEIGHT, WIDTH, decode_tile, tiles_above, tiles_of
from vault_server.log_tree import TileCache, TileName, root_at
from vault_server.store import leaves as rows
from vault_server.store.database import Statements
from vault_server.store.leaves import LogRow

TO_DO = " Nothing was changed. Restore the newest copy of the data folder."


async def check_whole(db: Statements, log: LogRow) -> int:
    """Check every entry and every tile; returns how many tiles there are. Raises NotProven.

    Of entries that are gone, their hashes must lead to the root with all others.
    """
    if not 0 <= log.minimum < max(log.size, 1) or log.minimum % WIDTH:
        raise does_not_fit(f"{log.origin} cannot begin at entry {log.minimum}.")
    full: list[bytes] = []
    last: list[bytes] = []
    for n in range(-(-log.size // WIDTH)):
        gone = (n + 1) * WIDTH <= log.minimum
        last = await (_stored_tile(db, log, 0, n, WIDTH) if gone else _lowest(db, log, n))
        if len(last) == WIDTH:
            full.append(root_of(last))
            last = []
    if (beyond := await rows.leaf_beyond(db, log.origin, log.minimum, log.size)) is not None:
        raise does_not_fit(
            f"Entry {beyond} of {log.origin} stands outside its signed head, of size {log.size}."
            if beyond >= log.minimum
            else f"Entry {beyond} of {log.origin} is there, and all below {log.minimum} are to be gone."
        )
    await _check_above(db, log, full, last)
    return await _check_count(db, log)


async def check_note(
    db: Statements, log: LogRow, key: LogKey, keepers: Iterable[CosignerKey]
) -> Checkpoint | None:
    """The newest published checkpoint; nothing of an empty log that never had one. Raises NotProven.

    The log's key signed it, those cosignatures that are known keepers' fit, and its head is one of this log's.
    """
    note = await rows.note(db, log.origin)
    if note is None:
        if log.size:
            raise does_not_fit(f"The newest published checkpoint of {log.origin} is gone.")
        return None
    try:
        checkpoint = open_checkpoint(note, key)
        cosignatures(note, keepers)
    except Refusal:
        raise does_not_fit(
            f"The newest published checkpoint of {log.origin} is not as its log and its keepers signed it."
        ) from None
    await check_head(db, log, checkpoint.size, checkpoint.root)
    return checkpoint


async def check_head(db: Statements, log: LogRow, size: int, root: bytes) -> None:
    """Check that the first ``size`` entries, whose tiles were found to fit, have ``root``. Raises NotProven."""

    async def fetch(name: TileName) -> bytes | None:
        return await rows.tile(db, *name)

    if not 0 <= size <= log.size:
        raise does_not_fit(
            f"A head of {log.origin} of size {size} was published, and its signed head is of size {log.size}."
        )
    cache = TileCache(fetch)
    if await cache.prove(log.origin, size, lambda subtree: root_at(size, subtree)) != root:
        raise does_not_fit(
            f"A head of {log.origin} of size {size} was published that its entries do not have."
        )


def does_not_fit(what: str) -> NotProven:
    """What is raised for a place that does not fit, with what to do."""
    return NotProven(what + TO_DO)


async def _lowest(db: Statements, log: LogRow, n: int) -> list[bytes]:
    """The hashes of the entries behind tile ``n`` of level 0, which holds just these."""
    first = n * WIDTH
    width = min(WIDTH, log.size - first)
    stored = {
        index: (slot, leaf) for index, slot, leaf in await rows.numbered_leaves(db, log.origin, first, width)
    }
    hashes = []
    for index in range(first, first + width):
        if index not in stored:
            raise does_not_fit(f"Entry {index} of {log.origin} is gone.")
        slot_two, leaf = stored[index]
        try:
            parse_leaf(leaf)
        except Refusal:
            raise does_not_fit(f"Entry {index} of {log.origin} is not a log entry.") from None
        if slot_two != leaf[33:65]:
            raise does_not_fit(f"Entry {index} of {log.origin} is filed under another slot than its own.")
        hashes.append(leaf_hash(leaf))
    kept = await _stored_tile(db, log, 0, n, width)
    for index, (own, other) in enumerate(zip(hashes, kept, strict=True), first):
        if own != other:
            raise does_not_fit(f"Entry {index} of {log.origin} is not the one whose hash tile 0/{n} holds.")
    return hashes


async def _check_above(db: Statements, log: LogRow, full: Sequence[bytes], last: Sequence[bytes]) -> None:
    """From the roots of the full lowest tiles, and the hashes in the last one: all tiles above, and the root."""
    frontier = Frontier()
    for subtree in full:
        frontier.append_subtree(subtree, HEIGHT)
    for leaf in last:
        frontier.append(leaf)
    for level, n, hashes in tiles_above(full):
        if await _stored_tile(db, log, level, n, len(hashes)) != hashes:
            raise _other_hashes(log, level, n)
    if (frontier.size, frontier.root()) != (log.size, log.root):
        raise does_not_fit(
            f"The entries of {log.origin} do not have the root of its signed head, of size {log.size}."
        )


async def _stored_tile(db: Statements, log: LogRow, level: int, n: int, width: int) -> list[bytes]:
    data = await rows.tile(db, log.origin, level, n)
    if data is None:
        raise _gone(log, level, n)
    if len(data) != width * HASH_SIZE:
        raise does_not_fit(f"Tile {level}/{n} of {log.origin} is not of width {width}.")
    return decode_tile(data, width)


async def _check_count(db: Statements, log: LogRow) -> int:
    """There are the tiles of a tree of this size and no others; returns how many."""
    widths = [full + (partial > 0) for full, partial in tiles_of(log.size)]
    expected = {(level, n) for level, count in enumerate(widths) for n in range(count)}
    stored = await rows.tile_names(db, log.origin)
    for level, n in sorted(expected - stored):
        raise _gone(log, level, n)
    for level, n in sorted(stored - expected):
        raise does_not_fit(f"Tile {level}/{n} of {log.origin} belongs to no log of size {log.size}.")
    return len(expected)


def _gone(log: LogRow, level: int, n: int) -> NotProven:
    return does_not_fit(f"Tile {level}/{n} of {log.origin} is gone.")


def _other_hashes(log: LogRow, level: int, n: int) -> NotProven:
    return does_not_fit(f"Tile {level}/{n} of {log.origin} does not hold the hashes of the tiles below it.")
