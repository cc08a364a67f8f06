"""Rows of erasures: what holders signed, and which entries have no opening any more because of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from crypto.access_log import Disclosure
from crypto.encoding import decode, encode
from crypto.signing import Envelope
from vault_server.store import rows
from vault_server.store.database import Statements


class ErasureRow(NamedTuple):
    """An erasure, and what opens its own entry. ``done``: what it names is destroyed."""

    vault: bytes
    envelope: Envelope
    disclosure: Disclosure
    done: bool


_COLUMNS = "vault, envelope, disclosure, done"


async def add(db: Statements, row: ErasureRow, entries: Sequence[int]) -> None:
    """Keep an erasure of ``entries``, whose openings are still there."""
    index, digest = row.disclosure.index, row.envelope.digest
    sql = "INSERT INTO erasures (vault, idx, digest, envelope, disclosure) VALUES ($1, $2, $3, $4, $5)"
    await db.all(sql, row.vault, index, digest, encode(row.envelope), encode(row.disclosure))
    sql = "INSERT INTO erased (vault, idx, erasure) VALUES ($1, $2, $3)"
    await db.many(sql, [(row.vault, entry, index) for entry in entries])


async def by_digest(db: Statements, digest: bytes) -> ErasureRow | None:
    """The erasure of this digest."""
    row = await db.one(f"SELECT {_COLUMNS} FROM erasures WHERE digest = $1", digest)  # noqa: S608
    return None if row is None else _row(row)


async def of_vault(db: Statements, vault: bytes) -> list[ErasureRow]:
    """Every erasure of a vault, in order of the log."""
    sql = f"SELECT {_COLUMNS} FROM erasures WHERE vault = $1 ORDER BY idx"  # noqa: S608
    return [_row(row) for row in await db.all(sql, vault)]


async def left_open(db: Statements) -> list[ErasureRow]:
    """The erasures of which nothing was destroyed yet."""
    return [_row(row) for row in await db.all(f"SELECT {_COLUMNS} FROM erasures WHERE done = 0")]  # noqa: S608


async def erased(db: Statements, vault: bytes) -> dict[int, int]:
    """The entries of a vault that were erased, each with the entry of its erasure."""
    sql = "SELECT idx, erasure FROM erased WHERE vault = $1"
    return {row[0]: row[1] for row in await db.all(sql, vault)}


async def destroy(db: Statements, vault: bytes, index: int) -> None:
    """Destroy the openings that the erasure at ``index`` names."""
    sql = "DELETE FROM openings WHERE vault = $1 AND idx IN (SELECT idx FROM erased WHERE vault = $1 AND erasure = $2)"
    await db.all(sql, vault, index)
    await db.all("UPDATE erasures SET done = 1 WHERE vault = $1 AND idx = $2", vault, index)


async def forget(db: Statements, vault: bytes, below: int) -> None:
    """Forget what was erased below an index, and the erasures whose own entries are below it."""
    await db.all("DELETE FROM erased WHERE vault = $1 AND idx < $2", vault, below)
    await db.all("DELETE FROM erasures WHERE vault = $1 AND idx < $2", vault, below)


def _row(row: Sequence[Any]) -> ErasureRow:
    vault, envelope, disclosure, done = row
    return ErasureRow(vault, rows.envelope(envelope), decode(disclosure, Disclosure), bool(done))
