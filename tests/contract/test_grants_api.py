"""What every implementation of ``VaultApi`` does: grants, their events, their ends."""

import msgspec
import pytest

from crypto.checkpoint import TEN_MINUTES
from crypto.errors import (
    BrokenChain,
    Malformed,
    NotFound,
    NotPermitted,
)
from crypto.grants import END_OF_TIME
from crypto.identity_links import ReadingKey
from crypto.pruning import RETENTION
from crypto.sealed.unsealing import UnsealingKey
from crypto.statements import part_hash
from crypto.vault_links import Block
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import DAY, World, fresh


async def test_a_rekey_closes_what_was_before(world: World) -> None:
    """After a rekey only its own rows open, under its own number; a plain event adds to them."""
    one, two, three = Stored.random(), Stored.random(), Stored.random()
    granting = await granted(world, one, two)
    await granting.grant(one, rekey=True)
    await granting.open(one)
    with pytest.raises(NotFound):
        await granting.open(two)
    await granting.record.add(three)
    await granting.grant(three)
    await granting.open(one, three)
    assert [event.j for event in granting.events] == [0, 1, 2]
    box = await (await granting.recipient.api()).mailbox(m.MailboxQuery(after=1))
    assert [delivery.number for delivery in box.deliveries] == [2, 3]


async def test_an_end_is_delivered_and_final(world: World) -> None:
    """The end has its own leaf under the end tag, and an ended grant is never taken up again."""
    stored = Stored.random()
    granting = await granted(world, stored)
    accepted = await granting.end()
    assert accepted.logged[1].disclosure.slot_two == granting.end_tag
    box = await (await granting.recipient.api()).mailbox(m.MailboxQuery(after=1))
    assert [delivery.ended for delivery in box.deliveries] == [granting.gid]
    with pytest.raises(NotPermitted):
        await granting.grant(stored)


async def test_a_grant_to_whom_nothing_may_be_granted_is_refused(world: World) -> None:
    """Not to somebody uncertified, not to somebody blocked."""
    record = await founded(world)
    stored = Stored.random()
    await record.add(stored)
    with pytest.raises(NotPermitted):
        await Granting(record, await world.person()).grant(stored)
    blocked = await world.person(certified=True)
    await record.append(await record.submission(Block(identity=blocked.identity, blocked=True)))
    with pytest.raises(NotPermitted):
        await Granting(record, blocked).grant(stored)
    await record.append(await record.submission(Block(identity=blocked.identity, blocked=False)))
    await Granting(record, blocked).grant(stored)


async def test_an_event_that_is_not_what_the_link_names_changes_nothing(world: World) -> None:
    """Rows, listing, policies, tags and the event itself are checked against what was signed."""
    stored = Stored.random()
    record = await founded(world)
    await record.add(stored)
    granting = Granting(record, await world.person(certified=True))
    good = await granting.submission(stored)
    (event,) = good.events
    replace = msgspec.structs.replace
    swapped = replace(event.blobs[0], box=fresh(1200))
    wrong = [
        replace(good, tags=()),
        replace(good, events=()),
        replace(good, events=(replace(event, rows=event.rows[:-1] + b"\0"),)),
        replace(good, events=(replace(event, rows=b""),)),
        replace(good, events=(replace(event, listing=fresh(len(event.listing))),)),
        replace(good, events=(replace(event, blobs=()),)),
        replace(good, events=(replace(event, blobs=(swapped,)),)),
        replace(good, events=(replace(event, blobs=(replace(event.blobs[0], j=7),)),)),
        replace(good, events=(replace(event, chains=()),)),
        replace(good, events=(replace(event, chains=event.chains * 2),)),
    ]
    for submission in wrong:
        with pytest.raises((NotPermitted, Malformed)):
            await record.append(submission)
    other = Granting(record, granting.recipient)
    foreign = (await other.submission(stored)).events
    with pytest.raises(NotPermitted):
        await record.append(replace(good, events=foreign))
    assert (await (await granting.recipient.api()).mailbox(m.MailboxQuery(after=0))).deliveries == ()
    await record.append(good)


async def test_events_that_lie_about_the_record_are_refused(world: World) -> None:
    """Another origin, another log key, keepers the trust root does not name, a view of another log."""
    stored = Stored.random()
    record = await founded(world)
    await record.add(stored)
    recipient = await world.person(certified=True)
    policy = Granting(record, recipient)
    await policy.submission(stored)
    keepers = msgspec.structs.replace(policy.events[0].policy, k=3)
    for changes in (
        {"origin": world.directory},
        {"vault": fresh()},
        {"log_key": recipient.reading.public},
        {"policy": keepers},
        {"genesis": None},
        {"rekey": 1},
        {"j": 1},
        {"expiry": END_OF_TIME},
    ):
        submission = await Granting(record, recipient).submission(stored, **changes)
        with pytest.raises((NotPermitted, BrokenChain)):
            await record.append(submission)


async def test_a_grant_lasts_three_years_at_most(world: World) -> None:
    """Until then entries are surely kept: an event beyond it, and beyond what clocks may differ, is refused."""
    stored = Stored.random()
    record = await founded(world)
    await record.add(stored)
    recipient = await world.person(certified=True)
    latest = world.service.now() + RETENTION + TEN_MINUTES
    for expiry in (latest + 300, END_OF_TIME - 1):
        submission = await Granting(record, recipient).submission(stored, expiry=expiry)
        with pytest.raises(NotPermitted, match="three years"):
            await record.append(submission)
    granting = Granting(record, recipient)
    await record.append(await granting.submission(stored, expiry=latest - 300))


async def test_an_event_that_lacks_a_due_rekey_is_refused(world: World) -> None:
    """After the record's keys, or the recipient's reading key, have changed only a rekey goes on, and not without rows."""
    stored = Stored.random()
    granting = await granted(world, stored)

    async def only_a_rekey() -> None:
        before = granting.j, granting.rekey, granting.prev
        refused: list[tuple[tuple[Stored, ...], bool]] = [((stored,), False), ((), False), ((), True)]
        for documents, rekey in refused:
            submission = await granting.submission(*documents, rekey=rekey)
            with pytest.raises(NotPermitted):
                await granting.record.append(submission)
            granting.j, granting.rekey, granting.prev = before
        await granting.grant(stored, rekey=True)
        await granting.open(stored)

    await granting.record.rotate()
    await only_a_rekey()
    person = granting.recipient
    keyring = fresh(100)
    step = ReadingKey(number=1, key=UnsealingKey.generate().public, keyring=part_hash(keyring))
    await person.publish(m.PublishLink(envelope=await person.link(step), parts=(keyring,)))
    await only_a_rekey()


async def test_other_terms_need_no_rows(world: World) -> None:
    """An event without rows changes what is allowed from its leaf on, and what was given stays given."""
    stored = Stored.random()
    granting = await granted(world, stored)
    await granting.open(stored)
    await granting.record.append(await granting.submission(acts=("list",)))
    with pytest.raises(NotFound):
        await granting.open(stored)
    await granting.record.append(await granting.submission(acts=("release",)))
    await granting.open(stored)


async def test_a_certificate_must_be_in_force(world: World) -> None:
    """A certificate that has run out counts no more, for grants or for reading."""
    stored = Stored.random()
    record = await founded(world)
    await record.add(stored)
    late = await world.person()
    now = world.service.now()
    await late.certify(since=now - 2 * DAY, until=now - DAY)
    with pytest.raises(NotPermitted):
        await Granting(record, late).grant(stored)
