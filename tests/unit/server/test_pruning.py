"""Pruning: what is older than it is kept is destroyed, and everything that is left still holds together."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crypto.access_log import LEAF, LEAF_VERSION, parse_leaf
from crypto.durations import DAY
from crypto.errors import Damaged, NotFound, NotProven
from crypto.pruning import RETENTION, check_beginning
from crypto.tiles import WIDTH
from crypto.wire import messages as m
from crypto.wire.vault_api import VaultApi
from tests.contract.grant_story import granted
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, log_in, serving
from tests.contract.record_story import Stored
from tests.contract.vault_story import Person, World, fresh, leaves_after
from vault_server.fsck import CheckedLog, check
from vault_server.settings import Settings
from vault_server.store.database import Transaction

SHARD = "vault.example/coffre/log/0"


async def cover(running: InProcess, count: int) -> None:
    """Add so many cover leaves to the shard, and wait until they are published."""

    async def job(transaction: Transaction) -> None:
        for _ in range(count):
            running.vault.log.stage_bytes(transaction, SHARD, bytes([LEAF_VERSION]) + fresh(LEAF - 1))

    size = running.vault.log.shards[0].durable.size
    await running.vault.writer.run(job)
    await leaves_after(World(running), SHARD, size + count)


async def grow_old(running: InProcess, seconds: int) -> None:
    """Let a head be dated, and so much time go by; the log is cosigned again then."""
    await running.vault.pruning.run()
    running.clock.now += seconds
    await cover(running, 1)


async def logged_in_anew(running: InProcess, person: Person) -> VaultApi:
    """The operations as ``person``, whose session ended long ago."""
    token = (await log_in(running, person)).token
    return running.vault.for_session(await running.vault.sessions.authenticate(token))


async def minimum(running: InProcess) -> int:
    """From which entry on the shard says that it has entries."""
    return (await (await running.api()).log_beginning(m.LogQuery(origin=SHARD))).minimum


def stored(data: Path, sql: str) -> int:
    """A number in the database."""
    with closing(sqlite3.connect(data / "server" / "coffre.db")) as database:
        return int(database.execute(sql).fetchone()[0])


async def whole(data: Path) -> CheckedLog:
    """What ``--fsck`` says of the shard."""
    found: list[CheckedLog] = []
    await check(Settings(data=data), found.append)
    return next(log for log in found if log.origin == SHARD)


async def test_old_entries_go_and_everything_else_holds(tmp_path: Path) -> None:
    """Bundles and openings below a head that is three years old go; tiles, links, proofs and checks stay."""
    keeper = CosigningKeeper(Clock())
    async with serving(tmp_path / "data", keeper) as running:
        world, document = World(running), Stored.random()
        granting = await granted(world, document)
        answered = await granting.open(document)
        await cover(running, 2 * WIDTH)
        await grow_old(running, RETENTION)  # as old as entries are kept, and not older
        await running.vault.pruning.run()
        assert await minimum(running) == 0
        await grow_old(running, DAY)
        await running.vault.pruning.run()
        assert await minimum(running) == 2 * WIDTH

        api = await running.api()
        for path in ("tile/entries/000", "tile/entries/001"):
            with pytest.raises(NotFound):
                await api.tile(SHARD, path)
        assert len(await api.tile(SHARD, "tile/0/000")) == WIDTH * 32
        said = await api.log_beginning(m.LogQuery(origin=SHARD))
        assert said.note is not None
        dated = check_beginning(world.root, SHARD, said.minimum, said.note, running.now())
        assert dated.size >= said.minimum
        with pytest.raises(NotProven, match="three years"):
            check_beginning(world.root, SHARD, said.minimum, said.note, running.now() - DAY - 7200)
        with pytest.raises(NotProven, match="newer than the head"):
            check_beginning(world.root, SHARD, said.minimum + WIDTH, said.note, running.now())
        # The receipt of a reading whose entry is gone is a receipt still, and so is that of a link.
        size = running.vault.log.shards[0].durable.size
        leaf = answered.logged.disclosure
        assert leaf.index < said.minimum < size
        receipt = await running.vault.log.receipt(SHARD, leaf)
        assert receipt.disclosure == leaf
        holder = await logged_in_anew(running, granting.record.holder)
        found = await holder.links(m.LinkQuery(vault=granting.record.id, since=1))
        again = m.LinkSubmission(envelope=found.links[0], scan_key=None, tags=(), events=(), parts=())
        (proof,) = (await holder.append_link(again)).logged
        assert world.check(proof, found.links[0], SHARD) < said.minimum
    assert stored(tmp_path / "data", "SELECT count(*) FROM leaves WHERE origin LIKE '%/0' AND idx < 512") == 0
    assert stored(tmp_path / "data", "SELECT count(*) FROM openings WHERE idx < 512") == 0
    log = await whole(tmp_path / "data")
    assert (log.begins, log.entries) == (2 * WIDTH, size)
    async with serving(tmp_path / "data", keeper) as again:
        assert await minimum(again) == 2 * WIDTH


async def test_the_newest_bundle_stays(tmp_path: Path) -> None:
    """A log in which nothing was written for very long keeps the entries of its last bundle, and its newest ones."""
    async with serving(tmp_path / "data", CosigningKeeper(Clock())) as running:
        await cover(running, 2 * WIDTH)
        await running.vault.pruning.run()
        running.clock.now += 9 * RETENTION
        await running.vault.pruning.run()
        assert await minimum(running) == WIDTH
        bundle = await (await running.api()).tile(SHARD, "tile/entries/001")
        assert parse_leaf(bundle[2 : 2 + LEAF]) is not None
    assert (await whole(tmp_path / "data")).begins == WIDTH


async def test_the_operator_may_keep_entries_longer(tmp_path: Path) -> None:
    """Nothing goes before the operator's own time is over, and never before three years."""
    async with serving(tmp_path / "data", CosigningKeeper(Clock()), retention=2 * RETENTION) as running:
        await cover(running, 2 * WIDTH)
        await grow_old(running, RETENTION + DAY)
        await running.vault.pruning.run()
        assert await minimum(running) == 0
        await grow_old(running, RETENTION)
        await running.vault.pruning.run()
        assert await minimum(running) == 2 * WIDTH


