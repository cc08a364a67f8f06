"""What a server does that went back to an older backup, its logs completed: it waits for what it lost, and takes it back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from crypto.access_log import FIRST, Opening, opening_info
from crypto.errors import Conflict, Lacking, NotFound, NotPermitted, NotProven
from crypto.identity_links import AddDevice
from crypto.requests import AccessRequest
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import Envelope, SigningKey
from crypto.statements import part_hash
from crypto.vault_links import VaultLink
from crypto.wire import losses as lost
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Record, Stored, everything
from tests.contract.test_erasures_api import erasure
from tests.contract.vault_story import Person, World, body_of, leaves, resigned
from tests.support.lost_server import KeptRecord, LostServer, disclosures, show_identity
from vault_server.fsck import check
from vault_server.settings import Settings


@dataclass
class Story:
    """What there was, and the server that lost its newest part. ``then``: number and digest of the newest link of the backup."""

    server: LostServer
    world: World
    granting: Granting
    before: Stored
    during: Stored
    then: tuple[int, bytes]
    kept: KeptRecord
    newcomer: Person
    founding: lost.ShownLink
    openings: dict[int, Opening]
    reading: int

    @property
    def record(self) -> Record:
        """The record that was there at the backup."""
        return self.granting.record

    async def show_people(self) -> None:
        """Everybody gives back their own links."""
        for person in (self.record.holder, self.granting.recipient, self.newcomer):
            await show_identity(self.world, person)

    async def show_links(self) -> None:
        """The record comes back to its newest link."""
        api = await self.record.holder.api()
        for link in self.kept.links:
            await api.show_link(link)

    async def lost(self) -> lost.LostEntries:
        """What of the record nobody has shown."""
        return await (await self.record.holder.api()).lost_entries(lost.VaultQuery(vault=self.record.id))

    async def read(self, document: Stored) -> m.OpenAnswer:
        """The recipient asks for a document."""
        return await self.granting.open(document)


async def commitment_at(world: World, origin: str, index: int) -> bytes:
    """What an entry commits to."""
    return (await (await world.service.api()).tile(origin, f"tile/entries/000.p/{index + 1}"))[-32:]


async def opened(record: Record) -> dict[int, Opening]:
    """A record's openings, unsealed."""
    api, found = await record.holder.api(), {}
    for sealed in (await api.openings(m.OpeningQuery(vault=record.id, since=0))).openings:
        leaf = await commitment_at(record.world, record.origin, sealed.index)
        key = record.epochs[sealed.epoch].log_key
        found[sealed.index] = Opening.from_record(key.open(opening_info(record.origin, leaf), sealed.box))
    return found


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    """A record with a grant at the backup; then a device, a version, an event, a reading, and a whole record are lost."""
    server = LostServer(tmp_path)
    before, during = Stored.random(), Stored.random()
    async with server.serving() as running:
        world = World(running)
        granting = await granted(world, before)
        record, holder = granting.record, granting.record.holder
        await server.back_up()
        kept, then = KeptRecord(record), (record.n, record.head)
        phone = SigningKey.generate()
        step = AddDevice(signing=phone.public.raw, sealing=UnsealingKey.generate().public)
        link = await holder.link(step, by=[holder.device, phone])
        await holder.publish(m.PublishLink(envelope=link, parts=()))
        await record.add(during)
        await granting.grant(during)
        reading = (await granting.open(during)).logged.disclosure.index
        newcomer = await world.person()
        another = Record(newcomer)
        place = await (await newcomer.api()).reserve(m.Empty())
        submission = await another.genesis_for(place)
        accepted = await (await newcomer.api()).create_vault(submission)
        founding = lost.ShownLink(submission=submission, disclosures=(accepted.logged[0].disclosure,))
        openings = await opened(record)
    await server.lose()
    async with server.restored(world):
        yield Story(
            server, world, granting, before, during, then, kept, newcomer, founding, openings, reading
        )


async def is_whole(story: Story) -> bool:
    """Whether everything that is stored is one."""
    await check(Settings(data=story.server.data))
    return True


