"""The stream of notices over sockets: who gets one, what is refused, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing

import aiohttp
import pytest

from crypto.encoding import decode
from crypto.errors import Unavailable
from crypto.wire import messages as m
from crypto.wire.notices import MEDIA_TYPE, NEWS
from crypto.wire.problems import MEDIA_TYPE as PROBLEM
from crypto.wire.problems import Problem
from crypto.wire.vault_api import PREFIX
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import World
from tests.support.instance import Instance, running
from tests.wire.live import Live, live
from vault_server.settings import Limits

PATIENCE = 60
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def started() -> Iterator[ExitStack]:
    """What ends the server: the last test does it, else the end of this page."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def instance(started: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """A real server."""
    return started.enter_context(running(tmp_path_factory.mktemp("served") / "data"))


@pytest.fixture
async def service(instance: Instance) -> AsyncIterator[Live]:
    """The server, and people who use it."""
    async with live(instance) as using:
        yield using


@pytest.fixture
async def http(instance: Instance) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that asks for whatever it likes."""
    async with aiohttp.ClientSession(base_url=instance.url) as client:
        yield client


async def test_a_holder_is_told_over_http(service: Live) -> None:
    """An event when something happens, long before one that says that nothing did."""
    world = World(service)
    record = await founded(world)
    async with aclosing((await record.holder.api()).notices(m.Empty())) as stream:
        assert await anext(stream)
        await record.add(Stored.random())
        assert await asyncio.wait_for(anext(stream), PATIENCE)


async def test_what_is_asked_wrongly_is_refused(service: Live, http: aiohttp.ClientSession) -> None:
    """No session, a false one, another method, kind or body: a problem document each, and no stream."""
    person = await World(service).person()
    token = {"Authorization": f"Bearer {await service.token(person)}"}
    path = f"{PREFIX}/notices"
    for method, headers, body, status in (
        ("POST", JSON, b"{}", 401),
        ("POST", JSON | {"Authorization": "Bearer x"}, b"{}", 401),
        ("POST", JSON | {"Authorization": f"Basic {token}"}, b"{}", 401),
        ("GET", JSON | token, None, 405),
        ("POST", token | {"Content-Type": "text/plain"}, b"{}", 400),
        ("POST", JSON | token, b"", 400),
        ("POST", JSON | token, b"{ }", 400),
        ("POST", JSON | token, b'{"since":1}', 400),
        ("POST", JSON | token, b"[" * 4096, 400),
        ("POST", JSON | token, b" " * 5000, 413),
    ):
        async with http.request(method, path, headers=headers, data=body) as answer:
            assert answer.status == status, body
            assert answer.headers["Content-Type"] == PROBLEM
            assert decode(await answer.read(), Problem).status == status
    async with http.post(path, headers=JSON | token, data=b"{}") as answer:
        assert (answer.status, answer.content_type) == (200, MEDIA_TYPE)
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.content.readexactly(len(NEWS)) == NEWS


async def test_who_leaves_makes_room(service: Live, http: aiohttp.ClientSession) -> None:
    """A stream whose client is gone is forgotten: the one that comes after it ends nobody's."""
    person = await World(service).person()
    token = {"Authorization": f"Bearer {await service.token(person)}"}
    async with http.post(f"{PREFIX}/notices", headers=JSON | token, data=b"{}") as stays:
        await stays.content.readexactly(len(NEWS))
        for _ in range(3 * Limits().streams_an_account):
            async with http.post(f"{PREFIX}/notices", headers=JSON | token, data=b"{}") as leaves:
                await leaves.content.readexactly(len(NEWS))
                leaves.close()
        await person.certify()
        async with asyncio.timeout(PATIENCE):
            assert await stays.content.readexactly(len(NEWS)) == NEWS


async def test_of_too_many_the_oldest_ends(service: Live, http: aiohttp.ClientSession) -> None:
    """The control of the test before: as long as nobody leaves, each one too many ends another."""
    person = await World(service).person()
    token = {"Authorization": f"Bearer {await service.token(person)}"}
    async with http.post(f"{PREFIX}/notices", headers=JSON | token, data=b"{}") as oldest:
        await oldest.content.readexactly(len(NEWS))
        others = [
            await http.post(f"{PREFIX}/notices", headers=JSON | token, data=b"{}")
            for _ in range(Limits().streams_an_account)
        ]
        async with asyncio.timeout(PATIENCE):
            assert await oldest.content.read() == b""
        for each in others:
            each.close()


async def test_a_server_that_stops_ends_its_streams(service: Live, started: ExitStack) -> None:
    """At once and in order: it waits for nobody who listens, and clients see an end and no fault."""
    person = await World(service).person()
    async with aclosing((await service.api(person)).notices(m.Empty())) as stream:
        assert await anext(stream)
        stopped = asyncio.create_task(asyncio.to_thread(started.close))
        async with asyncio.timeout(PATIENCE):
            assert [news async for news in stream] == []
        await stopped
    with pytest.raises(Unavailable):
        await (await service.api()).version(m.Empty())
