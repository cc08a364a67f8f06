"""Rows of the logs: signed heads, leaves, tiles, and the directory's published heads."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from crypto.durations import DAY
from vault_server.store.database import Statements


class LogRow(NamedTuple):
    """One log as it is stored. The entries below ``minimum`` are gone."""

    origin: str
    shard: int | None
    size: int
    root: bytes
    minimum: int = 0


async def logs(db: Statements) -> list[LogRow]:
    """Every log of this server."""
    return [LogRow(*row) for row in await db.all("SELECT origin, shard, size, root, minimum FROM logs")]


async def add_log(db: Statements, origin: str, shard: int | None, root: bytes) -> bool:
    """Open an empty log; false when it is there already."""
    sql = "INSERT INTO logs (origin, shard, size, root) VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING RETURNING 1"
    return await db.one(sql, origin, shard, root) is not None


async def move_head(db: Statements, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
    """Compare-and-swap of the signed head; false when it is not ``old``."""
    sql = "UPDATE logs SET size = $1, root = $2 WHERE origin = $3 AND size = $4 AND root = $5 RETURNING 1"
    return await db.one(sql, *new, origin, *old) is not None


async def keep_note(db: Statements, origin: str, note: bytes) -> None:
    """Remember the newest published checkpoint: what a copy of this store can show of its age."""
    await db.all("UPDATE logs SET note = $1 WHERE origin = $2", note, origin)


async def take_slot(db: Statements, origin: str, shard_vaults: int) -> int | None:
    """Give out the next slot of a shard; nothing when it is full."""
    sql = "UPDATE logs SET taken = taken + 1 WHERE origin = $1 AND taken < $2 RETURNING taken - 1"
    row = await db.one(sql, origin, shard_vaults)
    return None if row is None else int(row[0])


async def give_out(db: Statements, origin: str, slots: int) -> None:
    """So many further slots of a shard are given to nobody."""
    await db.all("UPDATE logs SET taken = taken + $1 WHERE origin = $2", slots, origin)


async def is_closed(db: Statements, origin: str, shard_vaults: int) -> bool:
    """Whether a shard has given out all its slots."""
    return (
        await db.one("SELECT 1 FROM logs WHERE origin = $1 AND taken >= $2", origin, shard_vaults) is not None
    )


async def add_leaves(db: Statements, origin: str, first: int, leaves: Iterable[bytes]) -> None:
    """Write leaves at their indexes. Writing over one is an error of the database."""
    rows = [(origin, index, leaf[33:65], leaf) for index, leaf in enumerate(leaves, first)]
    await db.many("INSERT INTO leaves (origin, idx, slot_two, leaf) VALUES ($1, $2, $3, $4)", rows)


async def leaves(db: Statements, origin: str, first: int, count: int) -> list[bytes]:
    """Up to ``count`` leaves from index ``first`` on."""
    sql = "SELECT leaf FROM leaves WHERE origin = $1 AND idx >= $2 AND idx < $3 ORDER BY idx"
    return [row[0] for row in await db.all(sql, origin, first, first + count)]


async def numbered_leaves(db: Statements, origin: str, first: int, count: int) -> list[Sequence[Any]]:
    """As ``leaves``, each with its index before it and the slot two it is filed under: index, slot two, leaf."""
    sql = "SELECT idx, slot_two, leaf FROM leaves WHERE origin = $1 AND idx >= $2 AND idx < $3 ORDER BY idx"
    return await db.all(sql, origin, first, first + count)


async def minimum(db: Statements, origin: str) -> int:
    """The index of the first entry of a log that is not gone."""
    row = await db.one("SELECT minimum FROM logs WHERE origin = $1", origin)
    return 0 if row is None else int(row[0])


async def prune(db: Statements, origin: str, minimum: int) -> None:
    """Destroy the leaves below ``minimum``; their hashes stay."""
    await db.all("DELETE FROM leaves WHERE origin = $1 AND idx < $2", origin, minimum)
    await db.all("UPDATE logs SET minimum = $1 WHERE origin = $2", minimum, origin)


async def leaf_beyond(db: Statements, origin: str, minimum: int, size: int) -> int | None:
    """The index of a leaf below ``minimum``, or not one of the first ``size``, if there is any."""
    sql = "SELECT idx FROM leaves WHERE origin = $1 AND (idx < $2 OR idx >= $3) ORDER BY idx LIMIT 1"
    row = await db.one(sql, origin, minimum, size)
    return None if row is None else int(row[0])


async def has_slot_two(db: Statements, origin: str, slot_two: bytes) -> bool:
    """Whether a leaf with this slot two is in the log."""
    sql = "SELECT 1 FROM leaves WHERE origin = $1 AND slot_two = $2 LIMIT 1"
    return await db.one(sql, origin, slot_two) is not None


async def put_tiles(db: Statements, rows: Iterable[tuple[str, int, int, bytes]]) -> None:
    """Write tiles; a partial one is replaced by what it has grown to."""
    sql = "INSERT INTO tiles (origin, level, n, data) VALUES ($1, $2, $3, $4) ON CONFLICT (origin, level, n) DO UPDATE SET data = excluded.data"
    await db.many(sql, rows)


async def tile(db: Statements, origin: str, level: int, n: int) -> bytes | None:
    """The hashes of one tile, as many as it has by now."""
    row = await db.one("SELECT data FROM tiles WHERE origin = $1 AND level = $2 AND n = $3", origin, level, n)
    return None if row is None else row[0]


async def tile_names(db: Statements, origin: str) -> set[tuple[int, int]]:
    """Level and place of every tile of a log."""
    return {(row[0], row[1]) for row in await db.all("SELECT level, n FROM tiles WHERE origin = $1", origin)}


async def unknown_log(db: Statements) -> str | None:
    """An origin that leaves or tiles name and that is no log here, if there is any."""
    for sql in (
        "SELECT origin FROM leaves WHERE origin NOT IN (SELECT origin FROM logs) LIMIT 1",
        "SELECT origin FROM tiles WHERE origin NOT IN (SELECT origin FROM logs) LIMIT 1",
    ):
        row = await db.one(sql)
        if row is not None:
            return str(row[0])
    return None


async def note(db: Statements, origin: str) -> bytes | None:
    """The newest published checkpoint of a log."""
    row = await db.one("SELECT note FROM logs WHERE origin = $1", origin)
    return None if row is None else row[0]


async def slots_taken(db: Statements, origin: str) -> tuple[int, int]:
    """How many slots of a shard were given out, and how many of these are reserved and not used yet."""
    sql = "SELECT taken, (SELECT count(*) FROM reservations WHERE origin = $1) FROM logs WHERE origin = $1"
    row = await db.one(sql, origin)
    return (0, 0) if row is None else (row[0], row[1])


async def add_directory_head(db: Statements, size: int, root: bytes, now: int) -> None:
    """A larger head of the directory was published at ``now``; those before it are replaced, and forgotten in time."""
    await db.all(
        "UPDATE directory_heads SET replaced_at = $1 WHERE replaced_at IS NULL AND size < $2", now, size
    )
    await db.all(
        "INSERT INTO directory_heads (size, root) VALUES ($1, $2) ON CONFLICT DO NOTHING", size, root
    )
    await db.all("DELETE FROM directory_heads WHERE replaced_at < $1", now - DAY)


async def directory_heads(db: Statements) -> list[tuple[int, bytes, int | None]]:
    """The directory's published heads, with when each was replaced."""
    return [
        (row[0], row[1], row[2])
        for row in await db.all("SELECT size, root, replaced_at FROM directory_heads")
    ]
