"""What is on the screen of whoever watches, and of a practitioner who was shown two logs."""

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crypto.errors import NotProven
from tests.adversary.forged_log import ForgedLog, random_leaf
from tests.adversary.story import Story
from vault_client import evidence_proofs as proofs
from vault_client import watching
from vault_client.commands import patient_watch, practitioner_watch, profiles
from vault_client.commands.output import Screen
from vault_client.commands.watching import WATCHING
from vault_client.evidence_check import check_evidence

PATIENCE = 60

Command = Callable[[Namespace, Screen], Awaitable[None]]


class Seen(Screen):
    """A screen on which somebody waits for something."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(as_json=as_json)
        self.lines: list[str] = []
        self._shown = asyncio.Event()

    def _show(self, text: str) -> None:
        self.lines.append(text)
        self._shown.set()

    async def until(self, holds: Callable[[list[str]], bool]) -> None:
        """Wait until what was shown makes it so."""
        async with asyncio.timeout(PATIENCE):
            while not holds(self.lines):
                self._shown.clear()
                await self._shown.wait()


class Visits:
    """Finds the profile open, and leaves it so."""

    def __init__(self, owner: Any, store: Any) -> None:
        self.visit = partial(nullcontext, (owner, store))
        self.api = owner.service.api

    async def __aenter__(self) -> "Visits":
        return self

    async def __aexit__(self, *_: object) -> None:
        """It is the story's to close."""


