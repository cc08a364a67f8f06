"""A server dies with its data; an older backup is completed with its keeper's leaves; everybody's next command brings the rest back."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from crypto.errors import CoffreError, NotPermitted, NotProven
from crypto.sealed.recovery import KitFile
from crypto.secret_bytes import SecretBytes
from tests.adversary.test_audit import readings
from tests.support.lost_instance import LostInstance
from vault_client.device_store import DeviceStore
from vault_client.kept_heads import KeptHeads
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs

KEY = SecretBytes(bytes(range(32)))
OLD, NEW = b"before the backup\n" * 300, b"after the backup\n" * 40_000


class People:
    """Whoever has a profile in ``folder``; each command opens it and closes it again."""

    def __init__(self, lost: LostInstance, folder: Path) -> None:
        self.lost, self.folder = lost, folder

    async def enrol_patient(self, name: str) -> KitFile:
        """A new record. Returns its kit."""
        store, kits = DeviceStore.create_with_key(self.folder / name, KEY), list[KitFile]()
        card = self.lost.instance.card
        async with await Patient.begin(store, self.folder / name, card=card, keep_kit=kits.append) as patient:
            return msgspec.structs.replace(kits[0], vault=patient.vault)

    async def restore_patient(self, name: str, kit: KitFile, *, without_lost: bool = False) -> None:
        """A record restored with its kit on an empty machine, or on one where that was begun."""
        folder = self.folder / name
        made = DeviceStore.open_with_key if folder.exists() else DeviceStore.create_with_key
        known = {"identity": kit.identity, "vault": kit.vault, "without_lost": without_lost}
        card = self.lost.instance.card
        async with await Patient.restore(made(folder, KEY), folder, kit=kit.kit, card=card, **known):
            pass

    async def enrol_practitioner(self, name: str, subject: str) -> None:
        """A new practitioner, certified."""
        store = DeviceStore.create_with_key(self.folder / name, KEY)
        card = self.lost.instance.card
        async with await Practitioner.begin(
            store, self.folder / name, card=card, keep_kit=lambda _: None
        ) as doctor:
            await self.lost.instance.certify(doctor, self.folder / f"{name}.json", subject)
            await doctor.sync()

    @asynccontextmanager
    async def patient(self, name: str) -> AsyncIterator[Patient]:
        """A command of a patient."""
        store = DeviceStore.open_with_key(self.folder / name, KEY)
        async with await Patient.resume(store, self.folder / name) as patient:
            yield patient

    @asynccontextmanager
    async def doctor(self, name: str) -> AsyncIterator[Practitioner]:
        """A command of a practitioner."""
        store = DeviceStore.open_with_key(self.folder / name, KEY)
        async with await Practitioner.resume(store, self.folder / name) as doctor:
            yield doctor

    async def add(self, patient: Patient, content: bytes) -> bytes:
        """A document with this content."""
        source = self.folder / "source.txt"
        source.write_bytes(content)
        return (await patient.add(source)).doc

    async def read(self, name: str, doc: bytes) -> bytes:
        """What a practitioner gets to read of a document."""
        async with self.doctor(name) as doctor:
            assert await doctor.sync() == []
            listed = {each.document.doc: each for each in await doctor.listing()}
            to = self.folder / "read"
            to.unlink(missing_ok=True)
            await doctor.read(listed[doc], to)
            return to.read_bytes()


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[LostInstance]:
    """A server that is about to be lost."""
    server = LostInstance(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_everybodys_next_command_brings_back_what_was_lost(lost: LostInstance, tmp_path: Path) -> None:
    """Documents, grants, an end, a new practitioner: all come back, readings go on, and what nobody has is named."""
    people = People(lost, tmp_path)
    await people.enrol_patient("ann")
    bobs_kit = await people.enrol_patient("bob")
    await people.enrol_practitioner("early", "demo:1")
    async with people.doctor("early") as early:
        card = await early.card()
    async with people.patient("ann") as ann:
        old = await people.add(ann, OLD)
        first = await ann.authorise(card, [old])
    async with people.patient("bob") as bob:
        bobs = await people.add(bob, OLD)
        await bob.authorise(card, [bobs])
    assert await people.read("early", old) == OLD
    await asyncio.to_thread(lost.back_up)

    await people.enrol_practitioner("late", "demo:2")
    async with people.patient("ann") as ann, people.doctor("late") as late:
        new = await people.add(ann, NEW)
        await ann.authorise(await late.card(), [old, new])
        await ann.revoke(first.entry.gid)
    assert await people.read("late", new) == NEW
    await people.restore_patient("bobs-new-device", bobs_kit)  # other keys of himself and of his record
    await people.enrol_patient("carl")
    async with people.patient("carl") as carl:
        carls = await people.add(carl, NEW)
    async with people.patient("ann") as ann:
        assert (await ann.log()).alarms == ()
    assert await people.read("late", old) == OLD  # which the patient's device does not know of
    await verify_logs(lost.instance.url, lost.instance.card, kept=KeptHeads(tmp_path / "heads"))

    await asyncio.to_thread(lost.lose)
    with pytest.raises(CoffreError):
        await people.read("late", new)  # the record waits for its holder's device
    async with people.patient("ann") as ann:
        await ann.sync()
        back = ann.given_back
        assert back is not None
        assert (back.changes, back.contents, back.lost, back.left) == (3, 1, [], 0)
        ann.files.copies.drop(next(each.ver for each in ann.documents() if each.doc == new))
        await ann.get(new, tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == NEW
    assert await people.read("late", new) == NEW
    async with people.doctor("early") as early:
        await early.sync()
        assert early.grants.get(first.entry.gid).said_ended
    async with people.patient("ann") as ann:
        later = await people.add(ann, OLD)
        report = await ann.log()
        assert report.alarms == ()
        assert readings(report) == ["list", "release", "list", "release", "release"]
        unknown = [entry for entry in report.entries if entry.kind == "lost"]
        assert [(entry.name, entry.documents) for entry in unknown] == [("Dr Claire Martin", ())]
        assert later in {each.doc for each in ann.documents()}
    async with people.patient("bobs-new-device") as bob:
        await people.add(bob, NEW)
        assert (await bob.log()).alarms == ()
    assert await people.read("early", bobs) == OLD
    async with people.patient("carl") as carl:
        await carl.sync()
        await carl.get(carls, tmp_path / "carls")
        await carl.mask(carls)
        assert (await carl.log()).alarms == ()
    await verify_logs(lost.instance.url, lost.instance.card, kept=KeptHeads(tmp_path / "heads"))


async def test_what_no_device_has_is_named(lost: LostInstance, tmp_path: Path) -> None:
    """The only device is lost with the server's newest data: the kit restores what is left, once a person says so."""
    people = People(lost, tmp_path)
    kit = await people.enrol_patient("ann")
    async with people.patient("ann") as ann:
        old = await people.add(ann, OLD)
    await asyncio.to_thread(lost.back_up)
    async with people.patient("ann") as ann:
        await people.add(ann, NEW)
    shutil.rmtree(tmp_path / "ann")
    await asyncio.to_thread(lost.lose)

    with pytest.raises(NotProven, match="declares to have lost its newest data"):
        await people.restore_patient("new-device", kit)
    with pytest.raises(NotPermitted, match="being restored"):
        async with people.patient("new-device") as ann:
            await people.add(ann, OLD)
    await people.restore_patient("new-device", kit, without_lost=True)
    async with people.patient("new-device") as ann:
        await people.add(ann, NEW)
        assert {each.doc for each in ann.documents()} > {old}
        alarms = (await ann.log()).alarms
        assert [alarm.code for alarm in alarms] == ["WITHHELD"]
        assert "declares that it was lost" in alarms[0].text
