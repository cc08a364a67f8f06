"""Two servers on one database, past the lock of its folder: one loses, in words, and no log forks."""

import asyncio
from pathlib import Path

import pytest

from crypto.errors import Damaged, Stale, Unavailable
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.vault_story import World
from vault_server.fsck import check
from vault_server.settings import Settings
from vault_server.store import leaves
from vault_server.store.database import Statements


async def both_write(data: Path, keeper: CosigningKeeper) -> Exception:
    """The first founds somebody, then the second does; returns why the second stopped. The first goes on."""
    async with serving(data, keeper) as first, serving(data, keeper) as second:
        await World(first).person()
        with pytest.raises(Unavailable):
            await World(second).person()
        why = await asyncio.wait_for(second.vault.stopped, 5)
        await World(first).person()
        await no_fork(data, first, keeper)
        return why


async def no_fork(data: Path, winner: InProcess, keeper: CosigningKeeper) -> None:
    """What is stored is whole, and the keeper knows no other head than the winner's."""
    await check(Settings(data=data))
    durable = winner.vault.log._logs[winner.vault.log.directory].durable
    assert keeper.heads[durable.origin] == durable


async def test_the_second_writer_stops_in_words(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """Its swap of the signed head finds another one there: nothing of its batch is stored, and nothing is signed."""
    why = await both_write(tmp_path, keeper)
    assert isinstance(why, Damaged)
    assert "another server writes to this data folder. Nothing was signed." in str(why)


async def test_without_the_swap_the_primary_key_stops_it(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin of the swap: a head that is overwritten still leaves the other's entries where they stand."""

    async def overwrite(db: Statements, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        await db.all("UPDATE logs SET size = $1, root = $2 WHERE origin = $3", *new, origin)
        return True

    monkeypatch.setattr(leaves, "move_head", overwrite)
    assert "the database failed" in str(await both_write(tmp_path, keeper))


async def test_without_either_the_log_forks(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin of both: the entries of the first are written over; only its keeper sees that the heads contradict."""

    async def overwrite(db: Statements, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        await db.all("UPDATE logs SET size = $1, root = $2 WHERE origin = $3", *new, origin)
        return True

    async def replace(db: Statements, origin: str, first: int, added: list[bytes]) -> None:
        rows = [(origin, index, leaf[33:65], leaf) for index, leaf in enumerate(added, first)]
        await db.many("INSERT OR REPLACE INTO leaves VALUES ($1, $2, $3, $4)", rows)

    monkeypatch.setattr(leaves, "move_head", overwrite)
    monkeypatch.setattr(leaves, "add_leaves", replace)
    async with serving(tmp_path, keeper) as first, serving(tmp_path, keeper) as second:
        await World(first).person()
        second.vault.log._seconds = 0.05
        with pytest.raises(Unavailable):
            await World(second).person()
        why = await asyncio.wait_for(second.vault.stopped, 5)
        assert isinstance(why, Damaged)
        assert "a keeper knows another head of its log" in str(why)
        written = await leaves.leaves(first.vault._database.reader, first.vault.log.directory, 0, 2)
        assert len(written) == 1  # the first person's is gone


async def test_the_second_writer_is_refused_by_keepers_before_it_writes(
    tmp_path: Path, keeper: CosigningKeeper
) -> None:
    """Also one that only has its old head cosigned again, while the other has gone on, stops."""
    async with serving(tmp_path, keeper) as first, serving(tmp_path, keeper) as second:
        await World(first).person()
        keeper.clock.now += 301
        second.vault.log.recosign(keeper.clock() - 300)
        assert isinstance(await asyncio.wait_for(second.vault.stopped, 5), Stale)
        await World(first).person()
        await no_fork(tmp_path, first, keeper)
