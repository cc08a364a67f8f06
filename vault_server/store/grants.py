"""Rows of grants: events, wraps by version, listings, keepers' policies, deliveries, answered requests."""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from crypto.access_log import Disclosure
from crypto.encoding import Body, decode, encode
from crypto.grants import GrantEvent, Row, SealedPolicy, read_event
from crypto.signing import Envelope
from crypto.vault_chain import GrantEntry
from crypto.wire.messages import Delivery, EventSubmission, ShownChain
from vault_server.rules import GrantedRow
from vault_server.store import rows as stored
from vault_server.store.database import Statements


class GrantRow(NamedTuple):
    """A grant, and whose it is."""

    vault: bytes
    entry: GrantEntry


class Answer(NamedTuple):
    """A request that was granted: who may still fetch what, and the proof while it is young."""

    identity: bytes
    vault: bytes
    gid: bytes
    versions: bytes
    listing: bool
    at: int
    disclosure: Disclosure | None


class _Chains(Body, frozen=True):
    chains: tuple[ShownChain, ...]


async def grant(db: Statements, gid: bytes) -> GrantRow | None:
    """One grant."""
    row = await db.one("SELECT vault, entry FROM grants WHERE gid = $1", gid)
    return None if row is None else GrantRow(row[0], _entry(row[1]))


async def put_grant(db: Statements, vault: bytes, entry: GrantEntry) -> bool:
    """Write a grant's state; false when the id is another vault's."""
    sql = (
        "INSERT INTO grants (gid, vault, entry) VALUES ($1, $2, $3) ON CONFLICT (gid) DO UPDATE "
        "SET entry = excluded.entry WHERE vault = excluded.vault RETURNING 1"
    )
    return await db.one(sql, entry.gid, vault, encode(entry)) is not None


async def event(db: Statements, gid: bytes, j: int) -> tuple[Envelope, GrantEvent] | None:
    """Event ``j`` of a grant."""
    row = await db.one("SELECT envelope FROM events WHERE gid = $1 AND j = $2", gid, j)
    return None if row is None else _event(row[0])


async def sent_event(db: Statements, gid: bytes, j: int) -> tuple[Envelope, bytes] | None:
    """Event ``j`` of a grant and its encoded rows."""
    row = await db.one("SELECT envelope, rows FROM events WHERE gid = $1 AND j = $2", gid, j)
    return None if row is None else (stored.envelope(row[0]), row[1])


async def add_event(
    db: Statements, event: GrantEvent, sent: EventSubmission, rows: Iterable[Row], *, fresh: bool
) -> None:
    """Write an event with its rows, its listing and its policies. ``fresh``: a rekey, which closes what was before.

    A listing that was lost is empty.
    """
    gid = event.gid
    if fresh:
        await db.all("DELETE FROM grant_rows WHERE gid = $1", gid)
        await db.all("DELETE FROM listings WHERE gid = $1", gid)
    chains = encode(_Chains(chains=sent.chains))
    sql = "INSERT INTO events (gid, j, envelope, rows, chains) VALUES ($1, $2, $3, $4, $5)"
    await db.all(sql, gid, event.j, encode(sent.envelope), sent.rows, chains)
    await db.many(
        "INSERT INTO grant_rows (gid, ver, doc, ct_root, rekey) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (gid, ver) "
        "DO UPDATE SET doc = excluded.doc, ct_root = excluded.ct_root, rekey = excluded.rekey",
        [(gid, row.ver, row.doc, row.ct_root, event.rekey) for row in rows],
    )
    listing = event.listing
    sql = "INSERT INTO listings (gid, ver, doc, ct_root, rekey, data) VALUES ($1, $2, $3, $4, $5, $6)"
    if sent.listing:
        await db.all(sql, gid, listing.ver, listing.doc, listing.ct_root, event.rekey, sent.listing)
    await db.all("DELETE FROM policies WHERE gid = $1", gid)
    policies = [(gid, blob.keeper, encode(blob)) for blob in sent.blobs]
    await db.many("INSERT INTO policies (gid, keeper, blob) VALUES ($1, $2, $3)", policies)


async def granted(
    db: Statements, gid: bytes, versions: Sequence[bytes], *, listing: bool
) -> dict[bytes, GrantedRow]:
    """The rows, or the listings, of the newest rekey for some versions."""
    table = "listings" if listing else "grant_rows"
    places = ", ".join(f"${place}" for place in range(2, len(versions) + 2))
    sql = f"SELECT ver, doc, ct_root, rekey FROM {table} WHERE gid = $1 AND ver IN ({places})"  # noqa: S608
    return {row[0]: GrantedRow(row[1], row[2], row[3]) for row in await db.all(sql, gid, *versions)}


