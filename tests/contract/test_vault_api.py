"""What every implementation of ``VaultApi`` does. ``service`` is the implementation under test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from crypto import pieces
from crypto.access_log import FIRST, Opening, opening_info, previous
from crypto.errors import (
    BadSignature,
    BrokenChain,
    Conflict,
    Malformed,
    NotFound,
    NotPermitted,
    Refusal,
    Stale,
    TooLarge,
    Unauthenticated,
)
from crypto.identity_links import IdentityLink, Keyring
from crypto.merkle import leaf_hash, root_of
from crypto.requests import AccessRequest
from crypto.signing import SigningKey
from crypto.statements import Head, part_hash
from crypto.tiles import Tile, decode_bundle, decode_tile, tile_path
from crypto.vault_links import Block, Genesis, Mask, Tombstone, VaultLink
from crypto.wire import messages as m
from tests.contract.in_process import Clock, CosigningKeeper, serving
from tests.contract.vault_story import (
    DAY,
    Granting,
    Record,
    ServiceUnderTest,
    Stored,
    World,
    body_of,
    everything,
    fresh,
    resigned,
)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    """The in-process vault."""
    async with serving(tmp_path, CosigningKeeper(Clock())) as running:
        yield running


@pytest.fixture
def world(service: ServiceUnderTest) -> World:
    """Everybody."""
    return World(service)


async def founded(world: World) -> Record:
    """A record with nothing in it."""
    record = Record(await world.person())
    await record.found()
    return record


async def granted(world: World, *documents: Stored) -> Granting:
    """A record whose documents are granted to a certified practitioner."""
    record = await founded(world)
    await record.add(*documents)
    granting = Granting(record, await world.person(certified=True))
    await granting.grant(*documents)
    return granting


async def leaves(world: World, origin: str) -> int:
    """How many leaves a log shows."""
    return (await world.head(origin)).size


async def test_the_instance_says_what_it_is(world: World) -> None:
    """Version and trust roots are told to anybody."""
    api = await world.service.api()
    assert (await api.version(m.Empty())).suite == "coffre-1"
    chain = (await api.trust_roots(m.TrustRootQuery(since=0))).chain
    assert chain[-1].digest == world.service.root.ref.digest
    assert (await api.trust_roots(m.TrustRootQuery(since=len(chain)))).chain == ()


# Identities


async def test_a_chain_grows_by_links_that_are_proven(world: World) -> None:
    """Each link gets a leaf in the directory, and the whole chain folds from what is answered."""
    person = await world.person()
    keyring = fresh(100)
    envelope = await person.link(Keyring(keyring=part_hash(keyring)))
    await person.publish(m.PublishLink(envelope=envelope, parts=(keyring,)))
    chain = await (await person.api()).identity_chain(m.IdentityQuery(identity=person.identity))
    assert chain == person.chain
    assert person.known(await world.view(world.directory)).ref == chain.ref


async def test_a_link_sent_again_gets_its_proof_again(world: World) -> None:
    """Sending the same link twice adds nothing."""
    person = await world.person()
    size = await leaves(world, world.directory)
    again = await (await world.service.api()).publish_link(person.first)
    assert again.disclosure == person.links[0].disclosure
    assert await leaves(world, world.directory) == size


async def test_of_two_links_with_one_number_the_second_conflicts(world: World) -> None:
    """A chain moves by compare-and-swap."""
    person = await world.person()
    one, two = fresh(100), fresh(100)
    first = await person.link(Keyring(keyring=part_hash(one)))
    second = await person.link(Keyring(keyring=part_hash(two)))
    await person.publish(m.PublishLink(envelope=first, parts=(one,)))
    with pytest.raises(Conflict):
        await person.publish(m.PublishLink(envelope=second, parts=(two,)))


async def test_of_many_links_sent_at_once_one_is_taken(world: World) -> None:
    """The race has one winner, and the rest are told."""
    person = await world.person()
    api = await world.service.api()
    queries = []
    for _ in range(8):
        part = fresh(50)
        envelope = await person.link(Keyring(keyring=part_hash(part)))
        queries.append(m.PublishLink(envelope=envelope, parts=(part,)))
    results = await asyncio.gather(*map(api.publish_link, queries), return_exceptions=True)
    assert sum(isinstance(result, m.Logged) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_a_link_by_nobody_is_refused(world: World) -> None:
    """Only live devices, the root and registrars lengthen a chain."""
    person = await world.person()
    part = fresh(50)
    envelope = await person.link(Keyring(keyring=part_hash(part)), by=[SigningKey.generate()])
    with pytest.raises(BadSignature):
        await person.publish(m.PublishLink(envelope=envelope, parts=(part,)))


async def test_a_link_without_its_parts_is_refused(world: World) -> None:
    """The parts a link names come with it, and nothing else does."""
    person = await world.person()
    part = fresh(50)
    envelope = await person.link(Keyring(keyring=part_hash(part)))
    for parts in ((), (part, fresh(10)), (fresh(50),)):
        with pytest.raises(NotPermitted):
            await person.publish(m.PublishLink(envelope=envelope, parts=parts))


async def test_a_link_signed_in_another_view_is_refused(world: World) -> None:
    """The directory's head and the trust root in a signed body must be this server's."""
    person = await world.person()
    part = fresh(50)
    body = body_of(await person.link(Keyring(keyring=part_hash(part))), IdentityLink)
    forged = Head(size=body.view.dir.size, root=fresh())
    ahead = Head(size=body.view.dir.size + 1, root=fresh())
    for head in (forged, ahead):
        view = msgspec.structs.replace(body.view, dir=head, seen=head)
        wrong = msgspec.structs.replace(body, view=view)
        envelope = resigned(person.first.envelope, wrong, person.device)
        with pytest.raises(Stale):
            await person.publish(m.PublishLink(envelope=envelope, parts=(part,)))


async def test_a_strangers_chain_is_not_shown(world: World) -> None:
    """A chain is shown to its owner, or when it is certified; a patient's to nobody else."""
    patient, other = await world.person(), await world.person()
    practitioner = await world.person(certified=True)
    api = await other.api()
    shown = await api.identity_chain(m.IdentityQuery(identity=practitioner.identity))
    assert shown == practitioner.chain
    for identity in (patient.identity, fresh()):
        with pytest.raises(NotFound):
            await api.identity_chain(m.IdentityQuery(identity=identity))


