"""What is said of a request that is in the patient's log and opened nothing: to whoever asked, and to the patient."""

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest

from crypto.errors import NotFound, Unreachable
from tests.adversary.story import Story
from tests.adversary.test_audit import readings
from tests.adversary.test_told_alarms import Shown
from tests.adversary.test_told_alarms import log as patient_log_shown
from vault_client.commands import practitioner_reading, profiles
from vault_client.commands.patient_log import COUNTS_AS_OPENED
from vault_client.commands.practitioner_reading import GOES_ON, IN_LOG
from vault_client.practitioner import NOT_LISTED
from vault_client.unfinished_readings import UnfinishedReadings


@pytest.fixture(autouse=True)
def opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the profiles of the story open."""

    @asynccontextmanager
    async def patient(*_: Any) -> AsyncIterator[Any]:
        yield story.patient, story.patient._store

    @asynccontextmanager
    async def practitioner(*_: Any) -> AsyncIterator[Any]:
        yield story.reader, story.reader._store

    monkeypatch.setattr(profiles, "patient", patient)
    monkeypatch.setattr(profiles, "practitioner", practitioner)


async def read(story: Story) -> Shown:
    """``coffre practitioner read`` of the first document."""
    screen = Shown()
    document = story.listed().document.doc.hex() + story.patient.vault.hex()
    words = Namespace(documents=[document], all=None, output=story.destination, to=None)
    await practitioner_reading.read(words, screen)
    return screen


def silence(story: Story) -> None:
    """The only keeper answers no question for its half."""

    def nobody(_: object) -> NoReturn:
        raise Unreachable("The keeper did not answer. Nothing was lost.")

    story.reader_keeper.tamper("release", nobody)


async def test_what_was_opened_is_said_to_be(story: Story) -> None:
    """The control: where the keepers answer there is one entry, and no word of a request that opened nothing."""
    screen = await read(story)
    assert not any(IN_LOG in line for line in screen.lines)
    assert readings(await story.patient.log()) == ["list", "release"]


async def test_a_request_without_keepers_is_said_to_be_in_the_log(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is opened, both are told that the request is logged, and the next try goes on with it; the twin's is another entry."""
    silence(story)
    with pytest.raises(Unreachable) as refused:
        await read(story)
    assert str(refused.value).endswith(f"{IN_LOG} {GOES_ON}")
    assert not story.destination.exists()
    assert readings(await story.patient.log()) == ["list", "release"]
    assert COUNTS_AS_OPENED in (await patient_log_shown()).lines

    story.reader_keeper.be_honest()
    await read(story)
    assert readings(await story.patient.log()) == ["list", "release"]

    story.destination.unlink()
    silence(story)
    with pytest.raises(Unreachable):
        await read(story)
    story.reader_keeper.be_honest()
    with monkeypatch.context() as twin:
        twin.setattr(UnfinishedReadings, "find", lambda *_: None)
        await read(story)
    assert readings(await story.patient.log()) == ["list"] + ["release"] * 3


async def test_a_request_that_keepers_refuse_is_in_the_log_for_good(story: Story) -> None:
    """A refusal is final: it is said that the request is logged, and not that it is gone on with."""

    def refused(_: object) -> NoReturn:
        raise NotFound

    story.reader_keeper.tamper("release", refused)
    with pytest.raises(NotFound) as said:
        await read(story)
    assert str(said.value).endswith(IN_LOG)


async def test_a_request_that_never_left_is_said_to_be_in_no_log(story: Story) -> None:
    """Where the server does not answer, nothing is said of the patient's log."""
    story.reader_vault.withhold("open", Unreachable("Nobody answers."))
    with pytest.raises(Unreachable) as said:
        await read(story)
    assert IN_LOG not in str(said.value)


async def test_a_list_without_keepers_is_in_the_log_too(story: Story) -> None:
    """A list that too few keepers opened is said to be in the patient's log, each time."""
    await story.add(b"one more", "more.txt")
    await story.patient.extend(story.grant.entry.gid, [story.documents[-1].doc])
    await story.reader.sync()
    silence(story)
    with pytest.raises(Unreachable) as said:
        await story.reader.listing()
    assert str(said.value).endswith(NOT_LISTED)
    assert readings(await story.patient.log()) == ["list", "list"]
