"""Cosigning: what a keeper vouches for, and that it never vouches for two logs."""

import asyncio
import base64
import hashlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from crypto.checkpoint import (
    Checkpoint,
    CosignerKey,
    LogKey,
    add_cosignature,
    claimed_origin,
    cosignatures,
    parse_note,
)
from crypto.errors import (
    BadSignature,
    CoffreError,
    Conflict,
    Damaged,
    Full,
    Malformed,
    NotFound,
    NotProven,
    Unreachable,
)
from crypto.evidence import Beginning
from crypto.merkle import Frontier
from crypto.receipt import AddCheckpoint
from crypto.signing import SigningKey, VerifyKey
from crypto.tiles import WIDTH, Tile
from crypto.wire.problems import problem_of
from tests.support.keeper_story import Story, Time, keeper_story, open_keeper
from tests.support.people import HOST, LOG, NOW
from tests.support.small_log import SmallLog, random_leaf
from vault_server.keeper import mirror as mirror_module
from vault_server.keeper import witness as witness_module
from vault_server.keeper.evidence import Contradiction
from vault_server.keeper.followed_logs import FollowedLog, FollowedLogs
from vault_server.keeper.mirror import Extension
from vault_server.keeper.rows import NewLeaves
from vault_server.keeper.store import Store
from vault_server.keeper.witness import OtherHead, Witness

NAME = hashlib.sha256(LOG.encode()).hexdigest()


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    """A keeper and a service whose shard is empty."""
    async with keeper_story(tmp_path / "keeper", granted=False) as made:
        yield made


def _cosigner(story: Story) -> CosignerKey:
    return CosignerKey(story.card.name, VerifyKey(story.card.cosigning_key))


async def test_a_log_is_followed_from_its_first_head(story: Story) -> None:
    """An empty log, then larger ones over many bundles, are cosigned at the keeper's time."""
    for count in (0, 1, 255, 1, 700, 6000):
        story.service.shard.fill(count)
        story.time.now += 1
        note = await story.service.publish(story.keeper, LOG)
        assert cosignatures(note, [_cosigner(story)]) == {_cosigner(story).key.key_id: story.time.now}


async def test_a_head_is_cosigned_again(story: Story) -> None:
    """The same head is cosigned anew with a newer time, which is how an idle log stays fresh."""
    story.service.shard.fill(3)
    await story.service.publish(story.keeper, LOG)
    story.time.now += 300
    note = await story.service.publish(story.keeper, LOG)
    assert list(cosignatures(note, [_cosigner(story)]).values()) == [NOW + 300]


async def test_time_never_goes_back(story: Story) -> None:
    """When the keeper's own clock is set back, it goes on from the newest time it has stated."""
    await story.service.publish(story.keeper, LOG)
    story.time.now -= 1000
    note = await story.service.publish(story.keeper, LOG)
    assert list(cosignatures(note, [_cosigner(story)]).values()) == [NOW]


def _unknown_log(story: Story) -> AddCheckpoint:
    return SmallLog(f"elsewhere/{LOG}", story.service.shard.key).extension(0)


def _unknown_kind_of_log(story: Story) -> AddCheckpoint:
    return SmallLog(f"{HOST}/coffre/log/01", story.service.shard.key).extension(0)


def _other_key(story: Story) -> AddCheckpoint:
    story.service.shard.key = SigningKey.generate()
    return story.service.shard.extension(4)


def _smaller(story: Story) -> AddCheckpoint:
    return AddCheckpoint(4, (), story.service.shard.note(3))


def _other_old(story: Story) -> AddCheckpoint:
    story.service.shard.fill(1)
    return story.service.shard.extension(3)


def _from_nothing(story: Story) -> AddCheckpoint:
    return story.service.shard.extension(0)


def _same_size_other_root(story: Story) -> AddCheckpoint:
    story.service.shard.leaves[-1] = random_leaf()
    return story.service.shard.extension(4)


def _other_history(story: Story) -> AddCheckpoint:
    story.service.shard.leaves[0] = random_leaf()
    story.service.shard.fill(2)
    return story.service.shard.extension(4)


def _no_proof(story: Story) -> AddCheckpoint:
    story.service.shard.fill(2)
    return AddCheckpoint(4, (), story.service.shard.note())


