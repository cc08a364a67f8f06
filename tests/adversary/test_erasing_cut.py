"""``coffre patient erase``, asked for at the terminal and cut in the middle: what was erased is told, what was not can be."""

import asyncio
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from crypto.errors import NotPermitted, Unreachable
from crypto.wire.messages import EraseRequest, Logged
from tests.adversary.story import Story
from tests.adversary.test_audit import readings
from tests.adversary.test_told_alarms import Shown
from vault_client import erasing
from vault_client.commands import patient_erasing, profiles
from vault_client.commands.patient_erasing import IN_DOUBT
from vault_client.commands.patient_log import entry_object, log_rows
from vault_client.device_store import DeviceStore
from vault_client.erasing import Erasing
from vault_client.patient import Patient

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120

# Killed when the server has erased what it was asked for and before this device knows: ``kill -9`` in the middle.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from crypto.secret_bytes import SecretBytes
from vault_client import erasing
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient
from vault_client.service import Service

async def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    folder = Path(sys.argv[1])
    store = DeviceStore.open_with_key(folder, SecretBytes(bytes.fromhex(sys.argv[2])))
    erasing.MAX_ENTRIES = 1
    async with await Patient.resume(store, folder) as patient:
        report = await patient.log()
        found = patient.erasing.before(report, 1 << 40)
        Service.believe_logged = killed
        await patient.erasing.run(found.entries)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the patient's profile of the story open, and every reading is from before the day that is named."""

    @asynccontextmanager
    async def patient(*_: Any) -> AsyncIterator[Any]:
        yield story.patient, story.patient._store

    monkeypatch.setattr(profiles, "patient", patient)
    monkeypatch.setattr(patient_erasing, "_day", lambda _: story.patient.service.now())
    monkeypatch.setattr(Erasing, "before", lambda self, report, _: before(self, report, 1 << 40))


before = Erasing.before


async def erase(screen: Shown, *, yes: bool = True) -> None:
    """``coffre patient erase --before today``."""
    words = Namespace(before="2026-01-01", document=None, yes=yes, json=False)
    await patient_erasing.erase(words, screen)


async def erased(story: Story) -> list[int]:
    """How many readings each erasure in the log names; there is no alarm, and this device has nothing of them."""
    report = await story.patient.log()
    assert report.alarms == ()
    named = {index for entry in report.entries for index in entry.erased}
    assert not named & {entry.index for entry in report.entries}
    return [len(entry.erased) for entry in report.entries if entry.erased]


@pytest.mark.parametrize("answer", ["yes", "Oui", "no", "", "what"])
async def test_readings_are_erased_after_a_yes_at_the_terminal(
    story: Story, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Whoever is asked is told what will be lost; a yes, in the language of the screen, erases, and nothing else does."""
    monkeypatch.setenv("COFFRE_LANG", "fr" if answer == "Oui" else "en")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: (asked.append(question), answer)[1])
    await story.read()
    if answer in {"yes", "Oui"}:
        await erase(Shown(), yes=False)
        assert await erased(story) == [2]
    else:
        with pytest.raises(NotPermitted):
            await erase(Shown(), yes=False)
        assert readings(await story.patient.log()) == ["list", "release"]
    assert len(asked) == (2 if answer == "what" else 1)


async def test_an_erasure_names_the_device_that_asked(story: Story) -> None:
    """The line of an erasure has the device's id, as ``devices`` lists it, for people and programs."""
    await erase(Shown())
    report = await story.patient.log()
    device = story.patient.own.device.public.key_id.hex()
    (entry,) = [entry for entry in report.entries if entry.erased]
    assert entry_object(entry)["device"] == device
    said = log_rows(story.patient, [entry], everything=True)[0][2]
    assert said == f"had traces erased: 1 reading, asked for by device {device[:8]}"


def heard_and_silent(story: Story) -> Callable[[EraseRequest], Any]:
    """A server that erases what it is asked for, and never answers."""

    async def answer(query: EraseRequest) -> Logged:
        await story.patient_vault.honest.erase(query)
        raise Unreachable("Nobody answers.")

    return answer


async def test_an_erasure_that_was_not_answered_is_in_doubt(story: Story) -> None:
    """The server erased and did not answer: that is said, and the next look at the log tells; no reading is called hidden."""
    await story.read()
    story.patient_vault.forge("erase", heard_and_silent(story))
    screen = Shown()
    with pytest.raises(Unreachable):
        await erase(screen)
    assert screen._doubt == f" {IN_DOUBT}"
    story.patient_vault.be_honest()
    assert await erased(story) == [2]


async def test_a_refused_erasure_is_not_in_doubt(story: Story) -> None:
    """The control: what the server refuses it has not done, and nothing else is said; the same command does it then."""
    await story.read()
    story.patient_vault.withhold("erase", NotPermitted("Not now."))
    screen = Shown()
    with pytest.raises(NotPermitted):
        await erase(screen)
    assert screen._doubt == ""
    assert readings(await story.patient.log()) == ["list", "release"]
    story.patient_vault.be_honest()
    await erase(Shown())
    assert await erased(story) == [2]


@pytest.mark.parametrize("is_heard", [True, False])
async def test_an_erasure_that_is_stopped_goes_on_later(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_heard: bool
) -> None:
    """Ctrl-C while the second of two requests is under way: the first is done, the second is, or is not; the same command ends it."""
    monkeypatch.setattr(erasing, "MAX_ENTRIES", 1)
    await story.read()
    asked = asyncio.Event()

    async def second_hangs(query: EraseRequest) -> Logged:
        if not asked.is_set():
            asked.set()
            return await story.patient_vault.honest.erase(query)
        if is_heard:
            await story.patient_vault.honest.erase(query)
        stopped.cancel()
        await asyncio.Event().wait()
        raise AssertionError

    story.patient_vault.forge("erase", second_hangs)
    screen = Shown()
    stopped = asyncio.create_task(erase(screen))
    with pytest.raises(asyncio.CancelledError):
        await stopped
    assert screen._doubt == f" {IN_DOUBT}"
    story.patient_vault.be_honest()
    assert await erased(story) == [1] * (2 if is_heard else 1)
    await erase(Shown())
    assert await erased(story) == [1, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_an_erasure_that_is_killed_is_found_by_the_next_look(story: Story) -> None:
    """``kill -9`` between the service's deed and this device's, and before the second request: the log tells, the rest can be erased."""
    await story.read()
    assert readings(await story.patient.log()) == ["list", "release"]
    folder, key = story.folder / "patient", story.patient._store._key
    await story.patient.close()
    words = [sys.executable, "-c", KILLED, str(folder), key.reveal().hex()]
    killed = await asyncio.to_thread(subprocess.run, words, cwd=ROOT, timeout=PATIENCE, check=False)
    assert killed.returncode == -signal.SIGKILL

    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
        report = await patient.log()
        assert report.alarms == ()
        assert readings(report) == ["release"]
        assert [len(entry.erased) for entry in report.entries if entry.erased] == [1]
        await patient.erasing.run(patient.erasing.before(report, 0).entries)
        report = await patient.log()
        assert (readings(report), report.alarms) == ([], ())