async def test_parts_are_given_to_their_owner_only(world: World) -> None:
    """One's own parts by hash; what is not there is absent; others' parts are absent too."""
    person, other = await world.person(), await world.person()
    name = part_hash(person.keyring)
    query = m.PartQuery(vault=None, hashes=(fresh(), name))
    assert (await (await person.api()).parts(query)).parts == (None, person.keyring)
    assert (await (await other.api()).parts(query)).parts == (None, None)


async def test_nothing_private_is_answered_without_a_session(world: World) -> None:
    """Every operation of an account refuses nobody."""
    api = await world.service.api()
    with pytest.raises(Unauthenticated):
        await api.reserve(m.Empty())
    with pytest.raises(Unauthenticated):
        await api.mailbox(m.MailboxQuery(after=0))
    with pytest.raises(Unauthenticated):
        await everything(api, m.CiphertextQuery(vault=fresh(), request=None, ver=fresh(16), start=0))


# Records


async def test_a_record_is_founded_in_its_reserved_place(world: World) -> None:
    """Reserving again gives the same place until it is used; then another."""
    person = await world.person()
    api = await person.api()
    first = await api.reserve(m.Empty())
    assert await api.reserve(m.Empty()) == first
    record = Record(person)
    await record.found()
    assert await api.reserve(m.Empty()) != first
    links = await api.links(m.LinkQuery(vault=record.id, since=0))
    assert [envelope.body for envelope in links.links] == [record.genesis]
    assert not links.more


async def test_a_founding_sent_again_gets_its_proof_again(world: World) -> None:
    """Founding twice founds once."""
    person = await world.person()
    api, record = await person.api(), Record(person)
    submission = await record.genesis_for(await api.reserve(m.Empty()))
    first = await api.create_vault(submission)
    second = await api.create_vault(submission)
    assert [each.disclosure for each in first.logged] == [each.disclosure for each in second.logged]


async def test_a_founding_elsewhere_or_by_another_is_refused(world: World) -> None:
    """The place must be this account's, the scan key the one signed, the account a holder."""
    person, other = await world.person(), await world.person()
    api, record = await person.api(), Record(person)
    place = await api.reserve(m.Empty())
    good = await record.genesis_for(place)
    elsewhere = await record.genesis_for(msgspec.structs.replace(place, slot=place.slot + 100))
    with pytest.raises(NotPermitted):
        await api.create_vault(elsewhere)
    with pytest.raises(NotPermitted):
        await (await other.api()).create_vault(good)
    with pytest.raises(NotPermitted):
        await api.create_vault(msgspec.structs.replace(good, scan_key=fresh()))
    with pytest.raises(NotPermitted):
        await api.create_vault(msgspec.structs.replace(good, scan_key=None))
    with pytest.raises(NotPermitted):
        await api.create_vault(msgspec.structs.replace(good, parts=()))
    body = msgspec.structs.replace(body_of(good.envelope, Genesis), origin="elsewhere.example/coffre/log/0")
    moved = msgspec.structs.replace(good, envelope=resigned(good.envelope, body, person.device))
    with pytest.raises(Refusal):
        await api.create_vault(moved)


