"""A server's first log, made long and old by hand while the server is stopped: what else takes years."""

import sqlite3
from contextlib import closing
from pathlib import Path

from crypto.access_log import LEAF, LEAF_VERSION
from crypto.checkpoint import Checkpoint, cosign, sign_checkpoint
from crypto.merkle import leaf_hash
from crypto.secret_bytes import SecretBytes
from tests.support.instance import Instance
from vault_server.log_tree import Edge, edge_tiles
from vault_server.store import dated_heads
from vault_server.store import leaves as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.connection import Connection
from vault_server.store.database import FILE, Statements
from vault_server.store.dated_heads import DatedHead


async def lengthen(data: Path, count: int) -> None:
    """Append so many cover leaves to the first shard. The keeper learns of them at the next start."""
    connection = Connection(data / "server" / FILE)
    try:
        connection.all("BEGIN")
        db = Statements(connection)
        log = await _shard(db)
        stored = [
            b"" if n is None else await rows.tile(db, log.origin, level, n) or b""
            for level, n in enumerate(edge_tiles(log.size))
        ]
        edge = Edge(log.size, stored)
        leaves = [bytes([LEAF_VERSION]) + SecretBytes.random(LEAF - 1).reveal() for _ in range(count)]
        changed = edge.append(map(leaf_hash, leaves))
        assert await rows.move_head(db, log.origin, (log.size, log.root), (edge.size, edge.root()))
        await rows.add_leaves(db, log.origin, log.size, leaves)
        await rows.put_tiles(db, [(log.origin, *place, tile) for place, tile in changed.items()])
        connection.all("COMMIT")
    finally:
        connection.close()


def dated(instance: Instance, head: Checkpoint, time: int) -> bytes:
    """A head of the first shard as its log signs it and its keeper did at ``time``."""
    note = sign_checkpoint(head, instance.log_key)
    return note + cosign(head, instance.keeper_card.name, instance.keeper_key, time)


async def prune(instance: Instance, minimum: int, time: int) -> None:
    """Destroy the entries of the first shard below ``minimum``, as the server does once a head of ``time`` is old enough."""
    connection = Connection(instance.data / "server" / FILE)
    try:
        connection.all("BEGIN")
        db = Statements(connection)
        log = await _shard(db)
        head = Checkpoint(log.origin, log.size, log.root)
        note = dated(instance, head, time)
        await dated_heads.keep(db, log.origin, DatedHead(log.size, time, note), 0)
        await rows.prune(db, log.origin, minimum)
        for vault in await vault_rows.in_log(db, log.origin):
            await vault_rows.forget_openings(db, vault, minimum)
        connection.all("COMMIT")
    finally:
        connection.close()


async def _shard(db: Statements) -> rows.LogRow:
    return next(log for log in await rows.logs(db) if log.shard == 0)


def size(data: Path) -> int:
    """How many entries the first shard has."""
    with closing(sqlite3.connect(data / "server" / FILE)) as database:
        return int(database.execute("SELECT size FROM logs WHERE shard = 0").fetchone()[0])