async def test_nothing_goes_on_over_what_was_lost(story: Story) -> None:
    """Whoever has a lost link does not log in; a record with lost entries takes no link, no erasure, no reading."""
    world, record = story.world, story.record
    with pytest.raises(Lacking):
        await record.holder.api()
    with pytest.raises(Lacking):
        await story.newcomer.api()
    await story.show_people()
    assert await is_whole(story)
    api = await record.holder.api()
    now, (record.n, record.head) = (record.n, record.head), story.then
    with pytest.raises(Lacking):
        await api.append_link(await record.submission(Stored.random().step()))
    with pytest.raises(Lacking):
        await api.erase(m.EraseRequest(erasure=await erasure(record, 0)))
    before = await leaves(world, record.origin)
    with pytest.raises(Lacking):
        await story.read(story.before)
    stranger = await world.person(certified=True)
    request = await story.granting.request(
        story.before, identity=stranger.identity, device=stranger.device.public.key_id
    )
    with pytest.raises(NotFound):  # who was granted nothing learns nothing
        await (await stranger.api()).open(
            m.OpenRequest(request=resigned(request, body_of(request, AccessRequest), stranger.device))
        )
    assert await leaves(world, record.origin) == before
    record.n, record.head = now


async def test_what_is_shown_comes_back(story: Story) -> None:
    """Links, versions, grants and openings are there as before, ciphertext once it is sent; the next entries follow."""
    world, record = story.world, story.record
    await story.show_people()
    entries = [each.index for link in story.kept.links for each in link.disclosures]
    assert list((await story.lost()).entries) == [*entries, story.reading]
    await story.show_links()
    assert await is_whole(story)
    assert (await story.lost()).entries == (story.reading,)
    api = await record.holder.api()
    shown = [lost.ShownOpening(index=index, opening=opening) for index, opening in story.openings.items()]
    await api.show_openings(lost.ShownOpenings(vault=record.id, openings=tuple(shown)))
    assert (await story.lost()).entries == ()
    assert await opened(record) == story.openings
    await record.upload(story.during)
    query = m.CiphertextQuery(vault=record.id, request=None, ver=story.during.ver, start=0)
    assert await everything(api, query) == story.during.data
    answer = await story.read(story.during)
    assert answer.blobs
    await record.add(Stored.random())
    openings = await opened(record)
    previous = FIRST
    for index in sorted(openings):
        assert openings[index].previous == previous
        previous = await commitment_at(world, record.origin, index)
    assert await is_whole(story)


async def test_the_opening_of_a_link_does_not_bring_the_link_back(story: Story) -> None:
    """Shown before their links, as those of a change of keys must be, openings are kept; the record waits for the links."""
    await story.show_people()
    api, before = await story.record.holder.api(), await story.lost()
    shown = tuple(
        lost.ShownOpening(index=index, opening=opening)
        for index, opening in story.openings.items()
        if index in before.entries
    )
    for _ in range(2):
        await api.show_openings(lost.ShownOpenings(vault=story.record.id, openings=shown))
    assert (await story.lost()).entries == tuple(index for index in before.entries if index != story.reading)
    with pytest.raises(Lacking):
        await api.append_link(await story.record.submission(Stored.random().step()))
    assert await is_whole(story)
    await story.show_links()
    assert (await story.lost()).entries == ()
    assert await opened(story.record) == story.openings
    await story.record.add(Stored.random())
    assert await is_whole(story)


async def test_a_lost_record_comes_back_with_its_founding(story: Story) -> None:
    """It is nobody's until its holder shows it; then it goes on from its genesis."""
    await story.show_people()
    api = await story.newcomer.api()
    stranger = await story.record.holder.api()
    assert (await api.held_vaults(m.Empty())).vaults == ()
    with pytest.raises(NotPermitted):
        await stranger.show_link(story.founding)
    for wrong in (
        disclosures(story.founding, index=story.founding.disclosures[0].index - 1),
        disclosures(story.founding, salt=bytes(32)),
    ):
        with pytest.raises(NotProven):
            await api.show_link(wrong)
    await api.show_link(story.founding)
    (vault,) = (await api.held_vaults(m.Empty())).vaults
    found = await api.lost_entries(lost.VaultQuery(vault=vault))
    assert (found.link, found.entries) == (story.founding.submission.envelope.digest, ())
    assert await is_whole(story)


