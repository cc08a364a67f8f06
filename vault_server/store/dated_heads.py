"""Rows of the cosigned checkpoints that show how old entries are: one of each log and day."""

from typing import NamedTuple

from vault_server.store.database import Statements


class DatedHead(NamedTuple):
    """A cosigned checkpoint. ``time``: of its newest cosignature."""

    size: int
    time: int
    note: bytes


async def keep(db: Statements, origin: str, head: DatedHead, least: int) -> None:
    """Keep ``head``, unless one of the last ``least`` seconds is kept, or one of this size."""
    sql = (
        "INSERT INTO dated_heads (origin, size, time, note) SELECT $1, $2, $3, $4 "
        "WHERE NOT EXISTS (SELECT 1 FROM dated_heads WHERE origin = $1 AND time > $3 - $5) ON CONFLICT DO NOTHING"
    )
    await db.all(sql, origin, *head, least)


async def newest(db: Statements, origin: str, until: int) -> DatedHead | None:
    """The newest one of ``until`` or earlier."""
    sql = (
        "SELECT size, time, note FROM dated_heads WHERE origin = $1 AND time <= $2 ORDER BY size DESC LIMIT 1"
    )
    row = await db.one(sql, origin, until)
    return None if row is None else DatedHead(*row)


async def of_log(db: Statements, origin: str) -> list[DatedHead]:
    """All of a log, the smallest first."""
    sql = "SELECT size, time, note FROM dated_heads WHERE origin = $1 ORDER BY size"
    return [DatedHead(*row) for row in await db.all(sql, origin)]


async def forget(db: Statements, origin: str, below: int) -> None:
    """Forget those of fewer than ``below`` leaves."""
    await db.all("DELETE FROM dated_heads WHERE origin = $1 AND size < $2", origin, below)