async def listing(db: Statements, gid: bytes, ver: bytes) -> bytes | None:
    """The sealed listing of a version id."""
    row = await db.one("SELECT data FROM listings WHERE gid = $1 AND ver = $2", gid, ver)
    return None if row is None else row[0]


async def forget_document(db: Statements, vault: bytes, doc: bytes) -> None:
    """A deleted document is granted to nobody any more."""
    sql = "DELETE FROM grant_rows WHERE doc = $1 AND gid IN (SELECT gid FROM grants WHERE vault = $2)"
    await db.all(sql, doc, vault)


async def forget_granted(db: Statements, gid: bytes) -> None:
    """Destroy what an ended grant gave: which versions, and the sealed listings of their titles."""
    await db.all("DELETE FROM grant_rows WHERE gid = $1", gid)
    await db.all("DELETE FROM listings WHERE gid = $1", gid)


async def policies(db: Statements, gid: bytes) -> tuple[SealedPolicy, ...]:
    """The keepers' policies of a grant's newest event."""
    rows = await db.all("SELECT blob FROM policies WHERE gid = $1 ORDER BY keeper", gid)
    return tuple(decode(row[0], SealedPolicy, limit=1 << 22) for row in rows)


async def deliver(db: Statements, recipient: bytes, gid: bytes, j: int | None) -> None:
    """Put event ``j``, or (without) the end of a grant, into a recipient's mailbox."""
    await db.all(
        "INSERT INTO mailbox (recipient, number, gid, j) "
        "SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3 FROM mailbox WHERE recipient = $1",
        recipient, gid, j,
    )  # fmt: skip


async def mailbox(
    db: Statements, recipient: bytes, after: int, count: int
) -> list[tuple[int, bytes, int | None]]:
    """Up to ``count`` deliveries after number ``after``: number, gid, j."""
    sql = "SELECT number, gid, j FROM mailbox WHERE recipient = $1 AND number > $2 ORDER BY number LIMIT $3"
    return [(row[0], row[1], row[2]) for row in await db.all(sql, recipient, after, count)]


async def has_grant_of(db: Statements, recipient: bytes, vaults: Collection[bytes]) -> bool:
    """Whether a grant of one of ``vaults`` was delivered to ``recipient`` and has not ended."""
    places = ", ".join(f"${place}" for place in range(2, len(vaults) + 2))
    sql = (
        "SELECT DISTINCT grants.entry FROM mailbox JOIN grants ON grants.gid = mailbox.gid "  # noqa: S608
        f"WHERE mailbox.recipient = $1 AND grants.vault IN ({places})"
    )
    return any(not _entry(row[0]).ended for row in await db.all(sql, recipient, *vaults))


async def delivery(db: Statements, number: int, gid: bytes, j: int | None) -> Delivery:
    """One delivery with its content."""
    if j is None:
        return Delivery(number=number, envelope=None, rows=b"", chains=(), ended=gid)
    row = await db.one("SELECT envelope, rows, chains FROM events WHERE gid = $1 AND j = $2", gid, j)
    if row is None:
        raise LookupError("a delivery without its event")
    envelope = stored.envelope(row[0])
    chains = decode(row[2], _Chains, limit=1 << 27).chains
    return Delivery(number=number, envelope=envelope, rows=row[1], chains=chains, ended=None)


async def add_answer(db: Statements, digest: bytes, answer: Answer) -> None:
    """Remember that a request was granted."""
    shown = None if answer.disclosure is None else encode(answer.disclosure)
    await db.all(
        "INSERT INTO answers (digest, identity, vault, gid, versions, listing, at, disclosure) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        digest, answer.identity, answer.vault, answer.gid, answer.versions, int(answer.listing), answer.at, shown,
    )  # fmt: skip


async def answer(db: Statements, digest: bytes) -> Answer | None:
    """A request that was granted, by its digest."""
    sql = "SELECT identity, vault, gid, versions, listing, at, disclosure FROM answers WHERE digest = $1"
    row = await db.one(sql, digest)
    if row is None:
        return None
    shown = None if row[6] is None else decode(row[6], Disclosure)
    return Answer(row[0], row[1], row[2], row[3], bool(row[4]), row[5], shown)


async def forget_answers(db: Statements, proofs_before: int, rights_before: int) -> None:
    """Drop old proofs, and old rights to fetch."""
    await db.all(
        "UPDATE answers SET disclosure = NULL WHERE at < $1 AND disclosure IS NOT NULL", proofs_before
    )
    await db.all("DELETE FROM answers WHERE at < $1", rights_before)


# What is asked for under one grant reads the same few rows each time.
@lru_cache(maxsize=1024)
def _entry(data: bytes) -> GrantEntry:
    return decode(data, GrantEntry)


@lru_cache(maxsize=64)
def _event(data: bytes) -> tuple[Envelope, GrantEvent]:
    envelope = stored.envelope(data)
    return envelope, read_event(envelope)
