"""A server that tells nothing, or too much, or lies about being there: whoever watches sees what happens all the same."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from crypto.errors import Malformed, Stale, TooLarge
from crypto.wire import messages as m
from crypto.wire import sessions as s
from crypto.wire.notices import MAX_STREAM, NEWS, NOTHING
from tests.adversary.story import Story
from tests.adversary.test_answers import RawServer
from tests.adversary.test_answers import listening as raw_server
from vault_client import http_vault, notices, trust, watching
from vault_client.audit_report import Entry
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.notices import Notices
from vault_client.record_watch import RecordWatch
from vault_client.watching import Remark, Watch

PATIENCE = 60
NEVER = (1 << 20, 1 << 20)
AT_ONCE = (0, 0)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Listened(Notices):
    """Rests at once, and says for how long it would have."""

    def __init__(self, api: Any) -> None:
        super().__init__(api)
        self.rests: list[float] = []
        self._rested = asyncio.Condition()

    async def rest(self, seconds: float) -> None:
        """Let others have their turn."""
        async with self._rested:
            self.rests.append(seconds)
            self._rested.notify_all()
        await asyncio.sleep(0)

    async def rested(self, times: int) -> None:
        """Wait until there were so many rests."""
        async with asyncio.timeout(PATIENCE), self._rested:
            await self._rested.wait_for(lambda: len(self.rests) >= times)


class Watching:
    """What was said while the patient watches."""

    def __init__(self, story: Story) -> None:
        self.notices = Listened(story.patient.service.api)
        self.said: list[Any] = []
        self._said = asyncio.Event()
        service = story.patient.service
        visit = partial(nullcontext, (story.patient, story.patient._store))
        self.watch = Watch(visit, RecordWatch(), self.notices, self._say, service.now)

    def _say(self, _: object, said: Sequence[Any]) -> None:
        self.said += said
        self._said.set()

    @property
    def acts(self) -> list[str]:
        """The readings that were shown."""
        return [each.act for each in self.said if isinstance(each, Entry) and each.kind == "access"]

    @property
    def remarks(self) -> list[str]:
        """What was said of the service."""
        return [each.kind for each in self.said if isinstance(each, Remark)]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something said makes it so."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._said.clear()
                await self._said.wait()

    async def looked(self, times: int) -> None:
        """Wait until so many looks are over."""
        await self.notices.rested(times)


@asynccontextmanager
async def watched(story: Story) -> AsyncIterator[Watching]:
    """The patient, watching, after a first look at what was before."""
    await story.patient.log()
    begun = Watching(story)
    async with begun.notices:
        running = asyncio.create_task(begun.watch.run())
        try:
            await begun.looked(1)
            yield begun
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.wait([running])


async def nothing_happens() -> AsyncGenerator[bool, None]:
    """A stream that stays, and never says that something happened."""
    yield False
    await asyncio.Event().wait()


async def always() -> AsyncGenerator[bool, None]:
    """A stream that says at every moment that something happened."""
    while True:
        yield True
        await asyncio.sleep(0)


async def cut() -> AsyncGenerator[bool, None]:
    """A stream that ends as soon as it has begun."""
    yield True


async def test_what_happens_is_seen_at_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of this page: an honest server tells, so what is read is seen without any look but those it asks for."""
    monkeypatch.setattr(watching, "POLLED", NEVER)
    async with watched(story) as patient:
        await story.read()
        await patient.until(lambda: patient.acts == ["release"])
        assert patient.remarks == []
        assert max(patient.notices.rests) <= 4 * watching.LEAST_REST


