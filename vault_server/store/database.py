"""SQLite: opened, migrated; one writer that commits in groups; one connection that reads.

Nothing is acknowledged before COMMIT returned. Jobs are queued; the writer takes what is there, up to 256, runs each in
a savepoint (its refusal undoes only itself) and commits once, so durable writes do not depend on the speed of one
fsync. When the database itself fails, what became of the batch is unknown: every job of it is told so, and the writer
stops for good. A new process reads what is there.
"""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from crypto.errors import CoffreError, Conflict, Damaged, Full, TooMany, Unavailable
from vault_server.store.connection import Connection
from vault_server.store.files import make_folder

BATCH = 256
LATER_SECONDS = 1
MIGRATIONS = ("schema.sql", "roots.sql", "passkeys.sql", "pruning.sql", "erasures.sql", "losses.sql")
FILE = "coffre.db"

T = TypeVar("T")


class Statements:
    """SQL with ``$1`` parameters on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, sql: str, *values: object) -> list[Sequence[Any]]:
        """Every row, or none for a statement that returns nothing."""
        return self._connection.all(_translated(sql), *values)

    async def one(self, sql: str, *values: object) -> Sequence[Any] | None:
        """The first row."""
        rows = await self.all(sql, *values)
        return rows[0] if rows else None

    async def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """One statement for each of ``rows``."""
        self._connection.many(_translated(sql), rows)


class Transaction(Statements):
    """The transaction of a batch. ``staged``: each log's leaves, written at its end; ``after``: called once it is durable.

    ``destroys``: set by a job that destroys what must not be found on the disk any more.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.staged: dict[str, list[bytes]] = {}
        self.after: list[Callable[[], None]] = []
        self.destroys = False
        self._unsaved = False

    async def all(self, sql: str, *values: object) -> list[Sequence[Any]]:
        """Every row, or none for a statement that returns nothing."""
        await self._save()
        return await super().all(sql, *values)

    async def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """One statement for each of ``rows``."""
        await self._save()
        await super().many(sql, rows)

    def begin_job(self) -> None:
        """What is written from here on can be taken back."""
        self._unsaved = True

    async def end_job(self) -> None:
        """What the job wrote stays."""
        if not self._unsaved:
            await super().all("RELEASE job")
        self._unsaved = False

    async def undo_job(self) -> None:
        """What the job wrote is taken back."""
        if not self._unsaved:
            await super().all("ROLLBACK TO job")

    async def _save(self) -> None:
        # Not before the first statement: a job that only stages a leaf then costs the database nothing by itself.
        if self._unsaved:
            self._unsaved = False
            await super().all("SAVEPOINT job")


Job = Callable[[Transaction], Awaitable[T]]
Integrate = Callable[[Transaction], Awaitable[None]]


