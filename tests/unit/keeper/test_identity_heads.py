"""Signed answers that an identity's chain is complete."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from crypto import labels
from crypto.errors import BadSignature, NotProven, Refusal, Stale
from crypto.identity_links import Chain, Complete, Recover
from crypto.locators import directory_slot
from crypto.merkle import leaf_hash
from crypto.signing import SigningKey, read, verify_keys
from crypto.wire.keeper_api import IdentityHead, IdentityHeadQuery
from tests.support.keeper_story import Story, keeper_story, open_keeper
from tests.support.people import DAY, NOW, Device, Person, fresh, keyring_step
from tests.support.small_log import random_leaf
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.store import LogRow


async def test_a_complete_chain_is_vouched_for(story: Story) -> None:
    """The answer names the identity, its last link and the directory head, signed by the cosigning key."""
    answer = await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
    ref = story.reader.chain.ref
    assert read(
        answer.envelope, labels.IDHEAD, IdentityHead, verify_keys(story.card.cosigning_key)
    ) == IdentityHead(
        identity=story.reader.identity,
        n=1,
        leaf=ref.leaf,
        origin=story.service.directory.origin,
        head=story.service.directory.head,
    )


async def test_an_older_part_of_a_chain_is_not(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that goes on in the directory is refused until it is shown whole; the twin looks for no further link."""
    short = Chain(links=story.reader.chain.links[:1])
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=short))
    places = FollowedLogs.places

    async def no_single_one(self: FollowedLogs, log: LogRow, slots: Sequence[bytes]) -> dict[bytes, int]:
        return {} if len(slots) == 1 and slots[0] == further else await places(self, log, slots)

    further = directory_slot(story.service.directory.origin, short.identity, 1)
    monkeypatch.setattr(FollowedLogs, "places", no_single_one)
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=short))


async def test_a_link_the_keeper_has_not_followed_is_not(story: Story) -> None:
    """A link that is in no head the keeper cosigned is not vouched for; afterwards it is."""
    story.service.certify(story.reader)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
    await story.service.publish_all(story.keeper)
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_each_head_is_asked_anew(story: Story) -> None:
    """A chain that was complete under one head, and vouched for, is not complete under the next, where it goes on."""
    before = story.reader.chain
    for _ in range(2):
        assert await story.keeper.identity_head(IdentityHeadQuery(chain=before))
    story.service.certify(story.reader)
    await story.service.publish_all(story.keeper)
    for _ in range(2):
        with pytest.raises(NotProven):
            await story.keeper.identity_head(IdentityHeadQuery(chain=before))
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_a_changed_link_is_not(story: Story) -> None:
    """Salt, place, slot and signature each belong to the leaf and the link."""
    *others, last = story.reader.links
    disclosure = last.disclosure
    changed = [
        msgspec.structs.replace(disclosure, salt=fresh()),
        msgspec.structs.replace(disclosure, index=disclosure.index - 1),
        msgspec.structs.replace(disclosure, slot_one=fresh()),
        msgspec.structs.replace(disclosure, slot_two=fresh()),
    ]
    for each in changed:
        chain = Chain(links=(*others, msgspec.structs.replace(last, disclosure=each)))
        with pytest.raises(Refusal):
            await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_a_forged_link_that_the_server_logged_is_not(story: Story) -> None:
    """Being in the directory does not make a link true: its signatures are checked."""
    story.reader.add(keyring_step(), signers=[SigningKey.generate()])
    await story.service.publish_all(story.keeper)
    with pytest.raises(BadSignature):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_the_first_leaf_of_a_slot_counts(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaf that took the place of an identity's link before it makes the later one worthless; the twin takes any."""
    person = Person(story.service)
    taken = directory_slot(story.service.directory.origin, person.identity, 1)
    leaf = random_leaf(slot_one=taken)
    story.service.directory.log.append(leaf)
    story.service.directory.frontier.append(leaf_hash(leaf))
    story.service.certify(person)
    await story.service.publish_all(story.keeper)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=person.chain))
    monkeypatch.setattr(FollowedLogs, "check_leaves", unchecked)
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=person.chain))


