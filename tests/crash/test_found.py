"""What the rounds found, each made to happen on purpose."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.instance import Instance, running
from vault_client.device_store import DeviceStore


class Cut(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One server and its keeper."""
    with running(tmp_path_factory.mktemp("cut") / "data") as started:
        yield started


async def test_a_delivery_is_taken_in_once(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before its place in the mailbox is noted, a delivery is taken in at the next start, and nobody is accused."""
    patient = await instance.patient(tmp_path / "patient")
    doctor = await instance.practitioner(tmp_path / "doctor")
    async with patient, doctor:
        document = await patient.add(_text(tmp_path, "letter"))
        await patient.authorise(await doctor.card(), [document.doc])
        with monkeypatch.context() as cut:
            cut.setattr(DeviceStore, "put", _dying_at("mailbox", DeviceStore.put))
            with pytest.raises(Cut):
                await doctor.sync()
        assert await doctor.sync() == []
        assert [each.document.doc for each in await doctor.listing()] == [document.doc]


async def test_a_reader_is_not_accused_of_what_was_not_delivered(instance: Instance, tmp_path: Path) -> None:
    """A grant extended since the mailbox was read, under a head shown since by a receipt: reading it raises no alarm."""
    patient = await instance.patient(tmp_path / "patient")
    doctor = await instance.practitioner(tmp_path / "doctor")
    async with patient, doctor:
        first, second, third = [await patient.add(_text(tmp_path, text)) for text in ("one", "two", "three")]
        card = await doctor.card()
        await patient.authorise(card, [first.doc])
        grant = await patient.authorise(card, [second.doc])
        assert await doctor.sync() == []
        await doctor.listing()
        granted = {each.document.doc: each for each in doctor.documents()}
        await patient.extend(grant.entry.gid, [third.doc])
        for document in (first, second):  # the first receipt shows the head that has the extension below it
            await doctor.read(granted[document.doc], tmp_path / document.doc.hex())
        assert (await patient.log()).alarms == ()


def _text(folder: Path, text: str) -> Path:
    (folder / f"{text}.txt").write_text(text)
    return folder / f"{text}.txt"


Put = Callable[[DeviceStore, str, msgspec.Struct], None]


def _dying_at(name: str, put: Put) -> Put:
    def dying(store: DeviceStore, record: str, body: msgspec.Struct) -> None:
        if record == name:
            raise Cut
        put(store, record, body)

    return dying
