"""Rows of identities: their links, their sessions, and erasable parts by owner."""

from collections.abc import Iterable, Sequence

from crypto.access_log import Disclosure
from crypto.encoding import decode, encode
from crypto.identity_links import DisclosedLink
from vault_server.store import rows as stored
from vault_server.store.database import Statements


async def links(db: Statements, identity: bytes) -> list[DisclosedLink]:
    """The links of one identity, in order."""
    sql = "SELECT envelope, disclosure FROM identity_links WHERE identity = $1 ORDER BY n"
    return [
        DisclosedLink(envelope=stored.envelope(row[0]), disclosure=decode(row[1], Disclosure))
        for row in await db.all(sql, identity)
    ]


async def add_link(db: Statements, identity: bytes, n: int, link: DisclosedLink) -> bool:
    """Write link ``n``; false when there is one already."""
    sql = "INSERT INTO identity_links (identity, n, envelope, disclosure) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1"
    return await db.one(sql, identity, n, encode(link.envelope), encode(link.disclosure)) is not None


async def add_root(db: Statements, root: bytes, identity: bytes) -> None:
    """Have ``identity`` found by its root."""
    await db.all("INSERT INTO roots (root, identity) VALUES ($1, $2) ON CONFLICT DO NOTHING", root, identity)


async def of_root(db: Statements, root: bytes) -> bytes | None:
    """The identity whose root is, or was, the key with the id ``root``."""
    row = await db.one("SELECT identity FROM roots WHERE root = $1", root)
    return None if row is None else row[0]


async def without_root(db: Statements) -> list[bytes]:
    """Every identity, if the store is from before any could be found by its root; else none."""
    if await db.one("SELECT 1 FROM roots LIMIT 1") is not None:
        return []
    return [row[0] for row in await db.all("SELECT identity FROM identity_links WHERE n = 0")]


async def add_parts(db: Statements, owner: bytes, parts: Iterable[tuple[bytes, bytes]]) -> None:
    """Keep parts, by hash."""
    rows = [(owner, name, data) for name, data in parts]
    await db.many("INSERT INTO parts (owner, hash, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", rows)


async def parts(db: Statements, owner: bytes, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Those of the parts that are there."""
    places = ", ".join(f"${place}" for place in range(2, len(hashes) + 2))
    sql = f"SELECT hash, data FROM parts WHERE owner = $1 AND hash IN ({places})"  # noqa: S608 - numbers only
    return {row[0]: row[1] for row in await db.all(sql, owner, *hashes)}


async def part_sizes(db: Statements, owner: bytes, hashes: Sequence[bytes]) -> dict[bytes, int]:
    """The lengths of those of the parts that are there."""
    places = ", ".join(f"${place}" for place in range(2, len(hashes) + 2))
    sql = f"SELECT hash, LENGTH(data) FROM parts WHERE owner = $1 AND hash IN ({places})"  # noqa: S608 - numbers only
    return {row[0]: row[1] for row in await db.all(sql, owner, *hashes)}


async def erase_parts(db: Statements, owner: bytes, hashes: Iterable[bytes]) -> None:
    """Destroy parts."""
    await db.many("DELETE FROM parts WHERE owner = $1 AND hash = $2", [(owner, name) for name in hashes])


async def add_session(db: Statements, token: bytes, identity: bytes, device: bytes, until: int) -> None:
    """Keep a session under the hash of its token."""
    sql = "INSERT INTO sessions (token, identity, device, until) VALUES ($1, $2, $3, $4)"
    await db.all(sql, token, identity, device, until)


async def session(db: Statements, token: bytes) -> tuple[bytes, bytes, int] | None:
    """Identity, device and end of a session, by the hash of its token."""
    row = await db.one("SELECT identity, device, until FROM sessions WHERE token = $1", token)
    return None if row is None else (row[0], row[1], row[2])


async def forget_sessions(db: Statements, now: int) -> None:
    """Drop the sessions that have ended."""
    await db.all("DELETE FROM sessions WHERE until < $1", now)
