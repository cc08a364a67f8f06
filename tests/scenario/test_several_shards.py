"""Several shards: each record in the log it was founded in, one directory, and everybody goes on as with one."""

from pathlib import Path
from urllib.parse import urlsplit

from crypto.secret_bytes import SecretBytes
from tests.support.instance import Instance, running
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs
from vault_server.fsck import check
from vault_server.settings import Settings

KEY = bytes(range(32))
SHARDS = 3
ONE_RECORD_EACH = ("--shard-vaults", "1", "--cover-leaves", "0")


async def new_patient(instance: Instance, folder: Path) -> Patient:
    """A patient who can be opened again."""
    store = DeviceStore.create_with_key(folder, SecretBytes(KEY))
    return await Patient.begin(store, folder, card=instance.card, keep_kit=lambda kit: None)


async def shares(patient: Patient, practitioner: Practitioner, name: str, folder: Path) -> None:
    """A document goes its whole way; its reading is in the patient's log, where nothing alarms anybody."""
    source, received = folder / f"{name}.txt", folder / f"{name}-received.txt"
    source.write_bytes(name.encode() * 500)
    document = await patient.add(source)
    await patient.authorise(await practitioner.card(), [document.doc])
    await practitioner.sync()
    await practitioner.listing()
    listed = next(each for each in practitioner.documents() if each.document.doc == document.doc)
    await practitioner.read(listed, received)
    assert received.read_bytes() == source.read_bytes()
    report = await patient.log()
    assert report.alarms == ()
    assert any(document.doc in entry.documents and entry.act == "release" for entry in report.entries)


async def test_records_of_several_shards(tmp_path: Path) -> None:
    """Patients fill shards: reader, keeper, audits and the check from outside serve all, also after a restart."""
    data = tmp_path / "data"
    with running(data, 0, *ONE_RECORD_EACH) as instance:
        port = urlsplit(instance.url).port or 0
        practitioner = await instance.practitioner(tmp_path / "doctor")
        for number in range(SHARDS):
            async with await new_patient(instance, tmp_path / f"patient-{number}") as patient:
                await shares(patient, practitioner, f"first-{number}", tmp_path)
        await practitioner.close()
        before = {log.origin: log.size for log in (await verify_logs(instance.url, instance.card)).logs}
    host = f"127.0.0.1:{port}"
    shards = [f"{host}/coffre/log/{shard}" for shard in range(SHARDS)]
    assert list(before) == [f"{host}/coffre/directory", *shards]
    assert len({before[origin] for origin in shards}) == 1, "each took the same steps of one patient"
    await check(Settings(data=data))
    with running(data, port, *ONE_RECORD_EACH) as instance:
        # Whoever is in a closed shard goes on there.
        practitioner = await instance.practitioner(tmp_path / "other-doctor", subject="demo:2")
        async with await Patient.resume(
            DeviceStore.open_with_key(tmp_path / "patient-0", SecretBytes(KEY)), tmp_path / "patient-0"
        ) as patient:
            await shares(patient, practitioner, "second", tmp_path)
        await practitioner.close()
        after = {log.origin: log.size for log in (await verify_logs(instance.url, instance.card)).logs}
    grown = [origin for origin in before if after[origin] > before[origin]]
    assert after.keys() == before.keys()
    assert grown == [f"{host}/coffre/directory", shards[0]]
    await check(Settings(data=data))
