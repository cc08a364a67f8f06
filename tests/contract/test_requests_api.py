"""What every implementation of ``VaultApi`` does: access requests."""

import asyncio

import msgspec
import pytest

from crypto.errors import (
    BadSignature,
    Conflict,
    NotFound,
    NotPermitted,
    Stale,
)
from crypto.requests import AccessRequest
from crypto.statements import Head, part_hash
from crypto.vault_links import Mask
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Stored, everything
from tests.contract.vault_story import World, body_of, fresh, leaves, leaves_after, resigned


async def test_a_grant_is_delivered_and_read(world: World) -> None:
    """The recipient finds the event in the mailbox, asks, gets a proof and the keepers' policies, and the bytes."""
    documents = [Stored.random(), Stored.random(20_000)]
    granting = await granted(world, *documents)
    api = await granting.recipient.api()
    box = await api.mailbox(m.MailboxQuery(after=0))
    (delivery,) = box.deliveries
    assert delivery.envelope is not None
    assert delivery.envelope.digest == granting.prev
    assert len(delivery.rows) == 2 * 112
    assert delivery.chains[0].chain == granting.record.holder.chain
    envelope = await granting.request(*documents)
    answer = await api.open(m.OpenRequest(request=envelope))
    world.check(answer.logged, envelope, granting.record.origin)
    assert answer.logged.disclosure.part.outcome == "granted"
    assert answer.logged.disclosure.slot_two == body_of(envelope, AccessRequest).slot_two
    assert [part_hash(blob.box) for blob in answer.blobs] == list(granting.events[0].policy.blobs)
    for stored in documents:
        query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=stored.ver, start=0)
        assert await everything(api, query) == stored.data
        later = msgspec.structs.replace(query, start=100)
        assert await everything(api, later) == stored.data[100:]


async def test_a_listing_is_read_under_its_own_act(world: World) -> None:
    """Listing is an act like any other, and gives the listing alone."""
    stored = Stored.random()
    granting = await granted(world, stored)
    api = await granting.recipient.api()
    envelope = await granting.request(granting.listing, act="list")
    await api.open(m.OpenRequest(request=envelope))
    query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=granting.listing.ver, start=0)
    assert await everything(api, query) == granting.listing.data
    with pytest.raises(NotFound):
        await everything(api, msgspec.structs.replace(query, ver=stored.ver))
    with pytest.raises(NotFound):
        await granting.open(granting.listing)
    with pytest.raises(NotFound):
        await granting.open(stored, act="list")


async def test_the_same_request_gets_the_same_proof(world: World) -> None:
    """For ten minutes a request sent again adds no leaf."""
    stored = Stored.random()
    granting = await granted(world, stored)
    api = await granting.recipient.api()
    envelope = await granting.request(stored)
    first = await api.open(m.OpenRequest(request=envelope))
    size = await leaves(world, granting.record.origin)
    second = await api.open(m.OpenRequest(request=envelope))
    both = await asyncio.gather(*[api.open(m.OpenRequest(request=envelope)) for _ in range(4)])
    assert {each.logged.disclosure for each in [first, second, *both]} == {first.logged.disclosure}
    assert await leaves(world, granting.record.origin) == size


async def test_a_slot_used_before_is_refused_without_a_leaf(world: World) -> None:
    """Whatever stands in the log as slot two cannot be used again, in turn or at once."""
    stored = Stored.random()
    granting = await granted(world, stored)
    first = await granting.open(stored)
    size = await leaves(world, granting.record.origin)
    with pytest.raises(Conflict):
        await granting.open(stored, slot_two=first.logged.disclosure.slot_two)
    with pytest.raises(Conflict):
        await granting.open(stored, slot_two=granting.tag(0))
    assert await leaves(world, granting.record.origin) == size
    slot = fresh()
    envelopes = [await granting.request(stored, slot_two=slot) for _ in range(4)]
    api = await granting.recipient.api()
    results = await asyncio.gather(
        *[api.open(m.OpenRequest(request=envelope)) for envelope in envelopes], return_exceptions=True
    )
    assert sum(isinstance(result, m.OpenAnswer) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 3


async def test_every_refusal_of_a_request_is_the_same(world: World) -> None:
    """Unknown, not granted, masked, deleted, ended, another's: one answer, and a leaf where the record is known."""
    stored, masked, other = Stored.random(), Stored.random(), Stored.random()
    granting = await granted(world, stored, masked)
    record = granting.record
    await record.add(other)
    await record.append(await record.submission(Mask(doc=masked.doc, masked=True)))
    size = await leaves(world, record.origin)
    messages = set()
    cases = [
        ([other], {}),
        ([masked], {}),
        ([stored, masked], {}),
        ([stored], {"act": "export"}),
        ([altered(stored, ver=fresh(16))], {}),
    ]
    for count, (documents, changes) in enumerate(cases, 1):
        with pytest.raises(NotFound) as refusal:
            await granting.open(*documents, **changes)
        messages.add(str(refusal.value))
        assert await leaves_after(world, record.origin, size + count) == size + count
    size += len(cases)
    with pytest.raises(NotFound) as refusal:
        await granting.open(stored, gid=fresh())
    messages.add(str(refusal.value))
    stranger = Granting(record, await world.person(certified=True))
    stranger.gid, stranger.prev = granting.gid, granting.prev
    with pytest.raises(NotFound) as refusal:
        await stranger.open(stored)
    messages.add(str(refusal.value))
    await granting.end()
    with pytest.raises(NotFound) as refusal:
        await granting.open(stored)
    messages.add(str(refusal.value))
    assert len(messages) == 1


async def test_a_request_that_is_not_the_readers_own_is_refused(world: World) -> None:
    """Signed by another device, for another account, or at another time: told as it is."""
    stored = Stored.random()
    granting = await granted(world, stored)
    other = await world.person(certified=True)
    envelope = await granting.request(stored)
    with pytest.raises(NotPermitted):
        await (await other.api()).open(m.OpenRequest(request=envelope))
    body = body_of(envelope, AccessRequest)
    api = await granting.recipient.api()
    with pytest.raises(BadSignature):
        await api.open(m.OpenRequest(request=resigned(envelope, body, other.device)))
    for time in (world.service.now() - 700, world.service.now() + 700):
        with pytest.raises(Stale):
            await granting.open(stored, time=time)
    elsewhere = msgspec.structs.replace(body.view, seen=Head(size=body.view.seen.size, root=fresh()))
    with pytest.raises(NotPermitted):
        await granting.open(stored, view=elsewhere)


async def test_ciphertext_is_given_to_the_reader_who_asked(world: World) -> None:
    """Not to another account, not of another document, not under a request that was never answered."""
    stored, other = Stored.random(), Stored.random()
    granting = await granted(world, stored, other)
    envelope = await granting.request(stored)
    api = await granting.recipient.api()
    await api.open(m.OpenRequest(request=envelope))
    query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=stored.ver, start=0)
    with pytest.raises(NotFound):
        await everything(api, msgspec.structs.replace(query, ver=other.ver))
    with pytest.raises(NotFound):
        await everything(api, msgspec.structs.replace(query, request=fresh()))
    with pytest.raises(NotFound):
        await everything(await granting.record.holder.api(), query)
    with pytest.raises(NotPermitted):
        await everything(api, msgspec.structs.replace(query, vault=granting.record.id))


def altered(stored: Stored, **changes: bytes) -> Stored:
    """A version that is not quite the one stored."""
    fields = {name: getattr(stored, name) for name in ("doc", "ver", "data", "self_wrap", "descriptor")}
    return Stored(**(fields | changes))