async def test_a_document_comes_back_as_it_was_sent(world: World) -> None:
    """Ciphertext of several parts is stored, named by a link, and read from any byte."""
    record = await founded(world)
    stored = Stored.random(pieces.PART * pieces.PLAIN_PIECE + 70_000)
    await record.add(stored)
    api = await record.holder.api()
    query = m.CiphertextQuery(vault=record.id, request=None, ver=stored.ver, start=0)
    assert await everything(api, query) == stored.data
    for start in (1, pieces.HEADER + pieces.PART * pieces.PIECE, len(stored.data) - 5, len(stored.data)):
        later = msgspec.structs.replace(query, start=start)
        assert await everything(api, later) == stored.data[start:]
    answer = await api.parts(
        m.PartQuery(vault=record.id, hashes=(part_hash(stored.descriptor), part_hash(stored.self_wrap)))
    )
    assert answer.parts == (stored.descriptor, stored.self_wrap)


async def test_parts_of_ciphertext_are_written_once(world: World) -> None:
    """The same bytes again are fine; other bytes, another length or a place that is not there are refused."""
    record = await founded(world)
    api, stored = await record.holder.api(), Stored.random()
    query = m.PartUpload(vault=record.id, ver=stored.ver, length=len(stored.data), number=0)
    assert (await api.upload_status(m.UploadQuery(vault=record.id, ver=stored.ver))).parts == ()
    await api.put_part(query, stored.data)
    await api.put_part(query, stored.data)
    assert (await api.upload_status(m.UploadQuery(vault=record.id, ver=stored.ver))).parts == (0,)
    with pytest.raises(Conflict):
        await api.put_part(query, fresh(len(stored.data)))
    with pytest.raises(Conflict):
        await api.put_part(msgspec.structs.replace(query, length=query.length + 1), stored.data + b"x")
    with pytest.raises(Malformed):
        await api.put_part(msgspec.structs.replace(query, number=1), stored.data)
    with pytest.raises(Malformed):
        await api.put_part(query, stored.data[:-1])
    with pytest.raises(TooLarge):
        await api.put_part(msgspec.structs.replace(query, ver=fresh(16), length=m.MAX_CIPHERTEXT + 1), b"")


async def test_a_link_needs_its_ciphertext_and_parts(world: World) -> None:
    """A version is added only when just what was signed has arrived."""
    record = await founded(world)
    stored, other = Stored.random(), Stored.random()
    missing = await record.submission(stored.step(), parts=stored.parts)
    with pytest.raises(NotPermitted):
        await record.append(missing)
    await record.upload(stored)
    with pytest.raises(NotPermitted):
        await record.append(await record.submission(stored.step(), parts=(stored.descriptor,)))
    swapped = msgspec.structs.replace(stored.step(), ct_root=other.ct_root)
    with pytest.raises(NotPermitted):
        await record.append(await record.submission(swapped, parts=stored.parts))
    query = m.CiphertextQuery(vault=record.id, request=None, ver=stored.ver, start=0)
    with pytest.raises(NotFound):
        await everything(await record.holder.api(), query)
    await record.append(missing)


async def test_a_link_sent_again_is_proven_again_and_another_conflicts(world: World) -> None:
    """A lost answer costs nothing; two links on one head have one winner."""
    record = await founded(world)
    stored = Stored.random()
    await record.upload(stored)
    submission = await record.submission(stored.step(), parts=stored.parts)
    rival = await record.submission(Block(identity=fresh(), blocked=True))
    first = await record.append(submission)
    size = await leaves(world, record.origin)
    api = await record.holder.api()
    again = await api.append_link(submission)
    assert [each.disclosure for each in again.logged] == [each.disclosure for each in first.logged]
    with pytest.raises(Conflict):
        await api.append_link(rival)
    ahead = await record.link(Block(identity=fresh(), blocked=True), n=record.n + 2)
    with pytest.raises(Conflict):
        await api.append_link(msgspec.structs.replace(rival, envelope=ahead))
    assert await leaves(world, record.origin) == size


async def test_a_strangers_record_is_not_there(world: World) -> None:
    """Whoever does not hold a record is told the same as of one that never was."""
    record = await founded(world)
    stored = Stored.random()
    await record.add(stored)
    api = await (await world.person()).api()
    for vault in (record.id, fresh()):
        with pytest.raises(NotFound):
            await api.links(m.LinkQuery(vault=vault, since=0))
        with pytest.raises(NotFound):
            await api.openings(m.OpeningQuery(vault=vault, since=0))
        with pytest.raises(NotFound):
            await api.parts(m.PartQuery(vault=vault, hashes=(fresh(),)))
        with pytest.raises(NotFound):
            await everything(api, m.CiphertextQuery(vault=vault, request=None, ver=stored.ver, start=0))
        with pytest.raises(NotFound):
            await api.put_part(m.PartUpload(vault=vault, ver=fresh(16), length=100, number=0), fresh(100))
        with pytest.raises(NotFound):
            await api.upload_status(m.UploadQuery(vault=vault, ver=stored.ver))


