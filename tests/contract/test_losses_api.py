"""What a server does that went back to an older backup, its logs completed: it waits for what it lost, and takes it back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto.access_log import FIRST, Opening, opening_info
from crypto.errors import Lacking, NotFound
from crypto.identity_links import AddDevice
from crypto.requests import AccessRequest
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey
from crypto.wire import losses as lost
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Record, Stored, everything
from tests.contract.test_erasures_api import erasure
from tests.contract.vault_story import Person, World, body_of, leaves, resigned
from tests.support.lost_server import KeptRecord, LostServer, show_identity
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
