"""Streams of notices: how many, for how long, and when something is told."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from crypto.errors import TooMany, Unavailable, Unreachable
from crypto.identity_links import RevokeDevice
from crypto.wire import messages as m
from crypto.wire.notices import LASTS
from tests.contract.in_process import CosigningKeeper, InProcess
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import World
from vault_server import notify
from vault_server.bounded_http import MAX_CONNECTIONS
from vault_server.notify import Notices
from vault_server.settings import Limits

ALICE, BOB = b"a" * 32, b"b" * 32
LOG = "vault.example/coffre/log/0"


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events may follow each other at once, and none comes unasked."""
    monkeypatch.setattr(notify, "APART", 0)
    monkeypatch.setattr(notify, "EVERY", 3600)


async def rest(stream: object) -> list[bool]:
    """What a stream says until it ends."""
    return [news async for news in stream]  # type: ignore[attr-defined]


async def test_what_happens_between_two_events_is_one_event() -> None:
    """Who reads slowly is told once, however much there was."""
    notices = Notices(Limits())
    async with aclosing(notices.stream(ALICE, LASTS)) as stream:
        assert await anext(stream)
        for index in range(1000):
            notices.stage(LOG, index, [ALICE])
            notices.published(LOG, index + 1)
        assert await anext(stream)
        notices.close()
        assert await rest(stream) == []


async def test_nothing_is_told_before_its_head_is_published() -> None:
    """What waits for keepers is told with the head that holds it, and to nobody else."""
    notices = Notices(Limits())
    async with AsyncExitStack() as stack:
        alice, bob = [
            await stack.enter_async_context(aclosing(notices.stream(who, LASTS))) for who in (ALICE, BOB)
        ]
        assert await anext(alice)
        assert await anext(bob)
        waiting = [asyncio.ensure_future(anext(stream)) for stream in (alice, bob)]
        notices.stage(LOG, 7, [ALICE])
        notices.published("vault.example/coffre/log/1", 100)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting[0].done()
        notices.published(LOG, 8)
        assert await waiting[0]
        assert not waiting[1].done()
        notices.close()
        await asyncio.wait(waiting)
        assert isinstance(waiting[1].exception(), StopAsyncIteration)
        assert notices._unpublished == {LOG: {}}


async def test_of_too_many_of_one_account_the_oldest_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that lost its connection unseen comes back all the same; the others go on."""
    notices = Notices(Limits(streams_an_account=2, streams=3))
    async with AsyncExitStack() as stack:

        async def begun(who: bytes) -> object:
            stream = await stack.enter_async_context(aclosing(notices.stream(who, LASTS)))
            assert await anext(stream)
            return stream

        first, second = await begun(ALICE), await begun(ALICE)
        await begun(BOB)
        third = await begun(ALICE)
        assert await rest(first) == []
        with pytest.raises(TooMany):
            await begun(BOB)
        monkeypatch.setattr(notify, "EVERY", 0)
        for stream in (second, third):
            assert not await anext(stream)  # type: ignore[call-overload]
    assert notices._count == 0
    assert notices._streams == {}
    await anext(notices.stream(BOB, LASTS))


async def test_a_stream_that_has_nothing_to_say_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream lasts longer than its session, nor longer than any stream."""
    monkeypatch.setattr(notify, "EVERY", 0)
    said = await rest(Notices(Limits()).stream(ALICE, 0.05))
    assert said[0]
    assert not any(said[1:])
    monkeypatch.setattr(notify, "LASTS", 0)
    assert await rest(Notices(Limits()).stream(ALICE, 3600)) == [True]


async def test_a_server_that_ends_ends_its_streams() -> None:
    """Nobody waits for them, and none is begun any more."""
    notices = Notices(Limits())
    stream = notices.stream(ALICE, LASTS)
    assert await anext(stream)
    notices.close()
    assert await rest(stream) == []
    with pytest.raises(Unavailable):
        await anext(notices.stream(ALICE, LASTS))


async def test_a_removed_device_is_told_no_more(running: InProcess, world: World) -> None:
    """Its stream ends with the link that removes it; those of others go on."""
    removed, other = await world.person(), await world.person()
    async with (
        aclosing((await running.api(removed)).notices(m.Empty())) as stream,
        aclosing((await running.api(other)).notices(m.Empty())) as goes_on,
    ):
        assert await anext(stream)
        assert await anext(goes_on)
        revoke = RevokeDevice(device=removed.device.public.key_id)
        await removed.publish(m.PublishLink(envelope=await removed.link(revoke), parts=()))
        assert await rest(stream) == []
        await other.certify()
        assert await anext(goes_on)


async def test_nobody_is_told_while_the_keepers_are_silent(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """A head that no keeper cosigned is not shown, so there is nothing to fetch yet."""
    record = await founded(world)
    stored = Stored.random()
    async with aclosing((await running.api(record.holder)).notices(m.Empty())) as stream:
        assert await anext(stream)
        asked = asyncio.Event()

        async def silent(body: bytes) -> bytes:
            asked.set()
            raise Unreachable("A keeper did not answer.")

        with pytest.MonkeyPatch.context() as away:
            away.setattr(keeper, "add_checkpoint", silent)
            adding = asyncio.create_task(record.add(stored))
            told = asyncio.ensure_future(anext(stream))
            await asked.wait()  # the leaf is durable
            assert not told.done()
        assert await told
        await adding


def test_streams_leave_connections_for_everything_else() -> None:
    """Streams alone never take every connection: who has none is answered still."""
    assert Limits().streams <= MAX_CONNECTIONS // 2