async def test_what_the_log_does_not_have_is_not_taken(story: Story) -> None:
    """Another body, salt, slot, outcome or place, a link before the one before it, tags beside it: nothing is changed."""
    world, record, holder = story.world, story.record, story.record.holder
    nobody = await world.service.api()
    (*_, newest) = holder.links
    for changes in ({"salt": bytes(32)}, {"index": 0}, {"slot_one": bytes(32)}):
        shown = msgspec.structs.replace(newest.disclosure, **changes)
        link = msgspec.structs.replace(newest, disclosure=shown)
        with pytest.raises(NotProven):
            await nobody.show_identity_link(lost.ShownIdentityLink(link=link, parts=()))
    with pytest.raises(NotPermitted):  # a part that the link does not name
        await nobody.show_identity_link(lost.ShownIdentityLink(link=newest, parts=(b"x",)))
    await story.show_people()
    api, (adding, granted_) = await record.holder.api(), story.kept.links
    forged = await record.link(Stored.random().step(), n=adding_number(adding))
    body = msgspec.structs.replace(adding.submission, envelope=forged)
    for wrong in (
        msgspec.structs.replace(adding, submission=body),
        disclosures(adding, salt=bytes(32)),
        disclosures(adding, index=story.reading),
        disclosures(adding, index=0),
        msgspec.structs.replace(adding, disclosures=(*adding.disclosures, *granted_.disclosures)),
    ):
        with pytest.raises((NotProven, Conflict, NotPermitted)):
            await api.show_link(wrong)
    with pytest.raises(Conflict):
        await api.show_link(granted_)
    tagged = msgspec.structs.replace(granted_.submission, tags=(bytes(32),))
    with pytest.raises(NotPermitted):
        await api.show_link(msgspec.structs.replace(granted_, submission=tagged))
    with pytest.raises(NotFound):
        await (await story.newcomer.api()).show_link(adding)
    opening = story.openings[story.reading]
    for changes in ({"salt": bytes(32)}, {"salt2": bytes(32)}, {"previous": bytes(32)}):
        other = lost.ShownOpening(index=story.reading, opening=msgspec.structs.replace(opening, **changes))
        with pytest.raises(NotProven):
            await api.show_openings(lost.ShownOpenings(vault=record.id, openings=(other,)))
    assert len((await story.lost()).entries) == 4
    assert await is_whole(story)


def adding_number(shown: lost.ShownLink) -> int:
    """The number of a link that is shown."""
    return int(body_of(shown.submission.envelope, VaultLink).n)


async def test_what_is_shown_twice_is_taken_once(story: Story) -> None:
    """Each answer is as the first; a part that was left out the first time is taken the second."""
    await story.show_people()
    await story.show_people()
    api = await story.record.holder.api()
    for link in story.kept.links:
        first, second = await api.show_link(link), await api.show_link(link)
        assert [each.disclosure for each in first.logged] == [each.disclosure for each in second.logged]
    (first_link, *_) = story.newcomer.links
    query = m.PartQuery(vault=None, hashes=(part_hash(story.newcomer.keyring),))
    own = await story.newcomer.api()
    assert (await own.parts(query)).parts == (None,)
    await own.show_identity_link(lost.ShownIdentityLink(link=first_link, parts=(story.newcomer.keyring,)))
    assert (await own.parts(query)).parts == (story.newcomer.keyring,)
    assert await is_whole(story)