def _other_leaves_served(story: Story) -> AddCheckpoint:
    story.service.shard.fill(2)
    request = story.service.shard.extension(4)
    story.service.shard.leaves[-1] = random_leaf()
    return request


def _leaves_withheld(story: Story) -> AddCheckpoint:
    story.service.shard.fill(2)
    request = story.service.shard.extension(4)
    del story.service.shard.leaves[-1]
    return request


def _not_a_leaf(story: Story) -> AddCheckpoint:
    story.service.shard.append(b"\3" + bytes(96))
    return story.service.shard.extension(4)


REFUSED = {
    _unknown_log: (NotFound, 404),
    _unknown_kind_of_log: (NotFound, 404),
    _other_key: (BadSignature, 403),
    _smaller: (Malformed, 400),
    _other_old: (OtherHead, 409),
    _from_nothing: (OtherHead, 409),
    _same_size_other_root: (Contradiction, 409),
    _other_history: (NotProven, 422),
    _no_proof: (NotProven, 422),
    _other_leaves_served: (NotProven, 422),
    _leaves_withheld: (Unreachable, 503),
    _not_a_leaf: (Malformed, 400),
}


@pytest.mark.parametrize("made", REFUSED, ids=[each.__name__.strip("_") for each in REFUSED])
async def test_what_is_not_cosigned(story: Story, made: Callable[[Story], AddCheckpoint]) -> None:
    """Each wrong request is refused as tlog-witness says, and the head stays where it was."""
    story.service.shard.fill(4)
    await story.service.publish(story.keeper, LOG)
    before = story.keeper.cosigned_checkpoint(NAME)
    kind, status = REFUSED[made]
    with pytest.raises(CoffreError) as refusal:
        await story.keeper.add_checkpoint(made(story).encode())
    assert (type(refusal.value), problem_of(refusal.value).status) == (kind, status)
    if isinstance(refusal.value, OtherHead):
        assert refusal.value.size == 4
    assert story.keeper.cosigned_checkpoint(NAME) == before


def _anybodys(twin: pytest.MonkeyPatch) -> None:
    """The log need not have signed."""
    twin.setattr(witness_module, "open_checkpoint", lambda note, _: Checkpoint.parse(parse_note(note).text))


def _any_proof(twin: pytest.MonkeyPatch) -> None:
    """A head need not be proved to continue the one before."""
    twin.setattr(witness_module, "verify_consistency", lambda *_: None)


def _any_leaves(twin: pytest.MonkeyPatch) -> None:
    """The leaves need not give the root."""
    twin.setattr(mirror_module, "_check_root", lambda *_: None)


def _any_entry(twin: pytest.MonkeyPatch) -> None:
    """An entry need not be a leaf."""
    twin.setattr(mirror_module, "parse_leaf", lambda _: None)


TWINS = {
    _other_key: (_anybodys,),
    _other_history: (_any_proof, _any_leaves),
    _no_proof: (_any_proof,),
    _other_leaves_served: (_any_leaves,),
    _not_a_leaf: (_any_entry,),
}


@pytest.mark.parametrize("made", TWINS, ids=[each.__name__.strip("_") for each in TWINS])
async def test_what_a_twin_would_cosign(
    story: Story, monkeypatch: pytest.MonkeyPatch, made: Callable[[Story], AddCheckpoint]
) -> None:
    """A keeper without the check vouches for a second history or for somebody else's; with one of two left it does not."""
    story.service.shard.fill(4)
    await story.service.publish(story.keeper, LOG)
    request = made(story).encode()
    removals = TWINS[made]
    for left in removals if len(removals) > 1 else ():
        with monkeypatch.context() as twin:
            for removal in removals:
                if removal is not left:
                    removal(twin)
            with pytest.raises(CoffreError):
                await story.keeper.add_checkpoint(request)
    for removal in removals:
        removal(monkeypatch)
    assert await story.keeper.add_checkpoint(request)


async def test_a_bundle_that_became_full_will_do(story: Story) -> None:
    """Where the server no longer has a partial bundle, the beginning of the full one is taken."""
    shard = story.service.shard
    shard.fill(300)
    whole = shard.bundle
    shard.bundle = lambda tile: whole(tile) if tile.width == WIDTH else _absent()  # type: ignore[method-assign]
    assert await story.keeper.add_checkpoint(shard.extension(0, 200).encode())
    shard.fill(212)
    assert await story.keeper.add_checkpoint(shard.extension(200, 290).encode())


