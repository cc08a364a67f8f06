"""What a keeper refuses, of a keeper that is a program: asked over HTTP, and following a service's logs over HTTP.

The questions are those of ``unit/keeper``, where each refusal is told from the others: to whoever asks, all that is not
released is one refusal. Each has a fresh keeper, and its control: the honest question is answered.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from crypto.errors import CannotOpen, NotFound, NotPermitted, NotProven, Unreachable
from crypto.locators import end_tag
from crypto.receipt import AddCheckpoint
from crypto.trust_root import card_text
from crypto.wire.keeper_api import EndPost
from crypto.wire.messages import TrustRootChain
from tests.support.keeper_program import SECONDS, free_port
from tests.support.keeper_story import Story
from tests.support.log_server import log_server
from tests.support.memory import folder_in_memory
from tests.support.people import HOST, LOG, NOW, fresh
from tests.support.small_log import LoggedService, random_leaf
from tests.support.timed_keepers import ClockFile
from tests.unit.keeper.test_release import WRONG, Questions
from tests.unit.keeper.test_witness import REFUSED
from vault_client.http_keeper import HttpKeeper
from vault_client.http_transport import HttpTransport
from vault_server.keeper.founding import found


class Answer(Exception):
    """What a keeper answered instead of a cosignature."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


class FarKeeper(HttpKeeper):
    """A keeper that runs elsewhere, as the stories of one in the same process ask it."""

    def __init__(self, url: str, transport: HttpTransport, service: LoggedService) -> None:
        super().__init__(transport)
        self._url, self._refreshed, self._asked = url, 0, asyncio.Event()
        self._ask_service = service.trust_roots
        service.trust_roots = self._counted  # type: ignore[method-assign]

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Have a checkpoint cosigned; raises the answer when it is another."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._url}/add-checkpoint", data=body) as answer,
        ):
            said = await answer.read()
        if answer.status != 200:
            raise Answer(answer.status, said)
        return said

    async def refresh_trust(self) -> None:
        """Wait until it asked for newer trust roots, and again: then it has looked at what came of the first question."""
        last = self._refreshed + 2
        async with asyncio.timeout(SECONDS):
            while self._refreshed < last:
                self._asked.clear()
                await self._asked.wait()

    async def _counted(self, since: int) -> TrustRootChain:
        self._refreshed += 1
        self._asked.set()
        return await self._ask_service(since)


@pytest.fixture(scope="module")
def keepers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """The program: told of a keeper, it runs it."""
    said = tmp_path_factory.mktemp("keepers") / "output.log"
    command = [sys.executable, "-m", "tests.support.timed_keepers"]
    with (
        said.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True) as program,
    ):

        def serve(*words: Any) -> None:
            assert program.stdin is not None
            program.stdin.write(json.dumps(words) + "\n")
            program.stdin.flush()

        yield serve
        program.kill()


@pytest.fixture
async def story(keepers: Callable[..., None], tmp_path: Path) -> AsyncIterator[Story]:
    """A document granted to a certified practitioner, and the keeper, one of one."""
    with folder_in_memory(tmp_path) as folder:
        data, port, clock = folder / "keeper", free_port(), ClockFile(folder / "clock", NOW)
        card = await found(data, url=f"http://127.0.0.1:{port}", name="keeper-0", operator="the operator")
        service = LoggedService(card)
        (folder / "card.json").write_text(card_text(service.card))
        async with log_server(service) as url, HttpTransport(card.url) as transport:
            keeper = FarKeeper(card.url, transport, service)
            keepers(str(clock.path), str(data), url, str(folder / "card.json"), port)
            await keeper.refresh_trust()
            story = Story(service, keeper, card, clock)  # type: ignore[arg-type]
            await story.grant()
            yield story


@pytest.mark.parametrize("question", WRONG, ids=[each.__name__.strip("_") for each in WRONG])
async def test_what_is_not_released(story: Story, question: Questions) -> None:
    """Each request with one thing wrong gets the one refusal; the honest one before it is answered."""
    honest = await story.query()
    answer = await story.keeper.release(honest)
    assert len(story.opened(honest, answer).subsets[0].shares) == 2
    with pytest.raises(NotFound) as refusal:
        await story.keeper.release(await question(story))
    assert str(refusal.value) == str(NotFound("This was not released"))


@pytest.mark.parametrize("made", REFUSED, ids=[each.__name__.strip("_") for each in REFUSED])
async def test_what_is_not_cosigned(story: Story, made: Callable[[Story], AddCheckpoint]) -> None:
    """Each wrong head is refused with its status, and the head stays where it was; the honest next one is cosigned."""
    shard = story.service.shard
    shard.fill(3)
    await story.service.publish(story.keeper, LOG)
    before, leaves, key = await story.keeper.checkpoint(LOG), [*shard.leaves], shard.key
    with pytest.raises(Answer) as refusal:
        await story.keeper.add_checkpoint(made(story).encode())
    _, status = REFUSED[made]  # type: ignore[index]
    assert refusal.value.status == status
    assert await story.keeper.checkpoint(LOG) == before
    shard.leaves, shard.key = [*leaves, random_leaf()], key
    assert await story.service.publish(story.keeper, LOG)


def _wrong_tag(story: Story) -> EndPost:
    return story.end_post(tag=fresh())


def _no_policy_of_this_grant(story: Story) -> EndPost:
    return story.end_post(gid=fresh())


def _event_not_logged(story: Story) -> EndPost:
    return story.end_post(blob=story.blob(j=1))


def _log_of_another_host(story: Story) -> EndPost:
    return _in_log(story, "elsewhere/coffre/log/0")


def _log_that_is_not_there(story: Story) -> EndPost:
    return _in_log(story, f"{HOST}/coffre/log/7")


def _in_log(story: Story, origin: str) -> EndPost:
    tag = end_tag(story.maker.end_key, origin, story.maker.gid)
    return story.end_post(origin=origin, blob=story.blob(origin=origin), tag=tag)


ENDS = {
    _wrong_tag: NotPermitted,
    _no_policy_of_this_grant: CannotOpen,
    _event_not_logged: NotProven,
    _log_of_another_host: NotFound,
    _log_that_is_not_there: NotFound,
}


@pytest.mark.parametrize("made", ENDS, ids=[each.__name__.strip("_") for each in ENDS])
async def test_what_ends_nothing(story: Story, made: Callable[[Story], EndPost]) -> None:
    """An end that is not of this grant is refused and stops nothing; the true one is acknowledged and stops it."""
    with pytest.raises(ENDS[made]):  # type: ignore[index]
        await story.keeper.end(made(story))
    query = await story.query()
    await story.keeper.release(query)
    await story.keeper.end(story.end_post())
    with pytest.raises(NotFound):
        await story.keeper.release(query)


async def test_a_silent_server_stops_releases_after_a_minute(story: Story) -> None:
    """Without a head fetched within 60 seconds the program releases nothing, since an end may have been logged."""
    query = await story.query()
    await story.keeper.release(query)
    story.service.silent = True
    story.time.now += 59
    await story.keeper.release(query)
    story.time.now += 1
    with pytest.raises(Unreachable):
        await story.keeper.release(query)
