"""A log that takes the place of one that was lost: what the keeper sees to before it believes the operator's word for it."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from crypto.checkpoint import LogKey, cosignatures, open_checkpoint
from crypto.encoding import decode
from crypto.errors import NotFound, NotPermitted, NotProven
from crypto.signing import Envelope
from crypto.statements import Head
from crypto.trust_root import Successor, TrustRoot
from tests.support.keeper_story import Story, open_keeper
from tests.support.people import HOST, LOG, fresh
from tests.support.small_log import SmallLog, random_leaf
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.mirror import Mirror
from vault_server.keeper.successions import Successions

NEW = f"{HOST}/coffre/log/7"


def named(story: Story, last_head: Head | None = None, *, new: str = NEW) -> Successor:
    """The newest trust root names ``new`` as the successor of the shard, by its newest head unless told otherwise."""
    head = story.service.shard.checkpoint()
    entry = Successor(
        old_origin=LOG, last_head=last_head or Head(size=head.size, root=head.root), new_origin=new
    )
    story.service.next_root(successors=(entry,))
    return entry


def head_key(story: Story) -> LogKey:
    """What the shard's heads are signed with."""
    return story.service.root.log_key_of(LOG)


def begun(story: Story, *leaves: bytes) -> SmallLog:
    """The new log, with these leaves."""
    log = story.service.logs[NEW] = SmallLog(NEW, story.service.shard.key)
    for leaf in leaves:
        log.append(leaf)
    return log


async def refused(story: Story) -> str:
    """Why the trust root that the server shows is not believed; the known one stands."""
    with pytest.raises(NotPermitted) as refusal:
        await story.keeper._trust.refresh()
    assert story.keeper._trust.current.ref.version == 1
    await story.service.publish(story.keeper, LOG)
    return str(refusal.value)


