"""Rows of losses: parts of logs of which the entries are there and what they commit to is not."""

from collections.abc import Iterable, Sequence

from crypto.wire.losses import Loss
from vault_server.store.database import Statements

GIVEN_UP, SHOWN_LINK = 1, 2


async def add(db: Statements, origin: str, loss: Loss) -> None:
    """Note that of a part of a log nothing but the entries is there."""
    sql = "INSERT INTO losses (origin, start, stop, time) VALUES ($1, $2, $3, $4)"
    await db.all(sql, origin, loss.start, loss.end, loss.time)


async def of_log(db: Statements, origin: str) -> list[Loss]:
    """The losses of a log, in order."""
    sql = "SELECT start, stop, time FROM losses WHERE origin = $1 ORDER BY start"
    return [Loss(start=row[0], end=row[1], time=row[2]) for row in await db.all(sql, origin)]


async def add_links(db: Statements, links: Iterable[tuple[bytes, int]]) -> None:
    """Note the entries of links of identities: slot one, index. Of two with one slot the first counts."""
    await db.many("INSERT INTO lost_links (slot, idx) VALUES ($1, $2) ON CONFLICT DO NOTHING", links)


async def link(db: Statements, slot: bytes) -> int | None:
    """The entry of a link that was lost, by its slot one."""
    row = await db.one("SELECT idx FROM lost_links WHERE slot = $1", slot)
    return None if row is None else int(row[0])


async def links(db: Statements) -> dict[int, bytes]:
    """The entries of every link that was lost, with their slots."""
    return {row[0]: row[1] for row in await db.all("SELECT idx, slot FROM lost_links")}


async def found_link(db: Statements, slot: bytes) -> None:
    """A link that was lost is there again."""
    await db.all("DELETE FROM lost_links WHERE slot = $1", slot)


async def add_entries(db: Statements, vault: bytes, epoch: int, entries: Iterable[int]) -> None:
    """Note entries of a vault without openings, but for those that are noted."""
    sql = "INSERT INTO lost_entries (vault, idx, epoch) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
    await db.many(sql, [(vault, index, epoch) for index in entries])


async def entries(db: Statements, vault: bytes) -> dict[int, int]:
    """Every entry of a vault that has no opening because of a loss, in order, with its epoch."""
    sql = "SELECT idx, epoch FROM lost_entries WHERE vault = $1 ORDER BY idx"
    return {row[0]: row[1] for row in await db.all(sql, vault)}


async def unshown(db: Statements, vault: bytes, above: int, count: int) -> list[int]:
    """Up to ``count`` entries of a vault above an index of which nothing was shown, and which were not given up."""
    sql = "SELECT idx FROM lost_entries WHERE vault = $1 AND idx > $2 AND standing = 0 ORDER BY idx LIMIT $3"
    return [row[0] for row in await db.all(sql, vault, above, count)]


async def show_link(db: Statements, vault: bytes, entries: Sequence[int]) -> None:
    """The link behind ``entries`` is there again; of their openings, those that were shown before it."""
    sql = "UPDATE lost_entries SET standing = $1 WHERE vault = $2 AND idx = $3"
    await db.many(sql, [(SHOWN_LINK, vault, index) for index in entries])
    sql = (
        "DELETE FROM lost_entries WHERE vault = $1 AND idx = $2 "
        "AND EXISTS (SELECT 1 FROM openings WHERE vault = $1 AND idx = $2)"
    )
    await db.many(sql, [(vault, index) for index in entries])


async def give_up(db: Statements, vault: bytes) -> None:
    """Nothing more is expected to be shown of a vault."""
    await db.all("UPDATE lost_entries SET standing = $1 WHERE vault = $2 AND standing = 0", GIVEN_UP, vault)


async def found_entry(db: Statements, vault: bytes, index: int, *, of_link: bool) -> None:
    """The opening of an entry is there again. One of a link is lost as long as that link is."""
    sql = "DELETE FROM lost_entries WHERE vault = $1 AND idx = $2 AND (standing = $3 OR NOT $4)"
    await db.all(sql, vault, index, SHOWN_LINK, of_link)


async def is_opened(db: Statements, vault: bytes, index: int) -> bool:
    """Whether the opening of an entry is there, though its link may not be."""
    return await db.one("SELECT 1 FROM openings WHERE vault = $1 AND idx = $2", vault, index) is not None


async def forget(db: Statements, vault: bytes, below: int) -> None:
    """Forget what was lost of a vault below an index: the entries are gone too."""
    await db.all("DELETE FROM lost_entries WHERE vault = $1 AND idx < $2", vault, below)


async def newest_entry(db: Statements, vault: bytes) -> int | None:
    """The index of a vault's newest entry, with an opening or lost."""
    sql = (
        "SELECT MAX(idx) FROM (SELECT MAX(idx) AS idx FROM openings WHERE vault = $1 "
        "UNION ALL SELECT MAX(idx) FROM lost_entries WHERE vault = $1)"
    )
    row = await db.one(sql, vault)
    return None if row is None or row[0] is None else int(row[0])