class Writer:
    """The only place that writes. ``integrate`` runs at the end of every batch, inside its transaction."""

    def __init__(self, connection: Connection, queued: int, stop: Callable[[CoffreError], None]) -> None:
        self._connection = connection
        self._queue: asyncio.Queue[tuple[Job[Any], asyncio.Future[Any]]] = asyncio.Queue(queued)
        self._stop = stop
        self._stopped: Unavailable | None = None
        self._task: asyncio.Task[None] | None = None
        self._later: list[Job[None]] = []
        self._destroyed = False
        self.integrate: Integrate | None = None

    def start(self) -> None:
        """Begin to take jobs."""
        self._task = asyncio.create_task(self._work())

    async def run(self, job: Job[T]) -> T:
        """What ``job`` returned, once it is durable. Raises its refusal, TooMany, or Unavailable."""
        if self._stopped is not None:
            raise self._stopped
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((job, future))
        except asyncio.QueueFull:
            raise TooMany("The server is busy and took nothing. Try again in a moment.") from None
        return await future

    def run_later(self, job: Job[None]) -> None:
        """Do ``job`` with the next batch, or within a second. Nobody waits for it, and nothing depends on it."""
        self._later.append(job)
        if len(self._later) == 1:
            asyncio.get_running_loop().call_later(LATER_SECONDS, self._flush)

    async def close(self) -> None:
        """Finish the jobs that are queued, then stop."""
        if self._task is not None:
            if self._stopped is None:
                self._flush()
                await self._queue.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def fail(self, cause: CoffreError) -> None:
        """Take no job any more, and tell the process to end. A refusal is its operator's; others learn that it stopped."""
        if self._stopped is None:
            stopped = Unavailable("The server has stopped. Nothing was done. Try again later.")
            self._stopped = cause if isinstance(cause, Unavailable) else stopped
            self._stop(cause)

    def _flush(self) -> None:
        if self._later and self._stopped is None and not self._queue.full():
            self._queue.put_nowait((_nothing, asyncio.get_running_loop().create_future()))

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._commit([(job, future) for job, future in batch if not future.cancelled()])
                await self._empty_wal()
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _empty_wal(self) -> None:
        """What was destroyed is not left in the write-ahead log. While a backup reads it is: the next batch asks again."""
        if self._destroyed and self._stopped is None:
            with suppress(sqlite3.Error):  # a failing disk is told by what is written next
                self._destroyed = not await self._connection.empty_wal()

    async def _commit(self, batch: list[tuple[Job[Any], asyncio.Future[Any]]]) -> None:
        if self._stopped is not None:
            for _, future in batch:
                future.set_exception(self._stopped)
            return
        transaction = Transaction(self._connection)
        outcomes: list[tuple[Any, Exception | None]] = []
        try:
            await transaction.all("BEGIN IMMEDIATE")
            for job, _ in batch:
                outcomes.append(await self._attempt(transaction, job))
                await asyncio.sleep(0)  # no statement waits, so between two jobs others get their turn
            later, self._later = self._later, []
            for job in later:
                await job(transaction)
            if self.integrate is not None:
                await self.integrate(transaction)
            await self._connection.commit()
            self._destroyed |= transaction.destroys
            for callback in transaction.after:
                callback()
        except Exception as error:  # whatever it is, nobody may go on waiting: the outcome is unknown
            cause = error if isinstance(error, Unavailable) else _unknown_outcome(error)
            self.fail(cause)
            with suppress(sqlite3.Error):  # else whoever else writes here would wait for this process to end
                self._connection.all("ROLLBACK")
            outcomes = [(None, cause)] * len(batch)
        for (_, future), (value, refusal) in zip(batch, outcomes, strict=True):
            if future.cancelled():
                continue
            if refusal is None:
                future.set_result(value)
            else:
                future.set_exception(refusal)

    async def _attempt(self, transaction: Transaction, job: Job[Any]) -> tuple[Any, Exception | None]:
        staged = {origin: len(leaves) for origin, leaves in transaction.staged.items()}
        after = len(transaction.after)
        value: Any = None
        refusal: Exception | None = None
        transaction.begin_job()
        try:
            value = await job(transaction)
        except Exception as error:  # a refusal, or a fault of one job that must not undo the work of others
            refusal = error
            if isinstance(error, sqlite3.IntegrityError):
                refusal = Conflict("What you sent contradicts what is stored. Nothing was changed.")
            elif isinstance(error, sqlite3.Error):
                raise
        if refusal is not None:
            await transaction.undo_job()
            for origin, leaves in transaction.staged.items():
                del leaves[staged.get(origin, 0) :]
            del transaction.after[after:]
        await transaction.end_job()
        return value, refusal


class Database:
    """An open database. ``reader`` sees what is committed."""

    def __init__(self, write: Connection, read: Connection) -> None:
        self.write = write
        self.reader = Statements(read)
        self._read = read

    @classmethod
    def open(cls, folder: Path) -> "Database":
        """Open or make the database in ``folder``, which this process has claimed. Raises Damaged, or an OSError."""
        make_folder(folder)
        file = folder / FILE
        with file.open("ab"):
            pass  # where it cannot be written, this names the file and the reason; SQLite would not
        write = _connect(file)
        try:
            _migrate(write)
            return cls(write, _connect(file))
        except BaseException:
            write.close()
            raise

    def close(self) -> None:
        """Close both connections."""
        self._read.close()
        self.write.close()


def _connect(path: Path) -> Connection:
    try:
        return Connection(path)
    except sqlite3.DatabaseError:
        raise Damaged(
            "The server was not started: coffre.db is not a readable database. Restore it from a backup."
        ) from None


def _migrate(connection: Connection) -> None:
    connection.all("CREATE TABLE IF NOT EXISTS migrations (version INTEGER NOT NULL PRIMARY KEY)")
    done = {row[0] for row in connection.all("SELECT version FROM migrations")}
    if done and max(done) > len(MIGRATIONS):
        raise Damaged("The server was not started: a newer version of it has changed this database.")
    for version, name in enumerate(MIGRATIONS, 1):
        if version not in done:
            sql = resources.files("vault_server.store").joinpath(name).read_text(encoding="utf-8")
            connection.script(f"BEGIN;\n{sql}\nINSERT INTO migrations (version) VALUES ({version});\nCOMMIT;")


async def _nothing(_: Transaction) -> None:
    """The job of a batch that only carries what waited for one."""


@cache
def _translated(sql: str) -> str:
    """``sql`` as SQLite takes it."""
    return re.sub(r"\$(\d+)", r"?\1", sql)


def _unknown_outcome(error: Exception) -> Unavailable:
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    kind: type[Unavailable] = Full if full else Unavailable
    why = "the disk is full" if full else "the database failed"
    return kind(f"The server stopped because {why}. What you sent may or may not be stored: ask again later.")
