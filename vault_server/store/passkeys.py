"""Rows of passkeys, and of the accounts that want one at each session."""

from typing import NamedTuple

from vault_server.store.database import Statements


class PasskeyRow(NamedTuple):
    """One passkey as it is stored."""

    credential: bytes
    public_key: bytes
    uses: int
    synced: bool
    added: int


async def passkeys(db: Statements, identity: bytes, party: str) -> list[PasskeyRow]:
    """The passkeys of an account that are for ``party``, oldest first."""
    sql = (
        "SELECT credential, public_key, uses, synced, added FROM passkeys "
        "WHERE identity = $1 AND party = $2 ORDER BY added, credential"
    )
    return [
        PasskeyRow(row[0], row[1], row[2], bool(row[3]), row[4]) for row in await db.all(sql, identity, party)
    ]


async def add(db: Statements, identity: bytes, party: str, row: PasskeyRow) -> bool:
    """Keep a passkey; false when the account has one of this id."""
    sql = (
        "INSERT INTO passkeys (identity, credential, party, public_key, uses, synced, added) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING 1"
    )
    values = (row.credential, party, row.public_key, row.uses, int(row.synced), row.added)
    return await db.one(sql, identity, *values) is not None


async def used(db: Statements, identity: bytes, row: PasskeyRow, uses: int) -> bool:
    """Note how often a passkey says it was used; false when the passkey has been used or removed since ``row`` was read."""
    sql = "UPDATE passkeys SET uses = $1 WHERE identity = $2 AND credential = $3 AND uses = $4 RETURNING 1"
    return await db.one(sql, uses, identity, row.credential, row.uses) is not None


async def remove(db: Statements, identity: bytes, credential: bytes) -> None:
    """Remove one passkey."""
    await db.all("DELETE FROM passkeys WHERE identity = $1 AND credential = $2", identity, credential)


async def forget(db: Statements, identity: bytes) -> None:
    """Remove every passkey of an account, and that each session needs one."""
    await db.all("DELETE FROM passkeys WHERE identity = $1", identity)
    await set_each_session(db, identity, required=False)


async def each_session(db: Statements, identity: bytes, party: str) -> bool:
    """Whether each session of an account needs a passkey, of which it has one for ``party``."""
    sql = (
        "SELECT 1 FROM passkey_each_session JOIN passkeys USING (identity) "
        "WHERE identity = $1 AND party = $2 LIMIT 1"
    )
    return await db.one(sql, identity, party) is not None


async def set_each_session(db: Statements, identity: bytes, *, required: bool) -> None:
    """Have each session of an account need a passkey, or no longer."""
    await db.all("DELETE FROM passkey_each_session WHERE identity = $1", identity)
    if required:
        await db.all("INSERT INTO passkey_each_session (identity) VALUES ($1)", identity)
