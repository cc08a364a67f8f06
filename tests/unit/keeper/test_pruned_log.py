"""A keeper that mirrors afresh a log whose beginning is gone: hashes for what is gone, entries from there on, one root."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crypto.checkpoint import (
    Checkpoint,
    CosignerKey,
    cosign,
    cosignatures,
    parse_note,
    sign_checkpoint,
)
from crypto.durations import DAY
from crypto.errors import CoffreError, NotPermitted, NotProven
from crypto.merkle import Frontier, leaf_hash
from crypto.pruning import RETENTION
from crypto.signing import VerifyKey
from crypto.tiles import HEIGHT, WIDTH
from crypto.wire.messages import LogBeginning
from tests.support.keeper_story import Story, keeper_story, open_keeper
from tests.support.people import LOG
from vault_server import leaves_file
from vault_server.keeper import mirror
from vault_server.keeper.keys import load_keys
from vault_server.keeper.leaves import write_leaves

GONE = 3 * WIDTH


@asynccontextmanager
async def afresh(data: Path) -> AsyncIterator[Story]:
    """A long log, cosigned, three years pass, its beginning goes; then its keeper has lost its store and is back."""
    async with keeper_story(data, granted=False) as story:
        story.service.shard.fill(GONE + 40)
        note = await story.service.publish(story.keeper, LOG)
    story.time.now += RETENTION + DAY
    (data / "keeper.db").unlink()
    story.service.shard.fill(2 * WIDTH)
    story.service.shard.beginning = LogBeginning(minimum=GONE, note=note)
    story.service.cosigned[LOG] = 0  # what the keeper knows
    async with open_keeper(data, story.service, story.time, accept_lost_store=True) as story.keeper:
        story.time.now += 3600
        yield story


async def test_a_keeper_mirrors_what_is_left(tmp_path: Path) -> None:
    """The head is cosigned, and so is one that goes on from it; what is left is looked up as ever."""
    async with afresh(tmp_path / "keeper") as story:
        for count in (0, 1, WIDTH):
            story.service.shard.fill(count)
            note = await story.service.publish(story.keeper, LOG)
            cosigner = CosignerKey(story.card.name, VerifyKey(story.card.cosigning_key))
            assert cosignatures(note, [cosigner]) == {cosigner.key.key_id: int(story.time.now)}
    async with open_keeper(tmp_path / "keeper", story.service, story.time) as again:
        story.service.shard.fill(3)
        await story.service.publish(again, LOG)


async def test_its_leaves_begin_where_they_are_left(tmp_path: Path) -> None:
    """Written down, they are hashes below the beginning and leaves from there on, with the root of its head."""
    data, to = tmp_path / "keeper", tmp_path / "leaves"
    async with afresh(data) as story:
        note = await story.service.publish(story.keeper, LOG)
        with pytest.raises(NotPermitted):
            write_leaves(data, to, ["vault.example/coffre/log/9"], as_json=True)
        assert not to.exists()
        write_leaves(data, to, [LOG], as_json=True)  # while it runs
        with pytest.raises(NotPermitted):
            write_leaves(data, to, [], as_json=True)
    with to.open("rb") as file:
        ((log, hashes, leaves),) = [
            (log, [*log.subtrees()], [leaf for some in log.leaves() for leaf in some])
            for log in leaves_file.logs(file, to)
        ]
    assert (log.begins, len(hashes), len(leaves)) == (GONE, GONE // WIDTH, log.checkpoint.size - GONE)
    frontier = Frontier()
    for each in hashes:
        frontier.append_subtree(each, HEIGHT)
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    assert frontier.root() == log.checkpoint.root == Checkpoint.parse(parse_note(note).text).root


async def test_a_beginning_is_not_gone_because_the_server_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a head that is old, of this log, and large enough, nothing is cosigned; and the twin, which asks for none."""
    async with afresh(tmp_path / "keeper") as story:
        shard, key = story.service.shard, load_keys(tmp_path / "keeper").cosigning
        honest = shard.beginning

        def dated(head: Checkpoint, before: int) -> bytes:
            line = cosign(head, story.card.name, key, int(story.time.now) - before)
            return sign_checkpoint(head, shard.key) + line

        head = shard.checkpoint(GONE + 40)
        young = LogBeginning(minimum=GONE, note=dated(head, RETENTION - DAY))
        for lie in (
            LogBeginning(minimum=GONE, note=None),
            young,
            LogBeginning(minimum=GONE + WIDTH, note=honest.note),
            LogBeginning(minimum=GONE, note=dated(Checkpoint(LOG, GONE + 40, bytes(32)), 2 * RETENTION)),
            LogBeginning(minimum=GONE, note=dated(Checkpoint(LOG, GONE, bytes(32)), 2 * RETENTION)),
        ):
            shard.beginning = lie
            with pytest.raises(CoffreError):
                await story.service.publish(story.keeper, LOG)
        shard.beginning = young
        with monkeypatch.context() as twin:
            twin.setattr(mirror, "check_beginning", lambda *_: head)
            await story.service.publish(story.keeper, LOG)


async def test_hashes_that_lead_elsewhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles over what is gone that are not those under the head."""
    async with afresh(tmp_path / "keeper") as story:
        shard = story.service.shard
        with monkeypatch.context() as lying:
            lying.setattr(shard, "tile", lambda tile: bytes(8192))
            with pytest.raises(NotProven):
                await story.service.publish(story.keeper, LOG)
        await story.service.publish(story.keeper, LOG)
