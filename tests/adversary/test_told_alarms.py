"""What the patient reads of an alarm: which entry it is about, when and whose, and that it is there until it was seen."""

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from crypto.errors import NotProven
from crypto.requests import read_request
from tests.adversary.forged_log import ForgedEntries, random_leaf
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import forged_link, slot_of
from tests.adversary.test_evidence import files, judged, proven
from vault_client import alarms
from vault_client.commands import patient_log, profiles
from vault_client.commands.alarms import remind
from vault_client.commands.output import Screen
from vault_client.evidence_proofs import TWO_HEADS


class Shown(Screen):
    """A screen whose lines are kept: what was asked for, what was said beside it, and the rows of tables."""

    def __init__(self) -> None:
        super().__init__(as_json=False)
        self.lines: list[str] = []
        self.asides: list[str] = []
        self.rows: list[list[str]] = []

    def say(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)

    def aside(self, text: str) -> None:
        """Keep a line that is beside the matter."""
        self.asides.append(text)

    def table(self, columns: Any, rows: Any) -> None:
        """Keep the rows."""
        self.rows += [list(row) for row in rows]


@pytest.fixture(autouse=True)
def opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the patient's profile of the story open."""

    @asynccontextmanager
    async def patient(*_: Any) -> AsyncIterator[Any]:
        yield story.patient, story.patient._store

    monkeypatch.setattr(profiles, "patient", patient)


async def log(*, seen: bool = False) -> Shown:
    """What ``coffre patient log`` shows, however it ends."""
    screen = Shown()
    words = Namespace(all=False, evidence=None, disclose_keys=False, seen=seen, json=False, yes=False)
    try:
        await patient_log.log(words, screen)
    except NotProven as alarmed:
        screen.lines.append(str(alarmed))
    return screen


def reminder(story: Story, verb: str = "list") -> list[str]:
    """What a command says beside what it was asked for."""
    screen = Shown()
    remind(Namespace(noun="patient", verb=verb), screen, story.patient._store)
    assert screen.result["unseen_alarms"] == len(alarms.unseen_alarms(story.patient._store))
    return screen.asides


async def outside(story: Story) -> ForgedEntries:
    """A reading of a document that the grant does not hold, put into the log as allowed."""
    entries = await ForgedEntries.begin(story)
    document = read_request(await request(story)).documents[0]
    wanted = await request(story, documents=(msgspec.structs.replace(document, doc=fresh(16)),))
    entries.add(wanted, slot_two=slot_of(wanted))
    return entries


async def test_an_honest_log_reminds_of_nothing(story: Story) -> None:
    """The control: no alarm, no word of one, and nothing to be marked as seen."""
    await story.read()
    screen = await log(seen=True)
    assert not any("ALARM" in line or "seen" in line for line in screen.lines)
    assert reminder(story) == []


async def test_an_alarm_names_its_entry(story: Story) -> None:
    """An alarm about an entry that is listed has the number, the time and the person of its line."""
    await outside(story)
    screen = await log()
    number, when, name, *_ = screen.rows[-1]
    (alarm,) = [line for line in screen.lines if line.startswith("ALARM")]
    assert name == "Dr Claire Martin"
    assert alarm.endswith(f"It is about entry {number} of your log: {when} UTC, {name}.")


async def test_an_alarm_about_what_is_not_listed_says_where_it_stands(story: Story) -> None:
    """An entry without opening has no line: the alarm says behind which; one that can be read has its time too."""
    entries = await outside(story)
    hidden, again = [await request(story), next(iter(entries.made.values())).envelope]
    del entries.log.openings[entries.add(hidden, slot_two=slot_of(hidden))]
    entries.add(again, slot_two=slot_of(again), follows=False)
    screen = await log()
    said = {line.split(":")[0]: line for line in screen.lines if line.startswith("ALARM")}
    behind = f"It is about an entry that your log does not list, behind number {len(screen.rows)}."
    assert said["ALARM WITHHELD"].endswith(behind)
    assert f"{behind} The service dates it 20" in said["ALARM REPLAY"]


async def test_an_alarm_is_told_of_until_it_was_seen(story: Story) -> None:
    """Every other command says in one line that there is an alarm, until it is marked as seen; a new one is told of again."""
    entries = await outside(story)
    await log()
    (said,) = reminder(story)
    assert "1 alarm." in said
    assert "coffre patient log --seen" in said
    assert reminder(story, verb="watch") == []
    screen = await log(seen=True)
    assert "Marked as seen: 1 alarm." in " ".join(screen.lines)
    assert any(line.startswith("ALARM OUT_OF_SCOPE") for line in screen.lines)
    assert reminder(story) == []
    assert any(line.startswith("ALARM OUT_OF_SCOPE") for line in (await log()).lines), "it stays"

    hidden = await request(story)
    entries.add(hidden)
    await story.patient.log()
    assert len(alarms.unseen_alarms(story.patient._store)) == 1
    assert len(reminder(story)) == 1


async def test_another_alarm_does_not_pass_for_one_that_was_seen(story: Story) -> None:
    """What was seen is the alarm itself, not its place and name: another one there is told of."""
    await outside(story)
    await log(seen=True)
    store = story.patient._store
    (name,), (alarm,) = store.names("alarm"), alarms.kept_alarms(store)
    store.put(name, msgspec.structs.replace(alarm, text="Something else."))
    assert len(reminder(story)) == 1


async def test_a_program_is_shown_what_is_marked_as_seen(story: Story) -> None:
    """Also where the log contradicts itself so far that it could not be read: else a program would mark what nobody was shown."""
    entries = await ForgedEntries.begin(story)
    entries.log.leaves[-1] = random_leaf()
    screen = await log(seen=True)
    assert [alarm["code"] for alarm in screen.result["alarms"]] == ["FORK"]
    assert reminder(story) == []


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_proof_is_not_buried_under_the_next_alarm(
    story: Story, monkeypatch: pytest.MonkeyPatch, *, is_twin: bool
) -> None:
    """Caught with two heads of one size, the server adds an entry there that is FORK too, and proves nothing: both are kept.

    The twin keeps one alarm of a code at a place, and the proof is gone.
    """
    entries = await ForgedEntries.begin(story)
    leaves = entries.log.leaves
    honest, leaves[-1] = leaves[-1], random_leaf()
    with story.refused(NotProven):
        await story.patient.log()
    assert proven(story, "FORK") == [TWO_HEADS]
    await log(seen=True)
    assert reminder(story) == []

    leaves[-1] = honest
    index = len(leaves)
    assert entries.add(await forged_link(story), "accepted") == index
    if is_twin:
        monkeypatch.setattr(alarms, "_kept_at", lambda *_: [])
    for _ in range(2):
        await story.patient.log()
    kept = [(alarm.code, alarm.index) for alarm in alarms.kept_alarms(story.patient._store)]
    assert kept == [("FORK", index)] if is_twin else [("FORK", None), ("FORK", index)]
    found = [judged(data, story.instance.card.root).proven for data in files(story).values()]
    assert ([TWO_HEADS] in found) is not is_twin
    assert len(reminder(story)) == 1
