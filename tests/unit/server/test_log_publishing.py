"""The order of the log: durable, signed, cosigned, published; silent keepers, restarts and rollbacks."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from crypto.checkpoint import Checkpoint, cosignatures, parse_note
from crypto.errors import Conflict, Damaged, NotPermitted, Stale, Unavailable, Unreachable
from crypto.merkle import leaf_hash, root_of
from crypto.receipt import AddCheckpoint
from crypto.wire import messages as m
from tests.contract.grant_story import granted
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.record_story import Record, Stored, everything, founded
from tests.contract.vault_story import Person, World, fresh, leaves, leaves_after
from vault_server import publisher, upkeep
from vault_server.access_log import AccessLog
from vault_server.log_tree import Edge, edge_tiles
from vault_server.settings import Settings
from vault_server.store.connection import Connection
from vault_server.store.database import FILE, Transaction


async def test_a_silent_keeper_delays_proofs_and_loses_nothing(
    running: InProcess, world: World, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leaf is stored, the request fails in words, the log says why, and the same request gets its proof later."""
    said: list[str] = []
    monkeypatch.setattr(publisher, "log_event", lambda event, **_: said.append(event))
    stored = Stored.random()
    granting = await granted(world, stored)
    api = await granting.recipient.api()
    envelope = await granting.request(stored)
    running.vault.log._seconds = 0.05
    keeper.silent = True
    size = await leaves(world, granting.record.origin)
    with pytest.raises(Unreachable, match="is stored"):
        await api.open(m.OpenRequest(request=envelope))
    assert await leaves(world, granting.record.origin) == size
    assert "too few keepers answered" in said
    keeper.silent = False
    running.vault.log._seconds = 5
    answer = await api.open(m.OpenRequest(request=envelope))
    world.check(answer.logged, envelope, granting.record.origin)
    assert await leaves(world, granting.record.origin) == size + 1


async def test_everything_is_there_after_a_restart(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """Sessions, chains, records, grants, answered requests, and proofs across the restart."""
    stored = Stored.random()
    async with serving(tmp_path, keeper) as first:
        world = World(first)
        granting = await granted(world, stored)
        envelope = await granting.request(stored)
        before = await (await granting.recipient.api()).open(m.OpenRequest(request=envelope))
        tokens = first._sessions
        head = await world.head(granting.record.origin)
    async with serving(tmp_path, keeper) as second:
        second._sessions = tokens
        world.service = second
        assert await world.head(granting.record.origin) == head
        api = await granting.recipient.api()
        after = await api.open(m.OpenRequest(request=envelope))
        assert after.logged.disclosure == before.logged.disclosure
        world.check(after.logged, envelope, granting.record.origin)
        query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=stored.ver, start=0)
        assert await everything(api, query) == stored.data
        await granting.open(stored)
        await granting.end()


