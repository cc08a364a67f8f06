"""Ends posted to a keeper before they are in the log."""

from pathlib import Path

import msgspec
import pytest

from crypto import labels
from crypto.errors import CannotOpen, NotFound, NotPermitted, NotProven, Unreachable
from crypto.sealed.policy_blob import seal_policy
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import read, verify_keys
from crypto.wire.keeper_api import EndAcknowledgement
from tests.support.keeper_story import Story, open_keeper
from tests.support.people import HOST, LOG, NOW, fresh
from tests.support.small_log import random_leaf
from vault_server.keeper.ends import Ends


async def test_an_end_is_acknowledged(story: Story) -> None:
    """The answer is signed by the cosigning key and says which end, at the keeper's time."""
    answer = await story.keeper.end(story.end_post())
    keys = verify_keys(story.card.cosigning_key)
    assert read(answer.envelope, labels.END_ACKNOWLEDGEMENT, EndAcknowledgement, keys) == EndAcknowledgement(
        origin=LOG, gid=story.maker.gid, tag=story.maker.end_tag, time=NOW
    )


async def test_a_posted_end_survives_a_restart(story: Story, tmp_path: Path) -> None:
    """A keeper opened again still releases nothing for a grant whose end it acknowledged."""
    query = await story.query()
    await story.keeper.end(story.end_post())
    async with open_keeper(tmp_path / "keeper", story.service, story.time) as again:
        with pytest.raises(NotFound):
            await again.release(query)


async def test_a_logged_end_needs_no_post(story: Story) -> None:
    """When the end gets into the log the post is dropped, the grant stays ended, and a later post is acknowledged."""
    query = await story.query()
    await story.keeper.end(story.end_post())
    story.service.shard.append(random_leaf(story.maker.end_tag))
    await story.service.publish(story.keeper, LOG)
    await story.keeper.end(story.end_post())
    assert story.keeper._logs._store._reader.all("SELECT * FROM ends") == []
    with pytest.raises(NotFound):
        await story.keeper.release(query)


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_silent_server_keeps_no_end_from_a_keeper(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A server that shows the keeper nothing while the end is posted, and goes on afterwards, finds the grant ended.

    The twin asks the server first, gets no answer, forgets the end, and releases when the server is back.
    """
    query = await story.query()
    if is_twin:
        monkeypatch.setattr(Ends, "_known", unknown)
    story.service.silent = True
    story.time.now += 2
    if is_twin:
        with pytest.raises(Unreachable):
            await story.keeper.end(story.end_post())
    else:
        assert await story.keeper.end(story.end_post())
    story.service.silent = False
    if is_twin:
        assert await story.keeper.release(query)
    else:
        with pytest.raises(NotFound):
            await story.keeper.release(query)


async def unknown(*_: object) -> None:
    """Whatever is asked for is not known here."""


async def test_a_grant_that_is_not_known_yet_is_asked_for(story: Story) -> None:
    """An end of a grant that was logged a moment ago is taken once the server shows it; from a silent one it is not."""
    await story.grant()
    story.service.shard.append(random_leaf(story.maker.event_tag(1)))
    story.service.published[LOG] = story.service.shard.note()
    story.maker.j = 1
    story.service.silent = True
    story.time.now += 2
    with pytest.raises(Unreachable):
        await story.keeper.end(story.end_post())
    story.service.silent = False
    assert await story.keeper.end(story.end_post())


async def test_the_end_of_another_grant_ends_nothing_here(story: Story) -> None:
    """A grant of somebody who took the same id has other keys, so its end stops itself only."""
    query, blob = await story.query(), story.blob()
    gid, end_key = story.maker.gid, story.maker.end_key
    await story.grant()
    story.maker.gid = gid
    story.log_event(0)
    await story.service.publish(story.keeper, LOG)
    assert story.maker.end_key is not end_key
    await story.keeper.end(story.end_post())
    assert await story.keeper.release(msgspec.structs.replace(query, blob=blob))


async def test_an_end_with_a_wrong_tag_is_refused(story: Story) -> None:
    """Only who knows the end key may end."""
    with pytest.raises(NotPermitted):
        await story.keeper.end(story.end_post(tag=fresh()))
    assert await story.keeper.release(await story.query())


async def test_an_end_with_somebody_elses_policy_is_refused(story: Story) -> None:
    """The policy must be sealed to this keeper, for this very grant."""
    other = seal_policy(
        story.maker.blob(story.key_hash),
        UnsealingKey.generate().public,
        story.service.accepted.ref.digest,
    )
    for post in (story.end_post(blob=other), story.end_post(gid=fresh())):
        with pytest.raises(CannotOpen):
            await story.keeper.end(post)


async def test_an_end_for_an_event_that_is_not_logged_is_refused(story: Story) -> None:
    """The policy's event must stand in the log, else anyone could fill the keeper with ends of no grant."""
    with pytest.raises(NotProven):
        await story.keeper.end(story.end_post(blob=story.blob(j=1)))


async def test_an_end_in_an_unknown_log_is_refused(story: Story) -> None:
    """A log of another host, or one that the server does not have, has no grants."""
    for origin in ("elsewhere/coffre/log/0", f"{HOST}/coffre/log/7"):
        blob = story.blob(origin=origin)
        with pytest.raises((NotFound, NotPermitted)):
            await story.keeper.end(story.end_post(origin=origin, blob=blob))
