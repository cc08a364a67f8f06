"""Rows of vaults: heads, links, documents, what opens their leaves. Every statement names one vault."""

from collections.abc import Sequence
from functools import lru_cache

from crypto.access_log import Disclosure
from crypto.encoding import Bytes32, SecretBody, decode, encode
from crypto.errors import NotFound
from crypto.signing import Envelope
from crypto.vault_chain import Changes, Document, Named, VaultHead, VaultView, Version
from vault_server.store import erasures, grants, losses, rows
from vault_server.store.database import Statements


@lru_cache(maxsize=1024)  # each request to one vault reads the same head
def _head(data: bytes) -> VaultHead:
    return decode(data, VaultHead)


class VaultRow(SecretBody, frozen=True):
    """A vault's head, its scan key, and the commitment of its newest leaf."""

    head: VaultHead
    scan_key: Bytes32
    last: Bytes32


async def vault(db: Statements, vault: bytes) -> VaultRow:
    """One vault. Raises NotFound."""
    row = await db.one("SELECT head, scan_key, last FROM vaults WHERE vault = $1", vault)
    if row is None:
        raise NotFound("A record")
    return VaultRow(head=_head(row[0]), scan_key=row[1], last=row[2])


async def add_vault(db: Statements, row: VaultRow) -> bool:
    """Write a new vault with its holders; false when it is there."""
    head = row.head
    sql = "INSERT INTO vaults (vault, link, head, scan_key, last) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1"
    if await db.one(sql, head.vault, head.link, encode(head), row.scan_key, row.last) is None:
        return False
    holders = [(identity, head.vault) for identity in head.holders]
    await db.many("INSERT INTO holders (identity, vault) VALUES ($1, $2)", holders)
    return True


async def move_vault(db: Statements, before: bytes, row: VaultRow) -> bool:
    """Compare-and-swap of a vault's head; false when its newest link is not ``before``."""
    sql = "UPDATE vaults SET link = $1, head = $2, scan_key = $3, last = $4 WHERE vault = $5 AND link = $6 RETURNING 1"
    head = row.head
    values = (head.link, encode(head), row.scan_key, row.last, head.vault, before)
    return await db.one(sql, *values) is not None


async def set_last(db: Statements, vault: bytes, last: bytes) -> None:
    """A leaf was written for this vault that is no link."""
    await db.all("UPDATE vaults SET last = $1 WHERE vault = $2", last, vault)


async def is_holder(db: Statements, identity: bytes, vault: bytes) -> bool:
    """Whether ``identity`` holds ``vault``."""
    sql = "SELECT 1 FROM holders WHERE identity = $1 AND vault = $2"
    return await db.one(sql, identity, vault) is not None


async def vaults_of(db: Statements, identity: bytes) -> set[bytes]:
    """The vaults that ``identity`` holds."""
    return {row[0] for row in await db.all("SELECT vault FROM holders WHERE identity = $1", identity)}


async def add_link(
    db: Statements, vault: bytes, n: int, envelope: Envelope, shown: Sequence[Disclosure]
) -> None:
    """Write link ``n``, and what opens each of its leaves."""
    sql = "INSERT INTO vault_links (vault, n, envelope) VALUES ($1, $2, $3)"
    await db.all(sql, vault, n, encode(envelope))
    sql = "INSERT INTO link_leaves (vault, n, place, disclosure) VALUES ($1, $2, $3, $4)"
    await db.many(sql, [(vault, n, place, encode(each)) for place, each in enumerate(shown)])


async def link(db: Statements, vault: bytes, n: int) -> Envelope | None:
    """Link ``n`` of a vault."""
    row = await db.one("SELECT envelope FROM vault_links WHERE vault = $1 AND n = $2", vault, n)
    return None if row is None else rows.envelope(row[0])


async def links(db: Statements, vault: bytes, since: int, count: int) -> list[bytes]:
    """Up to ``count`` encoded links from number ``since`` on."""
    sql = "SELECT envelope FROM vault_links WHERE vault = $1 AND n >= $2 ORDER BY n LIMIT $3"
    return [row[0] for row in await db.all(sql, vault, since, count)]


async def link_leaves(db: Statements, vault: bytes, n: int) -> list[Disclosure]:
    """What opens the leaves of link ``n``, in order."""
    sql = "SELECT disclosure FROM link_leaves WHERE vault = $1 AND n = $2 ORDER BY place"
    return [decode(row[0], Disclosure) for row in await db.all(sql, vault, n)]


async def add_opening(db: Statements, vault: bytes, index: int, epoch: int, box: bytes) -> None:
    """Keep a sealed opening."""
    sql = "INSERT INTO openings (vault, idx, epoch, box) VALUES ($1, $2, $3, $4)"
    await db.all(sql, vault, index, epoch, box)


async def in_log(db: Statements, origin: str) -> list[bytes]:
    """The vaults that are written in a log."""
    return [
        row[0] for row in await db.all("SELECT vault, head FROM vaults") if _head(row[1]).origin == origin
    ]