async def test_a_closed_log_is_cosigned_and_answered_for_no_more(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its place is taken, its next head gets no cosignature, a request in it no release and an end no word."""
    query, post = await story.query(), story.end_post()
    assert await story.keeper.release(query)
    named(story)
    await story.keeper.refresh_trust()
    story.service.shard.append(random_leaf())
    with pytest.raises(NotFound):
        await story.service.publish(story.keeper, LOG)
    with pytest.raises(NotFound):
        await story.keeper.release(query)
    with pytest.raises(NotFound):
        await story.keeper.end(post)
    monkeypatch.setattr(TrustRoot, "newest_origin", lambda _, origin: origin)
    assert await story.service.publish(story.keeper, LOG)
    assert await story.keeper.release(query)


async def test_what_was_cosigned_of_a_closed_log_is_still_shown(story: Story) -> None:
    """Its highest head stays where anybody can fetch it, also after a restart."""
    named(story)
    await story.keeper.refresh_trust()
    note = await story.keeper.checkpoint(LOG)
    head = open_checkpoint(note, story.service.root.log_key_of(LOG))
    assert head == story.service.shard.checkpoint()
    (keeper,) = story.service.root.keepers
    assert cosignatures(note, [keeper.cosigner])


def _smaller(story: Story) -> Head:
    head = story.service.shard.checkpoint(story.service.cosigned[LOG] - 1)
    return Head(size=head.size, root=head.root)


def _other(story: Story) -> Head:
    return Head(size=story.service.cosigned[LOG], root=fresh())


@pytest.mark.parametrize("last_head", [_smaller, _other])
async def test_a_last_head_below_what_was_cosigned_is_refused(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_head
) -> None:
    """One entry less, or another root: the trust root is not believed, and both signed things are kept to show."""
    story.service.shard.fill(3)
    note = await story.service.publish(story.keeper, LOG)
    entry = named(story, last_head(story))
    assert "which was lost, one of size" in await refused(story)
    kept = tmp_path / "keeper" / "evidence" / hashlib.sha256(LOG.encode()).hexdigest()
    head = open_checkpoint(kept.with_suffix(".checkpoint").read_bytes(), head_key(story))
    assert head == open_checkpoint(note, head_key(story))
    signed = decode(kept.with_suffix(".trust-root.json").read_bytes(), Envelope)
    assert signed == story.service.chain[-1]
    assert entry in decode(signed.body, TrustRoot).successors
    story.service.shard.append(random_leaf())
    await story.service.publish(story.keeper, LOG)
    assert await refused(story)
    assert open_checkpoint(kept.with_suffix(".checkpoint").read_bytes(), head_key(story)) == head
    monkeypatch.setattr(Successions, "_check_last_head", lambda *_: None)
    await story.keeper._trust.refresh()
    with pytest.raises(NotFound):
        await story.service.publish(story.keeper, LOG)


@pytest.mark.parametrize("more", [0, 5])
async def test_a_last_head_that_others_saw_is_believed(story: Story, tmp_path: Path, more: int) -> None:
    """The head cosigned here, or one with more entries, which other keepers know: nothing is kept against anybody."""
    head = story.service.shard.checkpoint()
    named(story, Head(size=head.size + more, root=fresh() if more else head.root))
    await story.keeper._trust.refresh()
    assert story.keeper._trust.current.ref.version == 2
    assert not (tmp_path / "keeper" / "evidence").exists()


async def test_a_log_that_takes_over_must_begin_with_its_successor(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaf 0 is the trust root's word for the new log; one that begins otherwise gets no cosignature."""
    entry = named(story)
    await story.keeper.refresh_trust()
    begun(story, random_leaf(), entry.leaf.to_bytes())
    with pytest.raises(NotProven, match="does not begin"):
        await story.service.publish(story.keeper, NEW)
    begun(story, entry.leaf.to_bytes(), random_leaf())
    assert await story.service.publish(story.keeper, NEW)
    story.service.logs[NEW].fill(300)
    assert await story.service.publish(story.keeper, NEW)


async def test_without_that_check_any_log_could_take_over(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: a log with another first leaf is cosigned."""
    monkeypatch.setattr(Mirror, "_check_begins", lambda *_: None)
    named(story)
    await story.keeper.refresh_trust()
    begun(story, random_leaf())
    assert await story.service.publish(story.keeper, NEW)


async def test_a_log_that_has_begun_takes_no_others_place(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that was followed as one of its own is not a successor afterwards, unless it began as one."""
    begun(story, random_leaf())
    await story.service.publish(story.keeper, NEW)
    named(story)
    assert "has begun as another one" in await refused(story)


async def test_a_log_that_began_early_as_a_successor_is_one(story: Story) -> None:
    """A keeper that meets the new log before the trust root judges it by its first leaf when it meets the trust root."""
    entry = named(story)
    begun(story, entry.leaf.to_bytes())
    await story.service.publish(story.keeper, NEW)
    await story.keeper._trust.refresh()
    assert story.keeper._trust.current.ref.version == 2


async def test_a_successor_is_judged_once(story: Story) -> None:
    """A later trust root that names it again is followed, while the new log grows."""
    entry = named(story)
    await story.keeper._trust.refresh()
    begun(story, entry.leaf.to_bytes(), random_leaf())
    await story.service.publish(story.keeper, NEW)
    story.service.next_root(successors=(entry,), minimum_client="0.0.2")
    await story.keeper._trust.refresh()
    assert story.keeper._trust.current.ref.version == 3


async def test_a_head_on_its_way_is_seen_before_its_log_is_closed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a head is being stored no successor is believed; then it is compared with that head, and refused."""
    named(story)
    story.service.shard.append(random_leaf())
    storing, go_on = asyncio.Event(), asyncio.Event()
    real = FollowedLogs.advance

    async def slow(*args, **kwargs) -> None:
        storing.set()
        await go_on.wait()
        await real(*args, **kwargs)

    monkeypatch.setattr(FollowedLogs, "advance", slow)
    publishing = asyncio.create_task(story.service.publish(story.keeper, LOG))
    await storing.wait()
    believing = asyncio.create_task(story.keeper._trust.refresh())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not believing.done()
    go_on.set()
    await publishing
    with pytest.raises(NotPermitted):
        await believing


async def test_two_who_ask_for_trust_roots_at_once_believe_them_once(story: Story) -> None:
    """What the first has believed while the second waited is not taken for something else."""
    named(story)
    await asyncio.gather(story.keeper._trust.refresh(), story.keeper._trust.refresh())
    assert story.keeper._trust.current.ref.version == 2
    assert len(story.keeper._trust.signed) == 2


async def test_a_log_is_still_closed_after_a_restart(story: Story, tmp_path: Path) -> None:
    """The trust root that closed it is read back, and with it what is closed."""
    named(story)
    await story.keeper.refresh_trust()
    story.service.silent = True
    async with open_keeper(tmp_path / "keeper", story.service, story.time) as again:
        with pytest.raises(NotFound):
            await again.add_checkpoint(story.service.shard.extension(1).encode())
