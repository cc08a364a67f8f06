"""A server backed up while people write to it, and restored elsewhere: served when nothing is missing, else refused."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from crypto.secret_bytes import SecretBytes
from crypto.trust_root import read_card
from tests.support.instance import Instance, running
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient
from vault_client.public_log import verify_logs
from vault_server.backup import back_up
from vault_server.keeper.keys import CARD
from vault_server.restore import restore
from vault_server.settings import Settings
from vault_server.store import snapshot

KEY = bytes(range(32))
SERVE = (sys.executable, "-m", "vault_server", "serve", "--json", "--data")
SECONDS = 60


async def said_by(*words: str | Path) -> tuple[int, dict[str, object], str]:
    """Run the server's program to its end: exit code, what it says as JSON, and in words."""
    done = await asyncio.to_thread(
        subprocess.run,
        [*SERVE, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def copy_keeper(data: Path, to: Path) -> None:
    """The keeper as it stands now, while it runs: a test's stand-in for one that has seen nothing since."""
    shutil.copytree(data / "keys", to / "keys")
    shutil.copy(data / CARD, to)
    snapshot.take(data / "keeper.db", to / "keeper.db")


class Writer:
    """A patient who adds one document after the other, and remembers each once it is acknowledged."""

    def __init__(self, patient: Patient, folder: Path) -> None:
        self._patient, self._folder = patient, folder
        self.acknowledged: dict[bytes, bytes] = {}
        self._more = asyncio.Event()

    async def add(self) -> None:
        """One more."""
        content = f"document {len(self.acknowledged)}\n".encode() * 50
        source = self._folder / "source.txt"
        await asyncio.to_thread(source.write_bytes, content)
        self.acknowledged[(await self._patient.add(source)).doc] = content
        self._more.set()

    async def go_on(self) -> None:
        """For ever."""
        while True:
            await self.add()

    async def until(self, count: int) -> None:
        """Wait until so many are acknowledged."""
        while len(self.acknowledged) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), SECONDS)


async def all_opens(profile: Path, wanted: dict[bytes, bytes], instance: Instance) -> None:
    """Every wanted document opens, the patient's audit raises nothing, and the public logs hold."""
    store = DeviceStore.open_with_key(profile, SecretBytes(KEY))
    async with await Patient.resume(store, profile) as patient:
        for number, (doc, content) in enumerate(wanted.items()):
            to = profile / f"opened-{number}"
            await patient.get(doc, to)
            assert to.read_bytes() == content
        assert (await patient.log()).alarms == ()
    await verify_logs(instance.url, instance.card)


async def test_a_backup_restores_what_was_acknowledged_before_it_or_is_refused(tmp_path: Path) -> None:
    """Taken under fire: whole beside a keeper that has seen no more, refused beside one that has; the newest is served."""
    data, profile, early = tmp_path / "data", tmp_path / "profile", tmp_path / "early.tar"
    with running(data) as instance:
        port = urlsplit(instance.url).port or 0
        store = DeviceStore.create_with_key(profile, SecretBytes(KEY))
        async with await Patient.begin(
            store, profile, card=instance.card, keep_kit=lambda kit: None
        ) as patient:
            writer = Writer(patient, tmp_path)
            for _ in range(3):
                await writer.add()
            before = dict(writer.acknowledged)
            shutil.copytree(profile, tmp_path / "profile-then")
            copy_keeper(data / "keeper-1", tmp_path / "then" / "keeper-1")
            writing = asyncio.create_task(writer.go_on())
            await writer.until(len(before) + 1)
            code, told, words = await said_by(data, "--backup", early)
            assert (code, told["backup"]) == (0, str(early)), words
            await writer.until(len(writer.acknowledged) + 2)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await patient.sync()
    unknown = {path.name for path in (data / "server").iterdir()} - {
        "coffre.db",
        "keys",
        "trust-roots",
        "ciphertext",
    }
    assert unknown == {"lock", "instance-card.json"}  # what a backup leaves out is made anew at each start
    late = tmp_path / "late.tar"
    back_up(Settings(data=data), late, as_json=True)

    keeper = files(data / "keeper-1")
    shutil.move(data / "server", tmp_path / "lost")
    restore(Settings(data=data), early, as_json=True)
    assert files(data / "keeper-1") == keeper
    code, _, words = await said_by(data, "--port", str(port))
    assert code == 1, words
    assert "a keeper has seen" in words
    assert "Restore a newer backup" in words
    assert "Traceback" not in words

    shutil.rmtree(data / "server")
    restore(Settings(data=data), late, as_json=True)
    with running(data, port) as instance:
        await all_opens(profile, writer.acknowledged, instance)

    restore(Settings(data=tmp_path / "then"), early, as_json=True)
    with running(tmp_path / "then", port) as instance:
        await all_opens(tmp_path / "profile-then", before, instance)
        assert instance.card == read_card((tmp_path / "lost" / "instance-card.json").read_text())