async def forget_openings(db: Statements, vault: bytes, below: int) -> None:
    """Destroy the openings of the entries below an index, and what says that one was erased or lost."""
    await erasures.forget(db, vault, below)
    await losses.forget(db, vault, below)
    await db.all("DELETE FROM openings WHERE vault = $1 AND idx < $2", vault, below)


async def openings(db: Statements, vault: bytes, since: int, count: int) -> list[tuple[int, int, bytes]]:
    """Up to ``count`` openings from index ``since`` on: index, epoch, box."""
    sql = "SELECT idx, epoch, box FROM openings WHERE vault = $1 AND idx >= $2 ORDER BY idx LIMIT $3"
    return [(row[0], row[1], row[2]) for row in await db.all(sql, vault, since, count)]


async def view(db: Statements, head: VaultHead, named: Named) -> VaultView:
    """The state of what a link names, for ``vault_chain.follow``."""
    documents = {
        doc: found for doc in named.documents if (found := await document(db, head.vault, doc)) is not None
    }
    entries = {
        gid: row.entry
        for gid in named.grants
        if (row := await grants.grant(db, gid)) is not None and row.vault == head.vault
    }
    blocked = {}
    for identity in named.identities:
        sql = "SELECT blocked FROM blocked WHERE vault = $1 AND identity = $2"
        state = await db.one(sql, head.vault, identity)
        blocked[identity] = state is not None and bool(state[0])
    return VaultView(head=head, documents=documents, grants=entries, blocked=blocked)


async def document(db: Statements, vault: bytes, doc: bytes) -> Document | None:
    """One document with its versions."""
    row = await db.one("SELECT masked, deleted FROM documents WHERE vault = $1 AND doc = $2", vault, doc)
    if row is None:
        return None
    sql = "SELECT version FROM versions WHERE vault = $1 AND doc = $2 ORDER BY place"
    versions = tuple(decode(each[0], Version) for each in await db.all(sql, vault, doc))
    return Document(doc=doc, versions=versions, masked=bool(row[0]), deleted=bool(row[1]))


async def version(db: Statements, vault: bytes, ver: bytes) -> Version | None:
    """One version that a link names."""
    row = await db.one("SELECT version FROM versions WHERE vault = $1 AND ver = $2", vault, ver)
    return None if row is None else decode(row[0], Version)


async def closed(db: Statements, vault: bytes, docs: Sequence[bytes]) -> set[bytes]:
    """Those of ``docs`` that are masked or deleted."""
    places = ", ".join(f"${place}" for place in range(2, len(docs) + 2))
    sql = (
        f"SELECT doc FROM documents WHERE vault = $1 AND (masked <> 0 OR deleted <> 0) AND doc IN ({places})"  # noqa: S608
    )
    return {row[0] for row in await db.all(sql, vault, *docs)}


async def write(db: Statements, before: VaultView, changes: Changes) -> None:
    """Write what a link changed beside the head and the grants."""
    vault = before.head.vault
    for doc, document in changes.documents.items():
        await db.all(
            "INSERT INTO documents (vault, doc, masked, deleted) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (vault, doc) DO UPDATE SET masked = excluded.masked, deleted = excluded.deleted",
            vault, doc, int(document.masked), int(document.deleted),
        )  # fmt: skip
        known = before.documents.get(doc)
        first = 0 if known is None else len(known.versions)
        sql = "INSERT INTO versions (vault, ver, doc, place, version) VALUES ($1, $2, $3, $4, $5)"
        added = enumerate(document.versions[first:], first)
        await db.many(sql, [(vault, each.ver, doc, place, encode(each)) for place, each in added])
    for identity, blocked in changes.blocked.items():
        await db.all(
            "INSERT INTO blocked (vault, identity, blocked) VALUES ($1, $2, $3) "
            "ON CONFLICT (vault, identity) DO UPDATE SET blocked = excluded.blocked",
            vault, identity, int(blocked),
        )  # fmt: skip


async def reservation(db: Statements, account: bytes) -> tuple[str, int] | None:
    """The place that ``account`` has reserved: origin and slot."""
    row = await db.one("SELECT origin, slot FROM reservations WHERE account = $1", account)
    return None if row is None else (row[0], row[1])


async def reserve(db: Statements, account: bytes, origin: str, slot: int) -> None:
    """Keep a place for ``account``."""
    await db.all(
        "INSERT INTO reservations (account, origin, slot) VALUES ($1, $2, $3)", account, origin, slot
    )


async def use_reservation(db: Statements, account: bytes, origin: str, slot: int) -> bool:
    """Take up a reserved place; false when it is not this account's."""
    sql = "DELETE FROM reservations WHERE account = $1 AND origin = $2 AND slot = $3 RETURNING 1"
    return await db.one(sql, account, origin, slot) is not None


async def forget_reservations(db: Statements, origin: str) -> None:
    """Keep no reserved place of a log for anybody: its slot stays given out."""
    await db.all("DELETE FROM reservations WHERE origin = $1", origin)
