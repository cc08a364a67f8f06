"""An upload through real processes and sockets: the line is cut, the client killed, the profile opened twice."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from crypto.errors import Unreachable
from crypto.pieces import PART, PIECE
from crypto.secret_bytes import SecretBytes
from tests.support.cutting_proxy import CuttingProxy
from tests.support.instance import running
from vault_client import transfer
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient

ROOT = Path(__file__).resolve().parents[2]
KEY = SecretBytes(bytes(range(32)))
ONE_PART = PART * PIECE
SIZE = 3 * ONE_PART
# Requests, headers, logins and links are not ciphertext.
BESIDE = 200_000
ADDING = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from crypto.secret_bytes import SecretBytes
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient

    async def main():
        folder = Path(sys.argv[1])
        store = DeviceStore.open_with_key(folder, SecretBytes(bytes(range(32))))
        async with await Patient.resume(store, folder) as patient:
            await patient.add(Path(sys.argv[2]))

    asyncio.run(main())
""")


async def resumed(folder: Path) -> Patient:
    """The patient, in this process."""
    return await Patient.resume(DeviceStore.open_with_key(folder, KEY), folder)


def in_another_process(folder: Path, source: Path) -> str:
    """Add ``source`` in a process of its own; what it says in the end."""
    words = [sys.executable, "-c", ADDING, str(folder), str(source)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stderr


def kill_when_cut(line: CuttingProxy, folder: Path, source: Path) -> None:
    """Add ``source`` in a process of its own, and kill that once the line is cut."""
    with subprocess.Popen([sys.executable, "-c", ADDING, str(folder), str(source)], cwd=ROOT) as client:
        assert line.was_cut.wait(120)
        client.send_signal(signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_what_was_sent_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of an upload, then cut in the middle of another part: it ends with one part per cut sent twice."""
    monkeypatch.setattr(transfer, "WAITS", ())
    folder, source = tmp_path / "profile", tmp_path / "scan.bin"
    source.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    with running(tmp_path / "data") as instance, CuttingProxy(urlsplit(instance.url).port or 0) as line:
        card = msgspec.structs.replace(instance.card, url=line.url)
        store = DeviceStore.create_with_key(folder, KEY)
        async with await Patient.begin(store, folder, card=card, keep_kit=lambda kit: None):
            assert "is open in another program. Nothing was opened." in in_another_process(folder, source)
        before = line.up
        line.cut_after(ONE_PART + ONE_PART // 2)
        kill_when_cut(line, folder, source)
        line.mend()

        async with await resumed(folder) as patient:
            (waiting,) = patient.waiting()
            told: list[int] = []
            line.cut_after(ONE_PART // 2)
            await patient.send_waiting(progress=lambda done, _: told.append(done))
            assert isinstance(patient.outcome.unreached, Unreachable)
            assert told[0] >= ONE_PART  # the bar starts where it left off
            line.mend()
        async with await resumed(folder) as patient:
            await patient.send_waiting()
            assert [queued.id for queued in patient.outcome.sent] == [waiting.id]
            assert patient.waiting() == []
            assert list((folder / "spool").iterdir()) == []
            (document,) = patient.documents()
            sent = line.up - before
            await patient.get(document.doc, tmp_path / "again.bin")
            assert (await patient.log()).alarms == ()
    assert sent <= SIZE + 2 * ONE_PART + BESIDE
    assert (tmp_path / "again.bin").read_bytes() == source.read_bytes()