@pytest.mark.parametrize("is_twin", [False, True])
async def test_no_head_is_shown_before_it_is_durable(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """However long the disk takes, a keeper is shown only what another process finds in the database at that moment.

    The twin goes on to sign before it commits, and a keeper is shown what a power cut would take back.
    """
    beyond: list[int] = []
    shown, commit, integrate = keeper.add_checkpoint, Connection.commit, AccessLog._integrate
    file = Settings(data=tmp_path).server_folder / FILE

    async def watched(body: bytes) -> bytes:
        head = Checkpoint.parse(parse_note(AddCheckpoint.decode(body).note).text)
        with closing(sqlite3.connect(file)) as another:
            (durable,) = another.execute("SELECT size FROM logs WHERE origin = ?", [head.origin]).fetchone()
        beyond.append(head.size - durable)
        return await shown(body)

    async def slowly(connection: Connection) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        await commit(connection)

    async def too_early(log: AccessLog, transaction: Transaction) -> None:
        await integrate(log, transaction)
        for callback in transaction.after:
            callback()

    keeper.add_checkpoint = watched  # type: ignore[method-assign]
    monkeypatch.setattr(Connection, "commit", slowly)
    if is_twin:
        monkeypatch.setattr(AccessLog, "_integrate", too_early)
    async with serving(tmp_path, keeper) as running:
        await World(running).person()
    assert (max(beyond) > 0) == is_twin


async def test_after_a_restart_nothing_is_logged_before_the_keepers_confirm(
    tmp_path: Path, keeper: CosigningKeeper
) -> None:
    """Until a keeper has cosigned the stored head it may know more than the store does."""
    async with serving(tmp_path, keeper) as first:
        await World(first).person()
    keeper.silent = True
    async with serving(tmp_path, keeper, confirm=False, receipt_seconds=0.05) as second:
        assert not second.vault.healthy
        with pytest.raises(Unreachable):
            await World(second).person()
    keeper.silent = False
    async with serving(tmp_path, keeper) as third:
        await World(third).person()
        assert third.vault.healthy


async def test_a_store_older_than_what_a_keeper_knows_is_not_served(
    tmp_path: Path, keeper: CosigningKeeper
) -> None:
    """A restored old copy is noticed, in words, and nothing is signed over it."""
    data = tmp_path / "data"
    async with serving(data, keeper) as first:
        await World(first).person()
    shutil.copytree(data, tmp_path / "old")
    async with serving(data, keeper) as first:
        await World(first).person()
    heads = dict(keeper.heads)
    async with serving(tmp_path / "old", keeper, confirm=False, receipt_seconds=0.05) as old:
        why = await asyncio.wait_for(old.vault.stopped, 5)
        assert isinstance(why, Stale)
        assert "a keeper has seen size 2, and this copy has size 1" in str(why)
        assert "Restore a newer backup" in str(why)
        with pytest.raises(Unavailable, match="has stopped"):
            await World(old).person()
    assert keeper.heads == heads
    async with serving(data, keeper) as newest:
        await World(newest).person()


async def test_a_store_that_went_another_way_is_not_served(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A copy with as many entries as the keeper has seen, but not all the same, stops in words; the other is served."""
    data = tmp_path / "data"
    async with serving(data, keeper) as first:
        await World(first).person()
    shutil.copytree(data, tmp_path / "other")
    unaware = replace(keeper, heads=dict(keeper.heads))
    async with serving(tmp_path / "other", unaware) as other:
        await World(other).person()
    async with serving(data, keeper) as first:
        await World(first).person()
    heads = dict(keeper.heads)
    assert {origin: head.size for origin, head in unaware.heads.items()} == {
        origin: head.size for origin, head in heads.items()
    }
    async with serving(tmp_path / "other", keeper, confirm=False, receipt_seconds=0.05) as other:
        why = await asyncio.wait_for(other.vault.stopped, 5)
        assert isinstance(why, Damaged)
        assert "a keeper knows another head of its log" in str(why)
    assert keeper.heads == heads
    async with serving(data, keeper) as newest:
        await World(newest).person()


@dataclass
class NotTheDirectory(CosigningKeeper):
    """A keeper that has not got round to the directory yet."""

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign shards only."""
        if b"/coffre/directory\n" in body:
            raise Unreachable("A keeper did not answer.")
        return await super().add_checkpoint(body)


async def cover_on_an_older_copy(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A copy that is whole in its shard and older in the directory, of which only the shard is confirmed yet."""
    data, shard = tmp_path / "data", "vault.example/coffre/log/0"
    async with serving(data, keeper) as first:
        await World(first).person()
    shutil.copytree(data, tmp_path / "old")
    async with serving(data, keeper) as first:
        await World(first).person()
    slow = NotTheDirectory(keeper.clock, keeper.signing, keeper.unsealing, keeper.heads)
    async with serving(tmp_path / "old", slow, confirm=False, receipt_seconds=0.05) as old:
        log = old.vault.log
        await log._publisher.wait(log._logs[shard], 0, 5)
        await old.vault._upkeep.cover()
        await log._publisher.wait(log._logs[shard], 1, 5)


async def test_no_log_goes_on_before_every_log_is_confirmed(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A copy that is whole in one log and older in another takes no leaf in either: the newer copy can be served."""
    with pytest.raises(Unreachable, match="have not confirmed"):
        await cover_on_an_older_copy(tmp_path, keeper)
    async with serving(tmp_path / "data", keeper) as newest:
        await World(newest).person()


async def test_a_log_that_goes_on_alone_parts_from_the_newer_copy(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin: without that check the older copy moves the shard, and the newer copy is refused for ever."""
    monkeypatch.setattr(AccessLog, "check_confirmed", lambda log: None)
    await cover_on_an_older_copy(tmp_path, keeper)
    async with serving(tmp_path / "data", keeper, confirm=False, receipt_seconds=0.05) as newest:
        assert isinstance(await asyncio.wait_for(newest.vault.stopped, 5), Stale)


async def test_a_store_whose_rows_were_changed_is_not_served(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """Leaves, tiles and signed head must agree at the start."""
    async with serving(tmp_path, keeper) as first:
        await World(first).person()
        first.vault._database.write.all("UPDATE tiles SET data = zeroblob(32)")
    with pytest.raises(Damaged, match="was not started"):
        async with serving(tmp_path, keeper):
            pass


async def test_a_head_moved_by_somebody_else_stops_the_writer(running: InProcess, world: World) -> None:
    """The signed head is swapped, not overwritten."""
    running.vault._database.write.all("UPDATE logs SET root = zeroblob(32)")
    with pytest.raises(Damaged):
        await world.person()
    assert running.vault.stopped.done()


async def test_idle_logs_are_cosigned_again(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """A head that does not grow still gets fresh cosignatures."""
    origin = world.directory
    before = await (await running.api()).checkpoint(origin)
    keeper.clock.now += 301
    running.vault.log.recosign(keeper.clock() - 300)
    await asyncio.gather(*[log.task for log in running.vault.log._logs.values() if log.task])
    after = await (await running.api()).checkpoint(origin)
    assert after != before
    assert world.believe(after, origin) == world.believe(before, origin)


async def test_every_idle_shard_is_cosigned_again(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """The recurring work reaches the directory and every shard, closed ones too, and leaves alone what is fresh."""
    async with serving(tmp_path, keeper, shard_vaults=1) as running:
        world = World(running)
        for _ in range(2):
            await founded(world)
        logs = list(running.vault.log._logs.values())
        assert len(logs) >= 3
        before = [log.published for log in logs]
        for later, is_fresh in ((299, True), (2, False)):
            keeper.clock.now += later
            await running.vault._upkeep.recosign()
            await asyncio.gather(*[log.task for log in logs if log.task])
            assert [log.published is known for log, known in zip(logs, before, strict=True)] == [
                is_fresh
            ] * len(logs)
        for log in logs:
            note = await (await running.api()).checkpoint(log.origin)
            assert set(cosignatures(note, [keeper.key]).values()) == {int(keeper.clock())}


async def test_a_view_counts_for_ten_minutes_after_its_head_was_replaced(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """Age counts from when a larger head took its place, also across a restart."""
    stored = Stored.random()
    granting = await granted(world, stored)
    old = await world.view(granting.record.origin)
    keeper.clock.now += 5000
    envelope = await granting.request(stored, view=old)
    await (await logged_in_again(running, granting.recipient)).open(m.OpenRequest(request=envelope))
    await world.person()
    keeper.clock.now += 599
    await granting.open(stored, view=old)
    keeper.clock.now += 2
    with pytest.raises(Stale):
        await granting.open(stored, view=old)


async def logged_in_again(running: InProcess, person: Person) -> object:
    """A new session, where the old one has ended meanwhile."""
    running._sessions.pop(person.device.public.key_id, None)
    return await running.api(person)


async def test_requests_are_answered_anew_for_ten_minutes_only(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """Proofs are forgotten after ten minutes, the right to fetch after a day, whether or not rows are there."""
    stored = Stored.random()
    granting = await granted(world, stored)
    api = await granting.recipient.api()
    envelope = await granting.request(stored)
    await api.open(m.OpenRequest(request=envelope))
    query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=stored.ver, start=0)
    keeper.clock.now += 601
    with pytest.raises(Stale):
        await api.open(m.OpenRequest(request=envelope))
    await running.vault._upkeep.forget()
    assert await everything(api, query) == stored.data
    keeper.clock.now += 24 * 3600
    assert await running.vault._database.reader.all("SELECT disclosure FROM answers") == [(None,)]
    await running.vault._upkeep.forget()
    assert await running.vault._database.reader.all("SELECT 1 FROM answers") == []
    assert await running.vault._database.reader.all("SELECT 1 FROM sessions") == []


async def test_cover_leaves_fill_a_quiet_shard(running: InProcess, world: World) -> None:
    """A shard that took nothing since the last time gets one leaf; a busy one gets none."""
    origin = running.vault.log.shards[0].origin
    await running.vault._upkeep.cover()
    assert await leaves_after(world, origin, 1) == 1
    await running.vault._upkeep.cover()
    assert await leaves_after(world, origin, 2) == 2
    await granted(world, Stored.random())
    size = await leaves(world, origin)
    await running.vault._upkeep.cover()
    assert await leaves(world, origin) == size


async def test_a_start_puts_nothing_off(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cover leaf has time: it is not asked for while the keepers have still to confirm the logs."""
    said: list[str] = []
    monkeypatch.setattr(upkeep, "note", lambda event, **_: said.append(event))

    async def nothing(transaction: Transaction) -> None: ...

    async with serving(tmp_path, keeper):
        pass
    keeper.silent = True
    async with serving(tmp_path, keeper, confirm=False, cover_leaves_a_day=300) as second:
        for _ in range(3):  # whatever was begun at the start is through
            await second.vault.writer.run(nothing)
        assert said == []
        with pytest.raises(Unreachable):  # what there would have been to put off
            await second.vault._upkeep.cover()


async def test_a_full_shard_is_followed_by_the_next(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """Places are given in a new shard whose empty head is cosigned already."""
    async with serving(tmp_path, keeper, shard_vaults=2) as running:
        world = World(running)
        places = [await (await (await world.person()).api()).reserve(m.Empty()) for _ in range(5)]
        shards = [place.origin.rpartition("/")[2] for place in places]
        assert shards == ["0", "0", "1", "1", "2"]
        assert [place.slot for place in places] == [0, 1, 0, 1, 0]
        assert (await world.head(places[-1].origin)).size == 0


async def test_a_closed_shard_takes_no_further_record(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A founding in it without a place is a conflict; in one that is open it is not permitted; reserved places hold."""
    async with serving(tmp_path, keeper, shard_vaults=1) as running:
        world = World(running)
        waiting, late = Record(await world.person()), Record(await world.person())
        place = await (await waiting.holder.api()).reserve(m.Empty())
        assert place.origin.endswith("/0")
        with pytest.raises(Conflict, match="all the records it takes"):
            await (await late.holder.api()).create_vault(await late.genesis_for(place))
        await waiting.found()
        await late.found()
        assert (waiting.origin[-2:], late.origin[-2:]) == ("/0", "/1")
    async with serving(tmp_path, keeper, shard_vaults=2) as running:
        world = World(running)
        other = Record(await world.person())
        with pytest.raises(NotPermitted, match="not reserved"):
            await (await other.holder.api()).create_vault(
                await other.genesis_for(m.Reservation(origin=late.origin, slot=1))
            )


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 700])
def test_the_edge_is_rebuilt_from_its_tiles(size: int) -> None:
    """A tree read back from its tiles has the same root, and goes on as the one that was never stored."""
    hashes = [leaf_hash(number.to_bytes(4, "big")) for number in range(size + 3)]
    edge, stored = Edge(0, []), {}
    for start in range(0, size, 100):
        stored |= edge.append(hashes[start : min(start + 100, size)])
    assert edge.root() == root_of(hashes[:size])
    tiles = [b"" if n is None else stored[level, n] for level, n in enumerate(edge_tiles(size))]
    again = Edge(size, tiles)
    again.append(hashes[size:])
    assert again.root() == root_of(hashes)


def test_an_edge_that_does_not_fit_is_refused() -> None:
    """Tiles of another size are not believed."""
    with pytest.raises(Damaged):
        Edge(2, [fresh(32)])