def _absent() -> bytes:
    raise NotFound("This bundle")


async def test_fifty_at_once_never_contradict_each_other(story: Story) -> None:
    """Of fifty concurrent requests for conflicting heads, those of one history at most are cosigned."""
    shard = story.service.shard
    shard.fill(2)
    await story.service.publish(story.keeper, LOG)
    prefix, histories = list(shard.leaves), []
    for _ in range(5):
        shard.leaves = prefix + [random_leaf() for _ in range(10)]
        histories.append((list(shard.leaves), [shard.extension(2, size) for size in range(3, 13)]))
    serve = story.service.bundle

    async def slowly(origin: str, tile: Tile) -> bytes:
        await asyncio.sleep(0)
        return await serve(origin, tile)

    story.service.bundle = slowly  # type: ignore[method-assign]
    shard.leaves = histories[2][0]
    requests = [request.encode() for _, extensions in histories for request in extensions]
    answers = await asyncio.gather(
        *(story.keeper.add_checkpoint(request) for request in requests), return_exceptions=True
    )
    signed = [place for place, answer in enumerate(answers) if isinstance(answer, bytes)]
    assert len(signed) == 1
    assert signed[0] // 10 == 2
    assert all(isinstance(answer, bytes | OtherHead | NotProven | Contradiction) for answer in answers)


async def test_a_head_the_server_shows_is_followed(story: Story) -> None:
    """A keeper that missed a head learns it when it asks, and then knows that size."""
    story.service.shard.fill(3)
    await story.service.publish(story.keeper, LOG)
    story.service.shard.fill(2)
    story.service.published[LOG] = story.service.shard.note()
    await story.grant()
    assert await story.keeper.release(await story.query())


