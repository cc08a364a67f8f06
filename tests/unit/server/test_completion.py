"""Completing an older backup with keepers' leaves: what fits is taken to the very head, what does not is refused by name."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from crypto.access_log import LEAF, LEAF_VERSION
from crypto.checkpoint import Checkpoint, sign_checkpoint
from crypto.errors import Malformed, NotPermitted, NotProven, Stale
from crypto.merkle import leaf_hash, root_of
from crypto.signing import SigningKey
from crypto.wire import messages as m
from tests.contract.record_story import Record, founded
from tests.contract.vault_story import World, fresh, leaves, leaves_after
from tests.support.lost_server import Log, LostServer, logs_of, write_leaves
from vault_server.fsck import check
from vault_server.instance import read_key
from vault_server.settings import Settings
from vault_server.store.database import Transaction

SHARD, NEXT = "vault.example/coffre/log/0", "vault.example/coffre/log/1"
Change = Callable[[list[Log]], list[Log]]


def leaf() -> bytes:
    """A leaf of nobody's."""
    return bytes([LEAF_VERSION]) + fresh(LEAF - 1)


@pytest.fixture
async def lost(tmp_path: Path) -> LostServer:
    """A server with a full shard, of which the backup lacks 600 entries and the shard that was begun after it."""
    server = LostServer(tmp_path)
    async with server.serving(shard_vaults=1) as running:
        world = World(running)
        await founded(world)
        await server.back_up()

        async def cover(transaction: Transaction) -> None:
            for _ in range(600):
                running.vault.log.stage_bytes(transaction, SHARD, leaf())

        await running.vault.writer.run(cover)
        await leaves_after(world, SHARD, 601)
        await founded(world)
    return server


async def test_the_logs_go_on_where_they_were(lost: LostServer) -> None:
    """Every log has the head that was signed last, the keeper signs on, what is stored is one, and new records are founded."""
    before = logs_of(lost.data)
    await lost.lose()
    await lost.restore(lost.leaves)
    assert logs_of(lost.data) == before
    await check(Settings(data=lost.data))
    async with lost.serving(shard_vaults=1) as running:
        world = World(running)
        record = await founded(world)
        assert record.origin == "vault.example/coffre/log/2"  # the new shard may be full of what was lost
        assert await leaves(world, NEXT) == 1
    await check(Settings(data=lost.data))


async def test_without_leaves_the_way_is_said(lost: LostServer) -> None:
    """Control: the older backup alone is not served, and the refusal names the keeper and the two commands."""
    await lost.lose()
    await lost.restore()
    async with lost.serving(confirm=False) as running:
        stopped = await asyncio.wait_for(running.vault.stopped, 10)
    assert isinstance(stopped, Stale)
    for words in ("(keeper-1)", "coffre keeper leaves FILE", "--restore BACKUP --leaves FILE…"):
        assert words in str(stopped)


def altered(logs: list[Log]) -> list[Log]:
    """One leaf of one log is another."""
    return [(origin, note, [*all_[:-1], leaf()] if origin == SHARD else all_) for origin, note, all_ in logs]


def moved(logs: list[Log]) -> list[Log]:
    """One log has the leaves of another, as many as its head says."""
    found = {origin: all_ for origin, _, all_ in logs}
    directory = "vault.example/coffre/directory"
    return [
        (origin, note, found[SHARD][: len(all_)] if origin == directory else all_)
        for origin, note, all_ in logs
    ]


def forged(logs: list[Log]) -> list[Log]:
    """A head that a stranger signed over leaves of its own."""
    own = [leaf() for _ in range(700)]
    root = root_of([leaf_hash(each) for each in own])
    note = sign_checkpoint(Checkpoint(SHARD, 700, root), SigningKey.generate())
    return [(origin, note, own) if origin == SHARD else (origin, *rest) for origin, *rest in logs]


def skipped(logs: list[Log]) -> list[Log]:
    """Only a log that is none of the service's comes beside them."""
    origin = "other.example/coffre/log/0"
    note = sign_checkpoint(Checkpoint(origin, 0, root_of([])), SigningKey.generate())
    return [(origin, note, []), *logs]


@pytest.mark.parametrize("change", [altered, moved, forged, skipped])
async def test_what_does_not_fit_is_refused_by_name(lost: LostServer, change: Change) -> None:
    """One leaf altered, another log's leaves, a forged head, another service's log: nothing is restored; honest leaves are."""
    honest = write_leaves(lost.folder / "honest.leaves", logs_of(lost.data))
    await lost.lose(change)
    with pytest.raises(NotProven, match=r"keeper\.leaves"):
        await lost.restore(honest, lost.leaves)
    assert not (lost.data / "server").exists()
    await lost.restore(honest)
    await check(Settings(data=lost.data))


