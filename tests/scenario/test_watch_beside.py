"""Somebody leaves a watch open all day and works on: both use one profile, each when the other does not."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crypto.errors import Conflict, Unreachable
from crypto.secret_bytes import SecretBytes
from crypto.wire.messages import Empty
from tests.support.instance import Instance, running
from vault_client import __main__ as program
from vault_client import profile_visits
from vault_client.commands import profiles
from vault_client.device_store import DeviceStore
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.patient import Patient
from vault_client.profile_visits import ProfileVisits
from vault_client.record_watch import RecordWatch

PATIENCE = 90
PASSPHRASE = "several words for a test"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One real server and its keeper."""
    with running(tmp_path_factory.mktemp("instance") / "data") as started:
        yield started


def passphrase() -> int:
    """A descriptor from which the passphrase is read."""
    reading, writing = os.pipe()
    os.write(writing, f"{PASSPHRASE}\n".encode())
    os.close(writing)
    return reading


def started(*words: str) -> "subprocess.Popen[bytes]":
    """A command as a process of its own."""
    given = passphrase()
    command = [sys.executable, "-m", "vault_client", *words, "--passphrase-fd", str(given)]
    english = {**os.environ, "COFFRE_LANG": "en"}
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(given,), env=english)
    finally:
        os.close(given)


@asynccontextmanager
async def closed_profile(instance: Instance, folder: Path) -> AsyncIterator[ProfileVisits[Patient]]:
    """Visits to the profile of somebody new, which is closed by now."""
    store = DeviceStore.create_with_key(folder, SecretBytes.random())
    async with await Patient.begin(store, folder, card=instance.card, keep_kit=lambda _: None) as patient:
        to_come = ProfileVisits(patient, store, folder)
    async with to_come:
        yield to_come


async def test_one_adds_while_another_process_watches(instance: Instance, tmp_path: Path) -> None:
    """With a watch open in one process, another one adds a document to the same profile; the watch shows it; both are kept."""
    home, file = tmp_path / "home", tmp_path / "letter.txt"
    file.write_text("a letter")
    store = DeviceStore.create(home, PASSPHRASE)
    async with await Patient.begin(store, home, card=instance.card, keep_kit=lambda _: None) as patient:
        await patient.log()

    def story() -> str:
        watching = started("patient", "watch", "--home", str(home))
        assert watching.stdout is not None
        with watching.stdout as shown:
            try:
                while not shown.readline().startswith(b"Watching"):
                    assert watching.poll() is None
                adding = started("patient", "add", str(file), "--home", str(home), "--json")
                said = adding.communicate(timeout=PATIENCE)[0]
                assert (adding.returncode, json.loads(said)["documents"][0]["title"]) == (0, "letter")
                return shown.readline().decode()  # the only thing that happens
            finally:
                watching.terminate()
                watching.wait(PATIENCE)

    async with asyncio.timeout(PATIENCE):
        assert (await asyncio.to_thread(story)).endswith(" · You · added · letter\n")
    async with await Patient.open(home, PASSPHRASE) as patient:
        assert [document.descriptor.title for document in patient.documents()] == ["letter"]
        assert "added" in [entry.changes[0] for entry in (await patient.log()).entries]


def test_a_profile_that_is_held_lets_nobody_else_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The twin of it: while one program keeps the profile open, another waits for its turn and then says that there was none."""
    monkeypatch.setattr(profiles, "PATIENCE", 0)
    home = tmp_path / "home"
    words = ["patient", "list", "--home", str(home), "--json", "--passphrase-fd"]
    with DeviceStore.create(home, PASSPHRASE):
        assert program.main([*words, str(passphrase())]) == 1
    assert "is open in another program" in json.loads(capsys.readouterr().out)["message"]


async def test_each_visit_finds_what_others_did_since(instance: Instance, tmp_path: Path) -> None:
    """What another program did between two looks is neither missed nor undone: nothing but the profile is believed."""
    watched, file = RecordWatch(), tmp_path / "letter.txt"
    file.write_text("a letter")
    async with closed_profile(instance, tmp_path / "home") as visits:
        for number in range(3):
            async with visits.visit() as (owner, store):
                await watched.look(owner, store)
                news = watched.news(owner, store)
                assert [each.changes for each in news] == [("added",)] * bool(number)
                assert len(owner.documents()) == number
            async with visits.visit() as (other, _):
                await other.add(file)


async def test_visits_go_on_with_one_session(instance: Instance, tmp_path: Path) -> None:
    """The server is logged in to once, and the connection for notices needs no key: it has the session of the last visit."""
    async with closed_profile(instance, tmp_path / "home") as visits:
        sessions = []
        for _ in range(2):
            async with visits.visit() as (owner, _store):
                await owner.service.api.held_vaults(Empty())
                sessions.append(owner.service.session)
        assert sessions[0] is not None
        assert sessions[0] == sessions[1]
        async with asyncio.timeout(PATIENCE):
            stream = visits.api.notices(Empty())
            await anext(stream)
            await stream.aclose()


async def test_a_visit_waits_for_its_turn(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program has the profile a visit waits; one that has to wait too long says so, and the next one is made."""
    async with closed_profile(instance, tmp_path / "home") as visits:
        other = visits._store.reopened()
        with monkeypatch.context() as impatient:
            impatient.setattr(profile_visits, "PATIENCE", 0)
            with pytest.raises(Conflict):
                async with visits.visit():
                    raise AssertionError
        refused = asyncio.Event()
        reopened = DeviceStore.reopened

        def noted(store: DeviceStore) -> DeviceStore:
            try:
                return reopened(store)
            except Conflict:
                refused.set()
                raise

        monkeypatch.setattr(DeviceStore, "reopened", noted)

        async def visited() -> bytes:
            async with visits.visit() as (owner, _):
                return owner.vault

        waiting = asyncio.create_task(visited())
        async with asyncio.timeout(PATIENCE):
            await refused.wait()
            other.close()
            assert len(await waiting) == 32


async def test_a_silent_server_keeps_nobody_from_the_profile(instance: Instance, tmp_path: Path) -> None:
    """A server that is away is noticed before the profile is opened: others can use it all the while."""
    async with closed_profile(instance, tmp_path / "home") as visits:
        await visits.api.close()
        visits.api = HttpVault(HttpTransport("http://127.0.0.1:1"))
        with visits._store.reopened(), pytest.raises(Unreachable):
            async with visits.visit():
                raise AssertionError