@pytest.fixture(autouse=True)
def opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the profiles of the story open, and look at nothing that they were not told of."""

    @asynccontextmanager
    async def patient(*_: Any) -> AsyncIterator[Any]:
        yield story.patient, story.patient._store

    @asynccontextmanager
    async def practitioner(*_: Any) -> AsyncIterator[Any]:
        yield story.reader, story.reader._store

    def visits(_: Namespace, owner: Any, store: Any) -> Any:
        return Visits(owner, store)

    monkeypatch.setattr(profiles, "visits", visits)
    monkeypatch.setattr(profiles, "patient", patient)
    monkeypatch.setattr(profiles, "practitioner", practitioner)
    monkeypatch.setattr(watching, "POLLED", (1 << 20, 1 << 20))
    monkeypatch.setattr(watching, "LEAST_REST", 0)
    monkeypatch.setattr(watching, "LONGEST_REST", 0)


@asynccontextmanager
async def on_screen(command: Command, *, as_json: bool, **words: Any) -> AsyncIterator[Seen]:
    """``command`` under way; in the end it is stopped as Ctrl-C does."""
    screen = Seen(as_json=as_json)
    running = asyncio.ensure_future(command(Namespace(**words), screen))
    try:
        yield screen
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


def objects(lines: list[str], kind: str) -> list[Any]:
    """The objects of a kind among the lines that programs read."""
    return [each[kind] for each in map(json.loads, lines) if kind in each]


async def test_entries_are_objects_one_a_line(story: Story) -> None:
    """Programs read each entry when it comes, machine-like ones too, and nothing between them."""
    await story.patient.log()
    async with on_screen(patient_watch.watch, as_json=True, all=False) as screen:
        await story.reader.listing()
        await story.read()
        await screen.until(lambda lines: len(objects(lines, "entry")) == 1)
        await story.give()
        await screen.until(lambda lines: len(objects(lines, "entry")) >= 4)
        acts = [(entry["kind"], entry["act"]) for entry in objects(screen.lines, "entry")]
        assert acts[:2] == [("access", "release"), ("change", "")]
        assert ("access", "list") in acts
        assert all(len(json.loads(line)) == 1 for line in screen.lines)


async def test_what_machines_do_is_one_line_a_day(story: Story) -> None:
    """People see one line for the listings of one reader, day and grant; all of them where they ask for that."""
    await story.patient.log()
    gid = story.grant.entry.gid

    async def lists() -> None:
        await story.add(b"Another text to be listed. " * 5, f"more-{len(story.documents)}.txt")
        await story.patient.extend(gid, [story.documents[-1].doc])
        await story.reader.sync()
        await story.reader.listing()

    async with on_screen(patient_watch.watch, as_json=False, all=False) as screen:
        await lists()
        await screen.until(lambda lines: sum("· listed" in line for line in lines) == 1)
        await lists()
        await story.read()
        await screen.until(lambda lines: any("· opened ·" in line for line in lines))
        assert sum("· listed" in line for line in screen.lines) == 1
    async with on_screen(patient_watch.watch, as_json=False, all=True) as screen:
        await screen.until(lambda lines: WATCHING in lines)
        await lists()
        await screen.until(lambda lines: sum("· listed" in line for line in lines) == 1)
        await lists()
        await screen.until(lambda lines: sum("· listed" in line for line in lines) == 2)


async def test_a_fork_is_an_alarm_at_once(story: Story) -> None:
    """Another log behind a notice: the alarm, what to do, and why it could not be read on."""
    async with on_screen(patient_watch.watch, as_json=False, all=False) as screen:
        await screen.until(lambda lines: WATCHING in lines)
        forged = await ForgedLog.after(story)
        forged.leaves[0] = random_leaf()
        forged.leaves.append(random_leaf())
        forged.show_to(story.patient_vault)
        await story.read()
        await screen.until(lambda lines: any(line.startswith("ALARM FORK: ") for line in lines))
        await screen.until(lambda lines: any(line.endswith("It is tried again.") for line in lines))
        assert sum("ALARM FORK" in line for line in screen.lines) == 1


async def test_a_practitioner_sees_what_is_delivered(story: Story) -> None:
    """A grant, what is added to it, and its end, each when it is delivered; and no list is opened by that."""
    asked = len(story.reader_vault.asked("open"))
    async with on_screen(practitioner_watch.watch, as_json=True) as screen:
        await story.add(b"One more text. " * 9, "later.txt")
        grant = await story.patient.authorise(await story.reader.card(), [story.documents[-1].doc])
        await screen.until(lambda lines: len(objects(lines, "delivery")) == 1)
        await story.patient.extend(grant.entry.gid, [story.documents[0].doc])
        await screen.until(lambda lines: len(objects(lines, "delivery")) == 2)
        await story.patient.revoke(grant.entry.gid)
        await screen.until(lambda lines: len(objects(lines, "delivery")) == 3)
        said = [(each["what"], each["grant"]) for each in objects(screen.lines, "delivery")]
        gid = grant.entry.gid.hex()
        assert said == [("granted", gid), ("extended", gid), ("ended", gid)]
        assert len(story.reader_vault.asked("open")) == asked


async def test_a_practitioners_fork_is_proven_to_others(story: Story, tmp_path: Path) -> None:
    """Who was shown two logs has a file that proves it; who was not has nothing to write."""
    screen, place = Seen(as_json=False), tmp_path / "evidence"
    await practitioner_watch.alarms(Namespace(evidence=place, seen=False), screen)
    assert not place.exists()
    assert screen.lines[0] == practitioner_watch.NONE

    forged = await ForgedLog.after(story)
    forged.leaves[0] = random_leaf()
    forged.leaves.append(random_leaf())
    forged.show_to(story.reader_vault)
    with pytest.raises(NotProven):
        await story.reader.sync()
    with pytest.raises(NotProven, match="1 alarm"):
        await practitioner_watch.alarms(Namespace(evidence=place, seen=False), Seen(as_json=False))
    (file,) = place.iterdir()
    checked = check_evidence(file.read_bytes(), story.instance.card.root)
    assert proofs.proofs_in(checked) == [proofs.TWO_HEADS]
    assert checked.author.ref.identity == story.reader.own.identity
    screen = Seen(as_json=False)
    with pytest.raises(NotProven):
        await practitioner_watch.alarms(Namespace(evidence=None, seen=False), screen)
    assert practitioner_watch.TAKE_EVIDENCE in screen.lines
