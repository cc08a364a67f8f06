"""Rows that say what is behind log entries, read through for a check of all of them."""

from collections.abc import Sequence
from typing import Any

from crypto.access_log import Disclosure
from crypto.encoding import decode
from vault_server.store.database import Statements

_RECORDS = "SELECT vault FROM vaults UNION SELECT vault FROM vault_links UNION SELECT vault FROM link_leaves UNION SELECT vault FROM openings UNION SELECT vault FROM erasures UNION SELECT vault FROM erased"


async def identities(db: Statements) -> list[bytes]:
    """Every identity that has a link."""
    return [row[0] for row in await db.all("SELECT DISTINCT identity FROM identity_links")]


async def records(db: Statements) -> list[bytes]:
    """Every vault that any row of a chain or an entry names."""
    return [row[0] for row in await db.all(_RECORDS)]


async def links(db: Statements, vault: bytes, after: int, count: int) -> list[Sequence[Any]]:
    """Up to ``count`` links of a vault after number ``after``: number, envelope."""
    sql = "SELECT n, envelope FROM vault_links WHERE vault = $1 AND n > $2 ORDER BY n LIMIT $3"
    return await db.all(sql, vault, after, count)


async def event(db: Statements, gid: bytes, j: int) -> bytes | None:
    """The envelope of a grant's event, encoded."""
    row = await db.one("SELECT envelope FROM events WHERE gid = $1 AND j = $2", gid, j)
    return None if row is None else row[0]


async def link_leaf_count(db: Statements, vault: bytes) -> int:
    """How many leaves the links of a vault have."""
    row = await db.one("SELECT count(*) FROM link_leaves WHERE vault = $1", vault)
    return 0 if row is None else int(row[0])


async def link_leaves(db: Statements, vault: bytes) -> set[int]:
    """The indexes of the leaves of a vault's links."""
    found = await db.all("SELECT disclosure FROM link_leaves WHERE vault = $1", vault)
    return {decode(row[0], Disclosure).index for row in found}


async def openings(db: Statements, vault: bytes) -> list[Sequence[Any]]:
    """The openings of a vault, in order, without their content: index, epoch."""
    return await db.all("SELECT idx, epoch FROM openings WHERE vault = $1 ORDER BY idx", vault)


async def answers(db: Statements) -> list[Sequence[Any]]:
    """The requests whose proof is still kept: digest, vault, disclosure."""
    return await db.all("SELECT digest, vault, disclosure FROM answers WHERE disclosure IS NOT NULL")
