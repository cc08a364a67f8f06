"""A server's newest data is lost and the backup is older: the keeper's leaves bring its logs back, and it goes on with them."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from crypto.secret_bytes import SecretBytes
from crypto.wire.messages import LogQuery
from tests.support.instance import Instance, running
from vault_client.device_store import DeviceStore
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.patient import Patient
from vault_client.public_log import verify_logs

KEY = bytes(range(32))
SERVE = ("vault_server", "serve", "--json", "--data")
LEAVES = ("vault_server.keeper", "leaves", "--json", "--data")
SECONDS = 60


async def said_by(*words: str | Path) -> tuple[int, str, str]:
    """Run a program to its end: exit code, what it says as JSON, and in words."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, " ".join(done.stderr.split())


async def begin(instance: Instance, folder: Path) -> Patient:
    """Somebody whose profile is opened again later."""
    store = DeviceStore.create_with_key(folder, SecretBytes(KEY))
    return await Patient.begin(store, folder, card=instance.card, keep_kit=lambda kit: None)


async def add(patient: Patient, folder: Path) -> bytes:
    """One more document, by its id."""
    await asyncio.to_thread((folder / "letter").write_bytes, b"a letter")
    return (await patient.add(folder / "letter")).doc


async def test_the_logs_outlive_the_loss_of_the_newest_data(tmp_path: Path) -> None:
    """The older backup is refused in words that say the way; with too old leaves too; with the newest all goes on."""
    data, keeper = tmp_path / "data", tmp_path / "data" / "keeper-1"
    older, early, newest = tmp_path / "older.tar", tmp_path / "early.leaves", tmp_path / "newest.leaves"
    with running(data) as instance:
        port = urlsplit(instance.url).port or 0
        async with (
            await begin(instance, tmp_path / "quiet") as quiet,
            await begin(instance, tmp_path / "busy") as busy,
        ):
            await add(quiet, tmp_path)
            assert (await said_by(*SERVE, data, "--backup", older))[0] == 0
            await add(busy, tmp_path)
            code, said, words = await said_by(*LEAVES, keeper, early)  # while it runs
            assert code == 0, words
            await add(busy, tmp_path)
    code, said, words = await said_by(*LEAVES, keeper, newest)
    assert code == 0, words
    sizes = {log["origin"]: log["entries"] for log in json.loads(said)["logs"]}
    shutil.move(data / "server", tmp_path / "lost")

    for leaves in ([], ["--leaves", early]):
        code, _, words = await said_by(*SERVE, data, "--restore", older, *leaves)
        assert code == 0, words
        code, _, words = await said_by(*SERVE, data, "--port", str(port))
        assert code == 1, words
        assert "the keepers have its entries (keeper-1)" in words
        assert "coffre serve --restore BACKUP --leaves FILE…" in words
        await asyncio.to_thread(shutil.rmtree, data / "server")
    code, said, words = await said_by(*SERVE, data, "--restore", older, "--leaves", early, newest)
    assert code == 0, words
    lost = {log["origin"]: (log["start"], log["end"]) for log in json.loads(said)["lost"]}
    assert all(sizes[origin] == end for origin, (_, end) in lost.items())
    code, said, words = await said_by(*SERVE, data, "--fsck")
    assert code == 0, words
    told = {log["origin"]: log["lost"] for log in json.loads(said)["logs"] if log["lost"]}
    assert told == {origin: end - start for origin, (start, end) in lost.items()}

    with running(data, port) as instance:
        await verify_logs(instance.url, instance.card)
        async with HttpTransport(instance.url) as transport:
            for origin, (start, end) in lost.items():
                (loss,) = (await HttpVault(transport).log_losses(LogQuery(origin=origin))).losses
                assert (loss.start, loss.end) == (start, end)
        store = DeviceStore.open_with_key(tmp_path / "quiet", SecretBytes(KEY))
        async with await Patient.resume(store, tmp_path / "quiet") as quiet:
            doc = await add(quiet, tmp_path)
            await quiet.get(doc, tmp_path / "opened")
            assert (await quiet.log()).alarms == ()
        async with await begin(instance, tmp_path / "new") as new:
            await add(new, tmp_path)
        await verify_logs(instance.url, instance.card)
    code, _, words = await said_by(*SERVE, data, "--fsck")
    assert code == 0, words
