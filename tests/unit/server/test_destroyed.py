"""What a deletion destroys is found nowhere in the server's folder any more, free pages and write-ahead log included."""

import asyncio
from pathlib import Path

import pytest

from crypto.vault_links import Tombstone
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.record_story import Stored
from tests.contract.vault_story import World
from vault_server.store import connection
from vault_server.store.connection import Connection


def found(data: Path, secrets: dict[str, bytes]) -> set[str]:
    """Which of ``secrets`` stand in any file."""
    held = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    return {name for name, secret in secrets.items() if any(secret in each for each in held)}


async def destroyed(data: Path, secrets: dict[str, bytes]) -> set[str]:
    """``found``, once the server has had its time to cut what it wrote: until nothing is, or nothing changes any more."""
    for _ in range(100):
        if not (left := found(data, secrets)):
            break
        await asyncio.sleep(0.02)
    return left


async def deleted(running: InProcess) -> tuple[Granting, dict[str, bytes]]:
    """A document that was added, granted, and read, then deleted, and its grant ended; and what it consisted of."""
    world, document, other = World(running), Stored.random(40_000), Stored.random(40_000)
    granting = await granted(world, document, other)
    await granting.open(document)
    secrets = {
        "the beginning of the ciphertext": document.data[:64],
        "its end": document.data[-64:],
        "the wrapped key": document.self_wrap,
        "the descriptor": document.descriptor,
        "the listing": granting.listing.data[100:200],
    }
    assert found(running.vault.settings.data, secrets) == set(secrets)
    kept = {"another document": other.data[:64], "its descriptor": other.descriptor}
    record = granting.record
    await record.append(await record.submission(Tombstone(doc=document.doc)))
    await granting.end()
    assert found(running.vault.settings.data, kept) == set(kept)
    return granting, secrets


async def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    """While the server runs, and after it stopped; only the wrap in the signed event stays, and it opens nothing any more."""
    data = tmp_path / "data"
    async with serving(data, CosigningKeeper(Clock())) as running:
        granting, secrets = await deleted(running)
        assert await destroyed(data, secrets) == set()
        api = await granting.record.holder.api()
        event = await api.grant_event(m.GrantEventQuery(vault=granting.record.id, gid=granting.gid, j=0))
        assert len(event.rows) == 2 * 112
    assert found(data, secrets) == set()


async def test_a_database_that_does_not_overwrite_would_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twins: rows that were only deleted stand in free pages; what was overwritten stands in the write-ahead log."""

    async def not_cut(self: Connection) -> bool:
        return True

    with monkeypatch.context() as twin:
        pragmas = tuple(each for each in connection.PRAGMAS if "secure_delete" not in each)
        twin.setattr(connection, "PRAGMAS", (*pragmas, "secure_delete = OFF"))
        async with serving(tmp_path / "one", CosigningKeeper(Clock())) as running:
            _, secrets = await deleted(running)
        assert found(tmp_path / "one", secrets)
    with monkeypatch.context() as twin:
        twin.setattr(Connection, "empty_wal", not_cut)
        async with serving(tmp_path / "two", CosigningKeeper(Clock())) as running:
            _, secrets = await deleted(running)
            assert found(tmp_path / "two", secrets)


async def test_a_reader_of_the_database_puts_it_off(tmp_path: Path) -> None:
    """While a backup reads, the write-ahead log cannot be cut; the next thing that is written after it has it cut."""
    data = tmp_path / "data"
    async with serving(data, CosigningKeeper(Clock())) as running:
        reading = Connection(data / "server" / "coffre.db")
        reading.all("BEGIN")
        reading.all("SELECT count(*) FROM parts")
        try:
            _, secrets = await deleted(running)
            assert found(data, secrets)
        finally:
            reading.close()
        await World(running).person()
        assert await destroyed(data, secrets) == set()