async def test_a_head_that_others_had_first_is_waited_for(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked about a head that was published a moment after it last looked, a keeper looks again, a second later and once."""
    story.service.shard.fill(3)
    await story.service.publish(story.keeper, LOG)
    witness = story.keeper._witness
    assert (await witness.refresh(LOG, 0)).size == 3
    story.service.shard.fill(2)
    story.service.published[LOG] = story.service.shard.note()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        story.time.now += seconds

    monkeypatch.setattr(witness_module.asyncio, "sleep", sleep)
    assert (await witness.refresh(LOG, 1)).size == 3
    assert (await witness.reach(LOG, 3, 60)).size == 3
    assert slept == []
    assert (await witness.reach(LOG, 5, 60)).size == 5
    assert (await witness.reach(LOG, 99, 60)).size == 5
    assert slept == [1, 1]


async def test_heads_survive_a_restart(story: Story, tmp_path: Path) -> None:
    """A keeper opened again knows its heads, goes on from them, and stands by its time."""
    story.service.shard.fill(700)
    await story.service.publish(story.keeper, LOG)
    before = story.keeper.cosigned_checkpoint(NAME)
    async with open_keeper(tmp_path / "keeper", story.service, Time(NOW - 500)) as again:
        assert again.cosigned_checkpoint(NAME) == before
        with pytest.raises(OtherHead) as refusal:
            await again.add_checkpoint(story.service.shard.extension(0).encode())
        assert refusal.value.size == 700
        story.service.shard.fill(400)
        note = await story.service.publish(again, LOG)
        assert list(cosignatures(note, [_cosigner(story)]).values()) == [NOW]


async def test_two_processes_on_one_store_cannot_both_move_a_head(story: Story, tmp_path: Path) -> None:
    """Whoever comes second finds that the head has moved, and signs nothing."""
    story.service.shard.fill(2)
    await story.service.publish(story.keeper, LOG)
    async with open_keeper(tmp_path / "keeper", story.service, Time()) as second:
        story.service.shard.fill(1)
        await story.service.publish(story.keeper, LOG)
        story.service.shard.leaves[-1] = random_leaf()
        with pytest.raises(Conflict, match="moved by another process"):
            await second.add_checkpoint(story.service.shard.extension(2).encode())


async def test_an_older_copy_of_the_store_is_noticed(story: Story, tmp_path: Path) -> None:
    """A keeper put back to an older store sees its own newer signature and cosigns nothing."""
    story.service.shard.fill(1)
    await story.service.publish(story.keeper, LOG)
    data = tmp_path / "keeper"
    with sqlite3.connect(data / "keeper.db") as source, sqlite3.connect(tmp_path / "older.db") as copy:
        source.backup(copy)
    copy.close()
    source.close()
    story.time.now += 10
    story.service.shard.fill(1)
    note = await story.service.publish(story.keeper, LOG)
    older = tmp_path / "older"
    shutil.copytree(data, older, ignore=shutil.ignore_patterns("keeper.db*"))
    shutil.copy(tmp_path / "older.db", older / "keeper.db")
    async with open_keeper(older, story.service, story.time) as forgetful:
        request = story.service.shard.extension(1)
        with pytest.raises(Damaged):
            await forgetful.add_checkpoint(AddCheckpoint(1, request.path, note).encode())


async def test_a_full_disk_stops_the_keeper(story: Story) -> None:
    """When a head could not be stored it is not cosigned, and nothing is until the keeper is restarted."""
    store = story.keeper._logs._store
    store._writer.all("PRAGMA max_page_count = 1")
    story.service.shard.fill(3000)
    with pytest.raises(Full):
        await story.service.publish(story.keeper, LOG)
    store._writer.all("PRAGMA max_page_count = 100000")
    with pytest.raises(Damaged):
        await story.service.publish(story.keeper, LOG)


class _AnyLeaves:
    """Stands in for the mirror where only proofs are known."""

    async def extend(self, log: FollowedLog, checkpoint: Checkpoint, *, directory: bool) -> Extension:
        assert not directory
        return Extension(Frontier(), NewLeaves(log.row.size, [], [], {}), {})

    async def beginning(self, origin: str, size: int, checkpoint: Checkpoint) -> Beginning:
        raise Unreachable("There are no tiles.")


async def test_the_exchanges_of_litewitness(shared_vectors: Path, tmp_path: Path) -> None:
    """Each add-checkpoint is answered with the status of that witness.

    Two answers are other refusals than there. An unknown log is 404, as tlog-witness says now. A wrong signature whose
    base64 has stray bits in its last character does not reach the signature check; written properly, it is 403.
    """
    vectors = json.loads((shared_vectors / "tlog" / "witness-add-checkpoint.json").read_text())
    origin = claimed_origin(AddCheckpoint.decode(vectors["exchanges"][0]["body"].encode()).note)
    key = SigningKey.generate()
    log = LogKey(origin, VerifyKey(bytes.fromhex(vectors["log_public_key_hex"])))
    async with await Store.open(tmp_path, key.public.key_id) as store:
        witness = Witness(
            vectors["witness_name"],
            key,
            clock=Time().clock(0),
            trust=_OneLog(log),  # type: ignore[arg-type]
            logs=FollowedLogs(store),
            mirror=_AnyLeaves(),  # type: ignore[arg-type]
            source=None,  # type: ignore[arg-type]
            evidence=None,  # type: ignore[arg-type]
            floor=0,
        )
        for exchange in vectors["exchanges"]:
            body = exchange["body"].encode()
            if "invalid signature" in exchange["assert"]:
                assert (await _status(witness, body))[0] == 400
                encoded = body.rpartition(b" ")[2].strip()
                body = body.replace(encoded, base64.b64encode(base64.b64decode(encoded)))
            status, answer = await _status(witness, body)
            assert status == (404 if "unknown log" in exchange["assert"] else exchange["status"])
            if status == 409:
                assert exchange["assert"] == f'body == "{answer}\\n"'
            if status == 200:
                cosigner = CosignerKey(vectors["witness_name"], key.public)
                note = add_cosignature(AddCheckpoint.decode(body).note, answer.encode(), cosigner)
                assert cosignatures(note, [cosigner]) == {key.public.key_id: NOW}


class _OneLog:
    """Stands in for the trust roots where one foreign log is known."""

    def __init__(self, key: LogKey) -> None:
        self._key, self.cosigners = key, ()
        self.newest = SimpleNamespace(directory_origin=f"{HOST}/coffre/directory")

    def log_key(self, origin: str) -> LogKey:
        if origin != self._key.name:
            raise NotFound("This log")
        return self._key


async def _status(witness: Witness, body: bytes) -> tuple[int, str]:
    try:
        return 200, (await witness.add_checkpoint(body)).decode()
    except OtherHead as error:
        return 409, str(error.size)
    except CoffreError as error:
        return problem_of(error).status, ""
