"""Room for request bodies: nobody takes what it does not send, and nobody takes another's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest

from crypto.encoding import decode, encode
from crypto.errors import TooMany
from crypto.wire import messages as m
from crypto.wire.problems import Problem
from crypto.wire.vault_api import PREFIX
from tests.contract.in_process import InProcess, log_in
from tests.contract.vault_story import World
from vault_server.app import make_app
from vault_server.limits import Budget, Room

JSON = {"content-type": "application/json"}


def rooms(stack: ExitStack, budget: Budget, *parties: str) -> list[Room]:
    """A body of each of the parties."""
    return [stack.enter_context(budget.body(party)) for party in parties]


async def test_one_party_has_a_share_and_others_have_theirs() -> None:
    """A party that sent its share waits for its own bodies, and nobody else waits for it."""
    budget = Budget(1000, 200, 0.05)
    with ExitStack() as stack:
        first, *more = rooms(stack, budget, *["a"] * 3)
        (other,) = rooms(stack, budget, "b")
        await first(120)
        await more[0](150)  # the one body that may go on above the share
        await other(125)
        with pytest.raises(TooMany, match="busy"):
            await more[1](10)
    with budget.body("a") as room:
        await room(125)


async def test_bodies_that_came_in_part_do_not_all_wait_for_each_other() -> None:
    """When all room is taken, one body goes on to its end; then the next does."""
    budget = Budget(1000, 200, 5)

    async def send(party: int) -> None:
        with budget.body(str(party)) as room:
            for _ in range(20):
                await room(10)
                await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(*map(send, range(12))), 10)


async def test_what_was_held_is_free_again() -> None:
    """After a body's end, however it ended, all its room is there."""
    budget = Budget(100, 50, 0.05)

    async def fail() -> None:
        with budget.body("a") as room:
            await room(40)
            raise RuntimeError

    for _ in range(5):
        with pytest.raises(RuntimeError):
            await fail()
    with ExitStack() as stack:
        for each in rooms(stack, budget, *"abcd"):
            await each(12)


async def stalled() -> AsyncIterator[bytes]:
    """A body that begins and does not go on."""
    yield b"{"
    await asyncio.sleep(60)


@pytest.fixture
async def http(running: InProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with small budgets, without sockets."""
    settings = running.vault.settings
    small = replace(
        settings.limits, message_bytes=m.MAX_MESSAGE * 8, heavy_bytes=m.MAX_SUBMISSION * 2, body_seconds=1
    )
    object.__setattr__(settings, "limits", small)
    transport = httpx.ASGITransport(app=make_app(running.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault.example") as client:
        yield client


async def begun(
    http: httpx.AsyncClient, name: str, length: int, count: int, headers: dict[str, str]
) -> list[asyncio.Task[httpx.Response]]:
    """``count`` requests with bodies that stall, under way."""
    headers = headers | JSON | {"content-length": str(length)}
    path = f"{PREFIX}/{name}"
    tasks = [asyncio.create_task(http.post(path, content=stalled(), headers=headers)) for _ in range(count)]
    await asyncio.sleep(0.05)
    return tasks


async def test_half_sent_bodies_hold_nobody_up(
    http: httpx.AsyncClient, running: InProcess, world: World
) -> None:
    """Neither small nor large bodies wait for what strangers, or accounts, announce and do not send."""
    accounts = [
        {"authorization": f"Bearer {(await log_in(running, await world.person())).token}"} for _ in range(2)
    ]
    idle = await begun(http, "version", m.MAX_MESSAGE, 32, {})
    idle += await begun(http, "append_link", m.MAX_SUBMISSION, 4, accounts[0])
    small = await http.post(f"{PREFIX}/version", content=encode(m.Empty()), headers=JSON)
    assert small.status_code == 200
    for name, length, headers in (
        ("version", m.MAX_MESSAGE, {}),
        ("append_link", 8 * m.MAX_MESSAGE, accounts[1]),
        ("append_link", 8 * m.MAX_MESSAGE, accounts[0]),
    ):
        answer = await http.post(f"{PREFIX}/{name}", content=b"x" * length, headers=JSON | headers)
        assert decode(answer.content, Problem).type == "coffre:malformed", name
    for task in idle:
        task.cancel()
    await asyncio.gather(*idle, return_exceptions=True)
