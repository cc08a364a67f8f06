"""The keeper's database (schema.sql): rows in, values out.

SQLite with a write-ahead log and synchronous=FULL: what a call has written survives a crash when it returns. Writes go
through one connection, one transaction at a time; reads see committed data only. After a write of unknown outcome the
store takes no further one: what is on disk is known again when the keeper is started anew.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from crypto.durations import DAY
from crypto.encoding import decode, encode
from crypto.errors import Conflict, Damaged, Full
from crypto.merkle import EMPTY_ROOT
from crypto.signing import Envelope
from crypto.tiles import WIDTH
from vault_server.keeper.earlier_store import carry_over
from vault_server.keeper.kept_logs import KeptLogs
from vault_server.keeper.rows import HeldPost, LogRow, NewLeaves, Standing
from vault_server.store.connection import Connection

DATABASE = "keeper.db"
HISTORY = DAY

_SCHEMA = Path(__file__).with_name("schema.sql")
_MAX_ENVELOPE = 1 << 20


def have_store(data: Path) -> bool:
    """Whether there is a database in ``data``."""
    return (data / DATABASE).exists()


class Store(KeptLogs):
    """An open database. An async context manager."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        """Used by ``open``."""
        super().__init__(reader)
        self._writer = writer
        self._lock = asyncio.Lock()
        self._stopped = False

    @classmethod
    async def open(cls, data: Path, key: bytes, *, lost: int | None = None, founding: bool = False) -> Self:
        """Open the store in ``data`` for the cosigning key with id ``key``; made when there is none.

        ``lost``: a new store takes the place of one that was found lost at that time. ``founding``: the keeper was
        never complete, so a file with nothing in it is what a cut left, and no store that was emptied. Raises Damaged
        for the store of another key, or one that is not whole.
        """
        fresh = not have_store(data)
        with ExitStack() as opened:
            try:
                writer = Connection(data / DATABASE)
                opened.callback(writer.close)
                if fresh or (founding and _is_empty(writer)):
                    writer.script(f"BEGIN IMMEDIATE;{_SCHEMA.read_text()}COMMIT;")
                carry_over(writer)
                writer.all(
                    "INSERT INTO keeper (one, key, clock, lost) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING",
                    *(key, lost or 0, lost),
                )
                reader = Connection(data / DATABASE)
                opened.callback(reader.close)
                ((owner,),) = reader.all("SELECT key FROM keeper")
            except sqlite3.Error:
                raise Damaged(
                    f"The keeper's store in {data} is not whole. The keeper was not started. An older copy would have "
                    f"forgotten heads: move {DATABASE} away and start again."
                ) from None
            if owner != key:
                raise Damaged(
                    f"The store in {data} belongs to another keeper's keys. This one was not started."
                )
            opened.pop_all()
        return cls(writer, reader)

    async def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def standing(self) -> Standing:
        """Where the keeper stands."""
        ((clock, lost, ordered, contradicted, joined),) = self._reader.all(
            "SELECT clock, lost, ordered, contradicted, joined FROM keeper"
        )
        return Standing(clock, lost, bool(ordered), contradicted, bool(joined))

    async def order(self) -> None:
        """Note the operator's order to go on without the store that was lost."""
        async with self._transaction() as db:
            db.all("UPDATE keeper SET ordered = 1 WHERE lost IS NOT NULL")

    async def contradict(self, version: int) -> None:
        """Note that the others' heads contradict each other under this version of the trust root."""
        async with self._transaction() as db:
            db.all("UPDATE keeper SET contradicted = ?", version)

    async def come_back(self, time: int) -> None:
        """Be a keeper like any other, from ``time`` on, with the heads and ends that were taken from others."""
        async with self._transaction() as db:
            db.all("UPDATE keeper SET lost = NULL, ordered = 0, contradicted = NULL, joined = 1")
            _state_time(db, time)

    async def trust_roots(self) -> list[Envelope]:
        """The trust roots that were verified, oldest first."""
        rows = self._reader.all("SELECT envelope FROM trust_roots ORDER BY version")
        return [decode(data, Envelope, limit=_MAX_ENVELOPE) for (data,) in rows]

    async def add_trust_roots(self, roots: Iterable[tuple[int, Envelope]]) -> None:
        """Keep verified trust roots, each by its version."""
        async with self._transaction() as db:
            db.many(
                "INSERT INTO trust_roots VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(version, encode(envelope)) for version, envelope in roots],
            )

    async def logs(self) -> list[LogRow]:
        """Every followed log. Drafts that a stop has left behind are removed first."""
        async with self._transaction() as db:
            for (log,) in db.all("SELECT log FROM logs"):
                _drop_drafts(db, log)
        return [LogRow(*row) for row in self._reader.all("SELECT log, origin, size, root, note FROM logs")]

    async def add_log(self, origin: str) -> LogRow:
        """Begin to follow a log: no leaves, no head."""
        async with self._transaction() as db:
            ((log,),) = db.all(
                "INSERT INTO logs (origin, size, root, note) VALUES (?, 0, ?, x'') RETURNING log",
                origin,
                EMPTY_ROOT,
            )
        return LogRow(log, origin, 0, EMPTY_ROOT, b"")

    async def add_drafts(self, log: int, new: NewLeaves) -> None:
        """Keep leaves that are not yet under a head."""
        async with self._transaction() as db:
            _insert(db, log, new)

    async def drop_drafts(self, log: int) -> None:
        """Forget the leaves that are under no head."""
        async with self._transaction() as db:
            _drop_drafts(db, log)

    async def advance(
        self, old: LogRow, head: LogRow, new: NewLeaves, time: int, *, dated: bool = False
    ) -> None:
        """Make ``head`` the highest of its log in place of ``old``, with its leaves, as stated at ``time``.

        ``dated``: keep that time for good. Posted ends that are now logged are dropped. Raises Conflict when the
        stored head is not ``old``.
        """
        async with self._transaction() as db:
            moved = db.all(
                "UPDATE logs SET size = ?, root = ?, note = ? WHERE log = ? AND size = ? AND root = ? RETURNING 1",
                *(head.size, head.root, head.note, old.log, old.size, old.root),
            )
            if not moved:
                raise Conflict(
                    f"The head of {old.origin} was moved by another process. Nothing was cosigned."
                )
            _insert(db, old.log, new)
            if head.size != old.size:
                db.all("UPDATE heads SET replaced = ? WHERE log = ? AND replaced IS NULL", time, old.log)
                db.all("DELETE FROM heads WHERE log = ? AND replaced < ?", old.log, time - HISTORY)
                db.all(
                    "DELETE FROM ends WHERE log = ?1 "
                    "AND tag IN (SELECT slot FROM slots WHERE log = ?1 AND place >= ?2)",
                    *(old.log, old.size),
                )
            db.all(
                "INSERT INTO heads VALUES (?, ?, ?, NULL) ON CONFLICT DO NOTHING",
                old.log,
                head.size,
                head.root,
            )
            if dated:
                db.all(
                    "INSERT INTO dated_heads VALUES (?1, ?2, ?3, ?3) "
                    "ON CONFLICT (log, size) DO UPDATE SET last = excluded.last",
                    old.log,
                    head.size,
                    time,
                )
            _state_time(db, time)

    async def add_end(self, end: HeldPost, time: int) -> None:
        """Hold an end until it is logged, as stated at ``time``."""
        async with self._transaction() as db:
            _add_end(db, end)
            _state_time(db, time)

    async def add_ends(self, ends: Iterable[HeldPost]) -> None:
        """Hold ends that others showed until they are logged."""
        async with self._transaction() as db:
            for end in ends:
                _add_end(db, end)

    async def heads_and_ends(self, after: bytes, most: int) -> tuple[list[bytes], list[HeldPost]]:
        """The note of every cosigned head, and the ``most`` first held ends whose tag is behind ``after``, by tag.

        As of one moment: an end is there until its log shows it.
        """
        rows = self._reader.all(
            "SELECT NULL, NULL, note FROM logs WHERE note != x'' UNION ALL SELECT * FROM "
            "(SELECT log, tag, post FROM ends WHERE post IS NOT NULL AND tag > ? ORDER BY tag LIMIT ?)",
            *(after, most),
        )
        heads = [note for log, _, note in rows if log is None]
        return heads, [HeldPost(log, tag, post) for log, tag, post in rows if log is not None]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._lock:
            if self._stopped:
                raise Damaged("The keeper's store has failed. Nothing was done. Restart the keeper.")
            try:
                self._writer.all("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.commit()
            except sqlite3.Error as error:
                self._stopped = True
                kind = Full if error.sqlite_errorcode == sqlite3.SQLITE_FULL else Damaged
                raise kind(
                    "The keeper's store could not be written, so nothing was answered. See that the disk has room and "
                    "is sound, and restart the keeper."
                ) from None
            except Exception:
                self._writer.all("ROLLBACK")
                raise
            except BaseException:
                self._stopped = True  # cancelled at an unknown point
                raise


def _insert(db: Connection, log: int, new: NewLeaves) -> None:
    places = range(new.start, new.start + len(new.leaves))
    db.many(
        "INSERT INTO leaves VALUES (?, ?, ?)", [(log, *pair) for pair in zip(places, new.leaves, strict=True)]
    )
    # Places only grow, so of two leaves with one slot the lower one is kept.
    db.many(
        "INSERT INTO slots VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(log, slot, place) for place, slot in zip(places, new.slots, strict=True) if slot is not None],
    )
    db.many("INSERT INTO subtrees VALUES (?, ?, ?)", [(log, *pair) for pair in new.subtrees.items()])


def _drop_drafts(db: Connection, log: int) -> None:
    for table, first in (("leaves", "size"), ("slots", "size"), ("subtrees", f"size / {WIDTH}")):
        db.all(
            f"DELETE FROM {table} WHERE log = ?1 AND place >= (SELECT {first} FROM logs WHERE log = ?1)",  # noqa: S608
            log,
        )


def _add_end(db: Connection, end: HeldPost) -> None:
    db.all(
        # A draft may be dropped again: an end is logged once the highest head has it.
        "INSERT INTO ends (log, tag, post) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM slots WHERE log = ?1 AND slot = ?2 "
        "AND +place < (SELECT size FROM logs WHERE logs.log = slots.log)) ON CONFLICT DO NOTHING",
        *(end.log, end.tag, end.post),
    )


def _is_empty(db: Connection) -> bool:
    return not db.all("SELECT 1 FROM sqlite_schema")


def _state_time(db: Connection, time: int) -> None:
    db.all("UPDATE keeper SET clock = max(clock, ?)", time)