async def test_a_cut_file_is_refused_by_name(lost: LostServer) -> None:
    """Half a file restores nothing."""
    await lost.lose()
    whole = lost.leaves.read_bytes()
    await asyncio.to_thread(lost.leaves.write_bytes, whole[: len(whole) // 2])
    with pytest.raises(Malformed, match=r"keeper\.leaves"):
        await lost.restore(lost.leaves)
    assert not (lost.data / "server").exists()


def signed_by_the_log(lost: LostServer, leaves_: list[bytes], origin: str = SHARD) -> Log:
    """A head that a shard's own key signed, as only the operator can."""
    key = read_key(lost.data / "server" / "keys" / "log.key")
    root = root_of([leaf_hash(each) for each in leaves_])
    return origin, sign_checkpoint(Checkpoint(origin, len(leaves_), root), key), leaves_


async def test_two_files_that_contradict_each_other_are_refused(lost: LostServer) -> None:
    """A head beside the longest one, by the log's own key, is refused whichever comes first; a shorter head of it is fine."""
    logs = logs_of(lost.data)
    (shard,) = (all_ for origin, _, all_ in logs if origin == SHARD)
    beside = write_leaves(lost.folder / "beside.leaves", [signed_by_the_log(lost, [*shard[:400], leaf()])])
    shorter = write_leaves(lost.folder / "shorter.leaves", [signed_by_the_log(lost, shard[:300])])
    below = write_leaves(lost.folder / "below.leaves", [signed_by_the_log(lost, [leaf()])])
    await lost.lose()
    for files in ((lost.leaves, beside), (beside, lost.leaves)):
        with pytest.raises(NotProven, match=r"beside\.leaves.*evidence"):
            await lost.restore(*files)
    with pytest.raises(NotProven, match=r"below\.leaves.*evidence"):
        await lost.restore(lost.leaves, below)
    await lost.restore(shorter, lost.leaves)
    assert logs_of(lost.data) == logs


async def test_leaves_older_than_the_backup_change_nothing(lost: LostServer) -> None:
    """A file with less than the backup has is fine, and adds nothing; the keepers' refusal stays."""
    (shard,) = (all_ for origin, _, all_ in logs_of(lost.data) if origin == SHARD)
    early = write_leaves(lost.folder / "early.leaves", [signed_by_the_log(lost, shard[:1])])
    await lost.lose()
    await lost.restore(early)
    assert [len(all_) for _, _, all_ in logs_of(lost.data)] == [1, 1]
    with closing(sqlite3.connect(lost.data / "server" / "coffre.db")) as database:
        assert database.execute("SELECT count(*) FROM losses").fetchone() == (0,)


async def test_a_shard_whose_predecessor_is_missing_is_not_begun(lost: LostServer) -> None:
    """The logs of a service are numbered without a hole."""
    beyond = signed_by_the_log(lost, [leaf()], "vault.example/coffre/log/2")
    await lost.lose(lambda logs: [*(log for log in logs if log[0] != NEXT), beyond])
    with pytest.raises(NotProven, match=r"keeper\.leaves has vault\.example/coffre/log/2"):
        await lost.restore(lost.leaves)


def killed_at_work(command: list[str], working: Path) -> None:
    """Run a command and kill it once ``working`` is there, or let it end before."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not working.exists() and process.poll() is None:
            time.sleep(0.001)
        process.kill()


async def test_a_kill_in_the_middle_restores_nothing(lost: LostServer) -> None:
    """Killed while it works, it leaves no server; the same again restores whole."""
    before = logs_of(lost.data)
    await lost.lose()
    command = [sys.executable, "-m", "vault_server", "serve", "--data", str(lost.data)]
    command += ["--restore", str(lost.backup), "--leaves", str(lost.leaves)]
    working = lost.data / ".restoring" / "server" / "coffre.db-wal"
    await asyncio.to_thread(killed_at_work, command, working)
    if not (lost.data / "server").exists():
        await lost.restore(lost.leaves)
    assert logs_of(lost.data) == before
    await check(Settings(data=lost.data))


async def test_no_place_of_what_was_lost_is_given_out_again(tmp_path: Path) -> None:
    """A place reserved before the loss is void, and a place that may have been taken in it is nobody's any more."""
    server = LostServer(tmp_path)
    async with server.serving() as running:
        world = World(running)
        person = await world.person()
        place = await (await person.api()).reserve(m.Empty())
        await server.back_up()
        record = Record(person)
        submission = await record.genesis_for(place)
        await (await person.api()).create_vault(submission)
        others = [await founded(world) for _ in range(2)]
    taken = {0, *(msgspec.json.decode(each.genesis)["slot"] for each in others)}
    await server.lose()
    async with server.restored(world):
        again = await (await person.api()).reserve(m.Empty())
        assert again.slot not in taken
        with pytest.raises(NotPermitted):
            await (await person.api()).create_vault(await Record(person).genesis_for(place))