async def test_what_nobody_has_any_more_is_left_out(story: Story) -> None:
    """Without parts, listing and policies a link comes back; nothing is opened under its event, until the next one."""
    await story.show_people()
    api, (adding, granted_) = await story.record.holder.api(), story.kept.links
    await api.show_link(
        msgspec.structs.replace(adding, submission=msgspec.structs.replace(adding.submission, parts=()))
    )
    (event,) = granted_.submission.events
    bare = msgspec.structs.replace(event, listing=b"", blobs=())
    await api.show_link(
        msgspec.structs.replace(
            granted_, submission=msgspec.structs.replace(granted_.submission, events=(bare,))
        )
    )
    await api.give_up_entries(lost.GiveUp(vault=story.record.id, link=granted_.submission.envelope.digest))
    with pytest.raises(NotFound):
        await story.read(story.during)
    await story.granting.grant(story.before, rekey=True)
    assert (await story.read(story.before)).blobs
    assert await is_whole(story)


async def test_a_record_goes_on_without_what_nobody_shows(story: Story) -> None:
    """Its holder says so, of its newest link and no other; then entries follow the newest of all, shown or not."""
    world, record = story.world, story.record
    await story.show_people()
    api = await record.holder.api()
    n, link = story.then
    with pytest.raises(Conflict):
        await api.give_up_entries(lost.GiveUp(vault=record.id, link=record.head))
    with pytest.raises(NotFound):
        await (await story.newcomer.api()).give_up_entries(lost.GiveUp(vault=record.id, link=link))
    await api.give_up_entries(lost.GiveUp(vault=record.id, link=link))
    assert (await story.lost()).entries == ()
    record.n, record.head = n, link
    story.granting.j, story.granting.prev = 0, (await event_of(story)).digest
    await record.add(Stored.random())
    (*_, last) = sorted(found := await opened(record))
    assert found[last].previous == await commitment_at(world, record.origin, story.reading)
    with pytest.raises(Conflict):
        await api.show_link(story.kept.links[0])
    assert await is_whole(story)


async def event_of(story: Story) -> Envelope:
    """The event of the grant that the backup has."""
    query = m.GrantEventQuery(vault=story.record.id, gid=story.granting.gid, j=0)
    return (await (await story.record.holder.api()).grant_event(query)).envelope


async def test_new_keys_and_an_end_come_back(tmp_path: Path) -> None:
    """Entries under the new scan key are found once the change of keys was shown; an ended grant opens nothing again."""
    server, document = LostServer(tmp_path), Stored.random()
    async with server.serving() as running:
        world = World(running)
        granting = await granted(world, document)
        record = granting.record
        await server.back_up()
        kept = KeptRecord(record)
        await record.rotate()
        await record.add(Stored.random())
        await granting.end()
    await server.lose()
    async with server.restored(world):
        api = await record.holder.api()
        rotation, *rest = kept.links
        query = lost.VaultQuery(vault=record.id)
        assert (await api.lost_entries(query)).entries == (rotation.disclosures[0].index,)
        await api.show_link(rotation)
        later = [each.index for link in rest for each in link.disclosures]
        assert list((await api.lost_entries(query)).entries) == later
        with pytest.raises(Lacking):
            await granting.open(document)
        for link in rest:
            await api.show_link(link)
        with pytest.raises(NotFound):
            await granting.open(document)
        await record.add(Stored.random())
        await check(Settings(data=server.data))
        mailbox = await (await granting.recipient.api()).mailbox(m.MailboxQuery(after=0))
        assert [each.number for each in mailbox.deliveries] == [1, 2]
        assert mailbox.deliveries[1].ended == granting.gid


async def test_a_loss_is_declared_to_anybody(story: Story) -> None:
    """Where it begins and ends and when it was noted, of each log; nothing of a log that is not here."""
    nobody = await story.world.service.api()
    (loss,) = (await nobody.log_losses(m.LogQuery(origin=story.record.origin))).losses
    entries = sorted(each.index for link in [*story.kept.links, story.founding] for each in link.disclosures)
    assert (loss.start, loss.end) == (entries[0], entries[-1] + 1)
    with pytest.raises(NotFound):
        await nobody.log_losses(m.LogQuery(origin="vault.example/coffre/log/7"))
