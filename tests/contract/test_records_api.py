"""What every implementation of ``VaultApi`` does: records, their documents, their leaves."""

import msgspec
import pytest

from crypto import pieces
from crypto.access_log import FIRST, Opening, opening_info, previous
from crypto.errors import (
    BadSignature,
    Conflict,
    Malformed,
    NotFound,
    NotPermitted,
    Refusal,
    TooLarge,
)
from crypto.merkle import leaf_hash, root_of
from crypto.signing import SigningKey
from crypto.statements import part_hash
from crypto.tiles import Tile, decode_bundle, decode_tile, tile_path
from crypto.vault_links import (
    Block,
    Genesis,
    PolicyPart,
    ProfilePart,
    Reseal,
    SnapshotPart,
    Tombstone,
    VaultLink,
)
from crypto.wire import messages as m
from tests.contract.record_story import Record, Stored, everything, founded
from tests.contract.vault_story import World, body_of, fresh, leaves, resigned


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


@pytest.mark.parametrize("kind", [PolicyPart, ProfilePart, SnapshotPart])
async def test_a_named_part_comes_with_its_link(world: World, kind: type[PolicyPart]) -> None:
    """A policy, profile or snapshot is taken in with just the part it names, up to a mebibyte, and read back."""
    record = await founded(world)
    part = bytes(1 << 20)
    step = kind(part=part_hash(part))
    for parts in ((), (part, b"another")):
        with pytest.raises(NotPermitted):
            await record.append(await record.submission(step, parts=parts))
    longer = part + b"\0"
    with pytest.raises(TooLarge):
        await record.append(await record.submission(kind(part=part_hash(longer)), parts=(longer,)))
    await record.append(await record.submission(step, parts=(part,)))
    api = await record.holder.api()
    query = m.PartQuery(vault=record.id, hashes=(part_hash(part), fresh()))
    assert (await api.parts(query)).parts == (part, None)
    whole = m.PartQuery(vault=record.id, hashes=(part_hash(part),) * 32)
    assert len((await api.parts(whole)).parts) == 32
    with pytest.raises(TooLarge):
        await api.parts(m.PartQuery(vault=record.id, hashes=(part_hash(part),) * 33))


async def test_a_part_is_no_longer_than_can_be_read_back(world: World) -> None:
    """Any part of more than 16 MiB is TooLarge."""
    record = await founded(world)
    part = bytes((1 << 24) + 1)
    with pytest.raises(TooLarge):
        await record.append(await record.submission(Reseal(keyring=part_hash(part)), parts=(part,)))
    await record.append(await record.submission(Reseal(keyring=part_hash(part[1:])), parts=(part[1:],)))


async def test_a_link_changes_the_keyring_once(world: World) -> None:
    """Two reseals in one link are refused; one is not."""
    record = await founded(world)
    one, two = fresh(300), fresh(300)
    steps = Reseal(keyring=part_hash(one)), Reseal(keyring=part_hash(two))
    with pytest.raises(NotPermitted):
        await record.append(await record.submission(*steps, parts=(one, two)))
    await record.append(await record.submission(steps[0], parts=(one,)))


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