async def test_a_server_that_tells_nothing_is_found_out(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not told is found by looking at random moments, and that it was not told is said once."""
    story.patient_vault.serve_notices(nothing_happens)
    monkeypatch.setattr(watching, "TOLD_WITHIN", -1)
    monkeypatch.setattr(watching, "POLLED", AT_ONCE)
    async with watched(story) as patient:
        await story.read()
        await patient.until(lambda: patient.remarks == ["untold"])
        assert patient.acts == ["release"]
        await story.read(1)
        await patient.until(lambda: patient.acts == ["release"] * 2)
        await patient.looked(len(patient.notices.rests) + 3)
        assert patient.remarks == ["untold"]

    monkeypatch.setattr(watching, "POLLED", NEVER)  # the twin waits to be told
    async with watched(story) as twin:
        await story.read()
        assert twin.acts == []
        assert len((await story.patient.log()).entries) > 0
        assert twin.said == []


async def test_a_flood_of_notices_is_answered_by_fewer_and_fewer_looks(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notices that nothing stands behind make no client ask a server, this one or another, over and over."""
    story.patient_vault.serve_notices(always)
    monkeypatch.setattr(watching, "POLLED", NEVER)
    async with watched(story) as patient:
        await patient.looked(8)
        assert patient.notices.rests[:8] == [4, 8, 16, 32, 60, 60, 60, 60]
        await story.read()
        await patient.until(lambda: patient.acts == ["release"])  # what happens is seen in it

    monkeypatch.setattr(watching, "LONGEST_REST", 0)
    async with watched(story) as twin:
        await twin.looked(50)
        assert sum(twin.notices.rests) == 0


class Waits:
    """Stands for the source of random waits: keeps how long each could be, and lets none last."""

    def __init__(self) -> None:
        self.longest: list[float] = []
        self.enough = asyncio.Event()

    def uniform(self, _: float, longest: float) -> float:
        """No wait at all."""
        self.longest.append(longest)
        if len(self.longest) >= 8:
            self.enough.set()
            return PATIENCE
        return 0


async def test_a_stream_that_is_cut_is_begun_anew_more_and_more_slowly(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is cut; and what happens is seen by looking."""
    story.patient_vault.serve_notices(cut)
    waits = Waits()
    monkeypatch.setattr(notices, "_RANDOM", waits)
    monkeypatch.setattr(watching, "POLLED", AT_ONCE)
    async with watched(story) as patient:
        async with asyncio.timeout(PATIENCE):
            await waits.enough.wait()
        assert waits.longest == [8, 16, 32, 64, 128, 256, 300, 300]
        assert not patient.notices.is_open
        await story.read()
        await patient.until(lambda: patient.acts == ["release"])
        assert patient.remarks == []  # nothing was open on which it could have been told

    twin = Waits()
    monkeypatch.setattr(notices, "_RANDOM", twin)
    monkeypatch.setattr(notices, "LONGEST_WAIT", notices.FIRST_WAIT)
    async with watched(story):
        async with asyncio.timeout(PATIENCE):
            await twin.enough.wait()
        assert set(twin.longest) == {notices.FIRST_WAIT}


async def test_a_frozen_log_behind_a_lively_stream_is_said(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notice, and no answer, makes up for heads that nobody confirms: silence, then staleness, then a day of it."""
    service = story.patient.service
    story.patient_vault.serve_notices(always)
    origins = (story.origin, service.root.directory_origin)
    frozen = {origin: await service.api.checkpoint(origin) for origin in origins}
    story.patient_vault.forge("checkpoint", frozen.__getitem__)
    monkeypatch.setattr(watching, "POLLED", AT_ONCE)
    clock, later = service.now, 0
    monkeypatch.setattr(service, "now", lambda: clock() + later)
    async with watched(story) as patient:
        await patient.looked(3)
        assert patient.remarks == []
        later = watching.SILENT + 5
        await patient.until(lambda: patient.remarks == ["silent"])
        later = trust.TEN_MINUTES + 5
        await patient.until(lambda: patient.remarks == ["silent", "failed", "stale"])
        later = watching.DAY + 5
        await patient.until(lambda: patient.remarks[3:] == ["silent for a day"])
        failed = next(each for each in patient.said if isinstance(each, Remark) and each.kind == "failed")
        assert isinstance(failed.error, Stale)
        story.patient_vault.be_honest()
        later = 0
        await patient.until(lambda: patient.remarks[4:] == ["back"])

    story.patient_vault.forge("checkpoint", frozen.__getitem__)
    monkeypatch.setattr(watching, "SILENT", 1 << 40)
    async with watched(story) as twin:
        later = trust.TEN_MINUTES - 60
        await twin.looked(len(twin.notices.rests) + 3)
        assert twin.remarks == []


async def heard(raw: RawServer) -> list[bool]:
    """What a client hears of a raw server's stream."""
    async with HttpTransport(raw.url) as transport:
        vault = HttpVault(transport)
        vault._session = s.Session(token="x", until=1 << 40)
        return [news async for news in vault.notices(m.Empty())]


async def test_what_is_no_notice_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Junk, other events, endless lines and endless notices: the stream is left, and nothing of it is kept."""
    async with raw_server() as raw:
        raw.answer = STREAM + NEWS + NOTHING + NEWS
        assert await heard(raw) == [True, False, True]
        raw.answer = STREAM + NEWS + NOTHING[:5]  # cut in the middle: as far as it goes
        assert await heard(raw) == [True]
        for junk in (
            b"data: everything\n\n",
            b"event: x\ndata: news\n\n",
            b"x" * 4096,
            b": \n" * 4,
            b"\0" * 12,
        ):
            raw.answer, raw.forever, raw.sent = STREAM + NEWS + junk, junk, 0
            with pytest.raises(Malformed):
                await heard(raw)
            assert raw.sent < 1 << 22
        raw.answer, raw.forever, raw.sent = STREAM, NOTHING * 4096, 0
        with pytest.raises(TooLarge):
            await heard(raw)

        raw.answer, raw.forever = STREAM, b"x" * 4096
        monkeypatch.setattr(http_vault, "read_notice", lambda event: False)
        with pytest.raises(TooLarge):  # the second bound holds without the first
            await heard(raw)
        monkeypatch.setattr(http_vault, "MAX_STREAM", 1 << 19)
        raw.sent = 0
        with pytest.raises(TooLarge):
            await heard(raw)
        assert raw.sent > MAX_STREAM