async def test_a_link_by_a_stranger_is_refused(world: World) -> None:
    """A session alone is not enough: holders sign."""
    record = await founded(world)
    good = await record.submission(Block(identity=fresh(), blocked=True))
    body = body_of(good.envelope, VaultLink)
    forged = msgspec.structs.replace(good, envelope=resigned(good.envelope, body, SigningKey.generate()))
    with pytest.raises(BadSignature):
        await record.append(forged)
    await record.append(good)


async def test_a_deleted_document_is_destroyed(world: World) -> None:
    """Its ciphertext and its parts are gone; the chain still stands."""
    record = await founded(world)
    stored, kept = Stored.random(), Stored.random()
    await record.add(stored, kept)
    await record.append(await record.submission(Tombstone(doc=stored.doc)))
    api = await record.holder.api()
    query = m.CiphertextQuery(vault=record.id, request=None, ver=stored.ver, start=0)
    with pytest.raises(NotFound):
        await everything(api, query)
    assert await everything(api, msgspec.structs.replace(query, ver=kept.ver)) == kept.data
    hashes = tuple(map(part_hash, stored.parts))
    assert (await api.parts(m.PartQuery(vault=record.id, hashes=hashes))).parts == (None, None)
    assert len((await api.links(m.LinkQuery(vault=record.id, since=0))).links) == 3


async def test_the_openings_form_one_chain_that_the_patient_can_follow(world: World) -> None:
    """Every leaf of a vault has an opening under its epoch's key, each naming the one before."""
    record = await founded(world)
    await record.add(Stored.random())
    await record.rotate()
    await record.append(await record.submission(Block(identity=fresh(), blocked=True)))
    api = await record.holder.api()
    page = await api.openings(m.OpeningQuery(vault=record.id, since=0))
    assert not page.more
    assert [each.epoch for each in page.openings] == [0, 0, 0, 1]
    size = await leaves(world, record.origin)
    bundle = await api.tile(record.origin, tile_path(Tile("entries", 0, size)))
    entries = decode_bundle(bundle, size)
    last = FIRST
    for sealed in page.openings:
        committed = entries[sealed.index][65:]
        key = record.epochs[sealed.epoch].log_key
        record_bytes = key.open(opening_info(record.origin, committed), sealed.box)
        opening = Opening.from_record(record_bytes)
        assert opening.previous == last
        assert opening.part.prev == (FIRST if last == FIRST else previous(opening.salt2, last))
        last = committed
    later = await api.openings(m.OpeningQuery(vault=record.id, since=page.openings[2].index))
    assert later.openings == page.openings[2:]


async def test_the_log_can_be_checked_from_outside(world: World) -> None:
    """Entries, tiles and checkpoint agree; what is not there is NotFound, what is no path is Malformed."""
    record = await founded(world)
    await record.add(Stored.random())
    api = await world.service.api()
    head = await world.head(record.origin)
    bundle = await api.tile(record.origin, tile_path(Tile("entries", 0, head.size)))
    hashes = [leaf_hash(entry) for entry in decode_bundle(bundle, head.size)]
    assert root_of(hashes) == head.root
    tile = await api.tile(record.origin, tile_path(Tile(0, 0, head.size)))
    assert decode_tile(tile, head.size) == hashes
    with pytest.raises(NotFound):
        await api.tile(record.origin, tile_path(Tile("entries", 0, head.size + 1)))
    with pytest.raises(NotFound):
        await api.tile(record.origin, tile_path(Tile("entries", 1)))
    with pytest.raises(Malformed):
        await api.tile(record.origin, "tile/../../coffre.db")
    for origin in ("elsewhere", world.root.hosts[0] + "/coffre/log/77"):
        with pytest.raises(NotFound):
            await api.checkpoint(origin)


# Grants and reading


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
        ([msgspec_replace(stored, ver=fresh(16))], {}),
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


async def leaves_after(world: World, origin: str, wanted: int) -> int:
    """The size of a log once a leaf that nobody waits for has been published."""
    for _ in range(100):
        size = await leaves(world, origin)
        if size >= wanted:
            return size
        await asyncio.sleep(0.01)
    return await leaves(world, origin)


def msgspec_replace(stored: Stored, **changes: bytes) -> Stored:
    """A version that is not quite the one stored."""
    fields = {name: getattr(stored, name) for name in ("doc", "ver", "data", "self_wrap", "descriptor")}
    return Stored(**(fields | changes))


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
    ):
        submission = await Granting(record, recipient).submission(stored, **changes)
        with pytest.raises((NotPermitted, BrokenChain)):
            await record.append(submission)


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