async def unchecked(*_: object) -> None:
    """Stands where a check was."""


WEEK = 7 * DAY


async def _later(story: Story, seconds: int) -> None:
    """Time passes; both logs are cosigned again as they are, as they are every five minutes."""
    story.time.now += seconds
    await story.service.publish_all(story.keeper)


async def _recovered(story: Story, *, asked: int, completed: int) -> Chain:
    """A recovery asked for by a recovery key and completed, in leaves that the server dates so."""
    new = Device()
    story.reader.add(Recover(), new.added, signers=[story.reader.recovery, new.signing], time=asked)
    await story.service.publish_all(story.keeper)
    story.reader.add(Complete(link=2), signers=[new.signing], time=completed)
    await story.service.publish_all(story.keeper)
    return story.reader.chain


async def test_seven_days_cannot_be_dated_away(story: Story) -> None:
    """A link whose time is before the last head without it, or after the first head with it, is not vouched for.

    Between the two heads, and ten minutes on either side, its time is the server's to say.
    """
    await _later(story, WEEK)
    chain = await _recovered(story, asked=NOW, completed=NOW + WEEK)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_seven_days_cannot_be_dated_ahead(story: Story) -> None:
    """A completion is not dated a week ahead of the head that shows it."""
    chain = await _recovered(story, asked=NOW, completed=NOW + WEEK)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_seven_days_that_passed_count(story: Story) -> None:
    """The control: the same recovery, completed when the week was over, is vouched for."""
    new = Device()
    story.reader.add(Recover(), new.added, signers=[story.reader.recovery, new.signing], time=NOW)
    await _later(story, WEEK)
    story.reader.add(Complete(link=2), signers=[new.signing], time=NOW + WEEK)
    await _later(story, 5)
    chain = story.reader.chain
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


@pytest.mark.parametrize(("apart", "fits"), [(-600, True), (-601, False), (605, True), (606, False)], ids=str)
async def test_ten_minutes_apart_are_allowed(story: Story, apart: int, fits: bool) -> None:
    """A time is at most ten minutes before the last head without the link, or after the first with it."""
    await _later(story, DAY)
    story.reader.add(keyring_step(), time=NOW + DAY + apart)
    await _later(story, 5)
    await _later(story, 900)
    query = IdentityHeadQuery(chain=story.reader.chain)
    if fits:
        assert await story.keeper.identity_head(query)
        return
    with pytest.raises(NotProven):
        await story.keeper.identity_head(query)


async def test_what_a_keeper_found_is_taken_as_it_is(tmp_path: Path) -> None:
    """Links under the first head that a keeper cosigned have the times that the server gave them."""
    async with keeper_story(tmp_path / "keeper", granted=False) as story:
        story.time.now += 30 * DAY
        await story.service.publish_all(story.keeper)
        assert await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_a_keeper_remembers_for_good(tmp_path: Path) -> None:
    """Started anew half a year later, a keeper still refuses what it refused."""
    async with keeper_story(tmp_path / "keeper") as story:
        await _later(story, WEEK)
        chain = await _recovered(story, asked=NOW, completed=NOW + WEEK)
        for _ in range(3):
            Person(story.service)
            await _later(story, 60 * DAY)
    story.time.now += 1
    async with open_keeper(tmp_path / "keeper", story.service, story.time) as keeper:
        with pytest.raises(NotProven):
            await keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_the_check_is_what_stops_the_backdating(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a keeper that did not remember when it cosigned would have vouched for the backdated chain."""
    await _later(story, WEEK)
    chain = await _recovered(story, asked=NOW, completed=NOW + WEEK)
    monkeypatch.setattr(FollowedLogs, "check_times", unchecked)
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_an_expired_trust_root_vouches_for_nothing(story: Story) -> None:
    """After its expiry no identity is vouched for."""
    story.time.now = story.service.root.expiry
    with pytest.raises(Stale):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
