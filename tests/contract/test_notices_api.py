"""What every implementation of ``VaultApi`` does: notices, which say that there is something to fetch and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from crypto.errors import Unauthenticated
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import Person, World
from vault_server import notify

PATIENCE = 30


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events may follow each other at once, and none comes unasked."""
    monkeypatch.setattr(notify, "APART", 0)
    monkeypatch.setattr(notify, "EVERY", 3600)


class Heard:
    """One stream, of which each event is asked for in turn."""

    def __init__(self, stream: AsyncGenerator[bool, None]) -> None:
        self._stream = stream
        self._next: asyncio.Task[bool] | None = None

    async def told(self) -> bool:
        """The next event."""
        asking, self._next = self._next or asyncio.ensure_future(anext(self._stream)), None
        return await asyncio.wait_for(asking, PATIENCE)

    async def is_quiet(self) -> bool:
        """Whether there is no event, once everything else has had its turn."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._stream))
        for _ in range(20):
            await asyncio.sleep(0)
        return not self._next.done()

    async def close(self) -> None:
        """Stop asking."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])


@asynccontextmanager
async def listening(person: Person) -> AsyncIterator[Heard]:
    """A stream of ``person``'s, of which the first event has come."""
    async with aclosing((await person.api()).notices(m.Empty())) as stream:
        heard = Heard(stream)
        try:
            assert await heard.told()  # what was before is not known
            yield heard
        finally:
            await heard.close()


async def test_a_stream_needs_a_session(world: World) -> None:
    """Nobody is told anything of nobody's."""
    with pytest.raises(Unauthenticated):
        await anext((await world.service.api()).notices(m.Empty()))


async def test_holders_are_told_of_every_entry(world: World) -> None:
    """Of a change made, a grant, a reading, a refusal and an end; a stranger of none of them."""
    stored = Stored.random()
    record = await founded(world)
    reader = await world.person(certified=True)
    stranger = await world.person()
    granting = Granting(record, reader)
    async with listening(record.holder) as heard, listening(stranger) as elsewhere:
        await record.add(stored)
        assert await heard.told()
        await granting.grant(stored)
        assert await heard.told()
        await granting.open(stored)
        assert await heard.told()
        await granting.end()
        assert await heard.told()
        assert await heard.is_quiet()
        assert await elsewhere.is_quiet()


async def test_a_recipient_is_told_of_what_is_delivered(world: World) -> None:
    """Of each event of a grant and of its end, and not of what others do to the record."""
    one, two = Stored.random(), Stored.random()
    granting = await granted(world, one)
    async with listening(granting.recipient) as heard:
        await granting.record.add(two)
        assert await heard.is_quiet()
        await granting.grant(two)
        assert await heard.told()
        await granting.end()
        assert await heard.told()
        assert await heard.is_quiet()


async def test_one_is_told_of_ones_own_links(world: World) -> None:
    """A certificate by a registrar too, which one has not asked for."""
    person = await world.person()
    async with listening(person) as heard:
        await person.certify()
        assert await heard.told()
        assert await heard.is_quiet()


async def test_what_is_told_can_be_fetched(world: World) -> None:
    """When a notice comes, the head that holds the entry is published."""
    record = await founded(world)
    before = await world.head(record.origin)
    async with listening(record.holder) as heard:
        adding = asyncio.create_task(record.add(Stored.random()))
        assert await heard.told()
        assert (await world.head(record.origin)).size > before.size
        await adding
