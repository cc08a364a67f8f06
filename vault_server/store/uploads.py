"""Rows of uploads: which parts of a version's ciphertext are safely in the file store."""

from typing import NamedTuple

from vault_server.store.database import Statements


class Upload(NamedTuple):
    """A version's ciphertext. ``committed``: a link names it."""

    length: int
    committed: bool


async def upload(db: Statements, vault: bytes, ver: bytes) -> Upload | None:
    """One upload."""
    sql = "SELECT length, committed FROM uploads WHERE vault = $1 AND ver = $2"
    row = await db.one(sql, vault, ver)
    return None if row is None else Upload(row[0], bool(row[1]))


async def begin(db: Statements, vault: bytes, ver: bytes, length: int, now: int) -> None:
    """Begin an upload, or leave it as it is."""
    sql = (
        "INSERT INTO uploads (vault, ver, length, started) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING "
        "RETURNING 1"
    )
    if await db.one(sql, vault, ver, length, now) is not None:
        await _count(db, vault, unfinished=1, size=length)


async def add_part(db: Statements, vault: bytes, ver: bytes, number: int, part_hash: bytes) -> None:
    """A part is in the file store."""
    sql = "INSERT INTO upload_parts (vault, ver, number, hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
    await db.all(sql, vault, ver, number, part_hash)


async def parts(db: Statements, vault: bytes, ver: bytes) -> dict[int, bytes]:
    """The hashes of the parts that have arrived, by number."""
    sql = "SELECT number, hash FROM upload_parts WHERE vault = $1 AND ver = $2 ORDER BY number"
    return {row[0]: row[1] for row in await db.all(sql, vault, ver)}


async def commit(db: Statements, vault: bytes, ver: bytes) -> None:
    """A link names this ciphertext: it stays."""
    sql = "UPDATE uploads SET committed = 1 WHERE vault = $1 AND ver = $2 AND committed = 0 RETURNING 1"
    if await db.one(sql, vault, ver) is not None:
        await _count(db, vault, unfinished=-1, size=0)


async def forget(db: Statements, vault: bytes, ver: bytes) -> None:
    """Drop an upload, before its files are deleted."""
    await db.all("DELETE FROM upload_parts WHERE vault = $1 AND ver = $2", vault, ver)
    sql = "DELETE FROM uploads WHERE vault = $1 AND ver = $2 RETURNING length, committed"
    dropped = await db.one(sql, vault, ver)
    if dropped is not None:
        await _count(db, vault, unfinished=dropped[1] - 1, size=-dropped[0])


async def use(db: Statements, vault: bytes) -> tuple[int, int]:
    """How many uploads of a vault no link names yet, and the bytes of all."""
    row = await db.one("SELECT unfinished, bytes FROM upload_totals WHERE vault = $1", vault)
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


async def left_open(db: Statements, before: int, count: int) -> list[tuple[bytes, bytes]]:
    """Uploads begun before a time that no link names: vault and version."""
    sql = "SELECT vault, ver FROM uploads WHERE committed = 0 AND started < $1 LIMIT $2"
    return [(row[0], row[1]) for row in await db.all(sql, before, count)]


async def _count(db: Statements, vault: bytes, *, unfinished: int, size: int) -> None:
    sql = (
        "INSERT INTO upload_totals (vault, unfinished, bytes) VALUES ($1, $2, $3) ON CONFLICT (vault) DO UPDATE "
        "SET unfinished = upload_totals.unfinished + excluded.unfinished, "
        "bytes = upload_totals.bytes + excluded.bytes"
    )
    await db.all(sql, vault, unfinished, size)
