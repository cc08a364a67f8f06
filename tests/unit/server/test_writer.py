"""One writer, group commit: refusals undo themselves, faults of the store stop everything."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crypto.errors import CoffreError, Conflict, NotPermitted, TooMany, Unavailable
from vault_server.store.database import Database, Transaction, Writer
from vault_server.store.files import claimed


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one table of this test."""
    opened = Database.open(tmp_path)
    opened.write.all("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    yield opened
    opened.close()


class Stopped(list[CoffreError]):
    """Collects why a writer stopped."""

    def __call__(self, why: CoffreError) -> None:
        self.append(why)


async def add(transaction: Transaction, number: int) -> int:
    """A job that writes one row."""
    await transaction.all("INSERT INTO notes (id, text) VALUES ($1, $2)", number, "x")
    return number


async def rows(database: Database) -> list[int]:
    """What is durable."""
    return [row[0] for row in await database.reader.all("SELECT id FROM notes ORDER BY id")]


async def test_jobs_that_wait_together_are_committed_together(database: Database) -> None:
    """A hundred jobs cost far fewer transactions, and each is answered after its own is durable."""
    commits = 0

    async def count(_: Transaction) -> None:
        nonlocal commits
        commits += 1

    writer = Writer(database.write, 1000, Stopped())
    writer.integrate = count
    writer.start()
    results = await asyncio.gather(*[writer.run(lambda t, n=n: add(t, n)) for n in range(100)])
    assert results == list(range(100))
    assert await rows(database) == list(range(100))
    assert commits < 10
    await writer.close()


async def test_a_refused_job_undoes_only_itself(database: Database) -> None:
    """Its rows, its leaves and its callbacks go; those of its neighbours stay."""
    called: list[int] = []
    staged: list[bytes] = []

    async def integrate(transaction: Transaction) -> None:
        staged.extend(transaction.staged.get("log", ()))

    async def job(transaction: Transaction, number: int) -> None:
        await add(transaction, number)
        transaction.staged.setdefault("log", []).append(bytes([number]))
        transaction.after.append(lambda: called.append(number))
        if number % 2:
            raise NotPermitted("An odd number. Nothing was done.")

    writer = Writer(database.write, 1000, Stopped())
    writer.integrate = integrate
    writer.start()
    results = await asyncio.gather(
        *[writer.run(lambda t, n=n: job(t, n)) for n in range(6)], return_exceptions=True
    )
    assert [isinstance(result, NotPermitted) for result in results] == [False, True] * 3
    assert await rows(database) == called == [0, 2, 4]
    assert staged == [b"\0", b"\2", b"\4"]
    await writer.close()


async def test_a_row_that_contradicts_another_is_a_conflict(database: Database) -> None:
    """A broken constraint is the refusal of one job, in words."""
    writer = Writer(database.write, 10, Stopped())
    writer.start()
    await writer.run(lambda t: add(t, 1))
    with pytest.raises(Conflict):
        await writer.run(lambda t: add(t, 1))
    await writer.run(lambda t: add(t, 2))
    await writer.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL])
async def test_a_failing_store_stops_the_writer_for_good(database: Database, code: int) -> None:
    """When COMMIT fails nobody is told "done", nobody is told "not done", and no further job is taken."""
    stopped = Stopped()
    writer = Writer(database.write, 10, stopped)

    async def fail(transaction: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    writer.integrate = fail
    writer.start()
    results = await asyncio.gather(
        *[writer.run(lambda t, n=n: add(t, n)) for n in range(3)], return_exceptions=True
    )
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(stopped) == 1
    assert "may or may not be stored" in str(stopped[0])
    with pytest.raises(Unavailable):
        await writer.run(lambda t: add(t, 9))
    await writer.close()
    assert await rows(database) == []


async def test_a_full_queue_refuses_and_takes_nothing(database: Database) -> None:
    """What cannot be queued is refused at once."""
    writer = Writer(database.write, 2, Stopped())
    waiting = [asyncio.create_task(writer.run(lambda t, n=n: add(t, n))) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await writer.run(lambda t: add(t, 7))
    writer.start()
    await asyncio.gather(*waiting)
    await writer.close()
    assert await rows(database) == [0, 1]


async def test_what_nobody_waits_for_is_written_before_the_end(database: Database) -> None:
    """Jobs for later go with the next batch, at the latest when the writer closes."""

    async def later(transaction: Transaction) -> None:
        await add(transaction, 5)

    writer = Writer(database.write, 10, Stopped())
    writer.start()
    writer.run_later(later)
    await writer.close()
    assert await rows(database) == [5]


def test_two_processes_cannot_claim_one_folder(tmp_path: Path) -> None:
    """The folder is locked until the first gives it up."""
    with claimed(tmp_path), pytest.raises(NotPermitted, match="another process"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


async def test_a_database_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder in the place of the database: the start is refused with its name and the reason."""
    (tmp_path / "coffre.db").mkdir()
    with pytest.raises(IsADirectoryError, match=r"coffre\.db"):
        Database.open(tmp_path)