async def test_heads_are_dated_once_a_day(tmp_path: Path) -> None:
    """One checkpoint of each day is kept, and those that date nothing any more are forgotten."""
    data = tmp_path / "data"
    async with serving(data, CosigningKeeper(Clock())) as running:
        await cover(running, WIDTH)
        for _ in range(3):
            await grow_old(running, DAY // 2)
        await running.vault.pruning.run()
        counted = "SELECT count(*) FROM dated_heads"
        assert stored(data, counted) == 2
        await cover(running, WIDTH)
        await grow_old(running, RETENTION + DAY)
        await running.vault.pruning.run()
        assert stored(data, f"{counted} WHERE size < {WIDTH}") == 0


CHANGES = {
    "an entry that is to be gone": (
        "INSERT INTO leaves SELECT origin, 5, slot_two, leaf FROM leaves WHERE origin LIKE '%/0' AND idx = 520",
        "Entry 5 of vault.example/coffre/log/0 is there",
    ),
    "an entry above it is gone": (
        "DELETE FROM leaves WHERE origin LIKE '%/0' AND idx = 514",
        "Entry 514 .* is gone",
    ),
    "the hash of one that is gone": (
        "UPDATE tiles SET data = zeroblob(8192) WHERE origin LIKE '%/0' AND level = 0 AND n = 0",
        "Tile 1/0 .* does not hold the hashes",
    ),
    "another beginning": (
        "UPDATE logs SET minimum = 768 WHERE shard = 0",
        "cannot begin at entry 768|is there",
    ),
    "what opens a link that is gone": (
        "UPDATE link_leaves SET disclosure = (SELECT disclosure FROM link_leaves WHERE n = 1) WHERE n = 0",
        "is not the one it commits to",
    ),
    "a head that dates": (
        "UPDATE dated_heads SET note = (SELECT note FROM logs WHERE shard IS NULL)",
        "head that dates entries of vault.example/coffre/log/0",
    ),
}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server whose first two bundles are gone."""
    data = tmp_path_factory.mktemp("pruned") / "data"

    async def live() -> None:
        async with serving(data, CosigningKeeper(Clock())) as running:
            await granted(World(running), Stored.random())
            await cover(running, 2 * WIDTH)
            await grow_old(running, RETENTION + DAY)
            await running.vault.pruning.run()
            await cover(running, 20)

    asyncio.run(live())
    return data


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_by_hand_is_found(what: str, pruned: Path, tmp_path: Path) -> None:
    """What belongs to a beginning that is gone is checked like the rest."""
    data = tmp_path / "data"
    shutil.copytree(pruned, data)
    assert (await whole(data)).begins == 2 * WIDTH
    sql, said = CHANGES[what]
    with closing(sqlite3.connect(data / "server" / "coffre.db")) as database, database:
        assert database.execute(sql).rowcount > 0
    with pytest.raises((NotProven, Damaged), match=said):
        await whole(data)
