"""What the rounds found, each made to happen on purpose."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Never

import msgspec
import pytest

from crypto.errors import NotPermitted, Stale
from crypto.sealed.recovery import KitFile
from crypto.secret_bytes import SecretBytes
from tests.support.instance import Instance, running
from vault_client import identity_enrolment
from vault_client.device_store import DeviceStore
from vault_client.grant_changes import GrantChanges
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner


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


async def test_an_enrolment_goes_on_with_the_kit_it_handed_out(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut once its link was published: nobody begins anew beside it, the next opening has the identity of the kit, and its name."""
    folder, key, kits = tmp_path / "patient", SecretBytes.random(), []
    store = DeviceStore.create_with_key(folder, key)
    with monkeypatch.context() as cut:
        cut.setattr(DeviceStore, "put", _dying_at("profile", DeviceStore.put))
        with pytest.raises(Cut):
            await Patient.begin(store, folder, person="Ada", card=instance.card, keep_kit=kits.append)
    again = DeviceStore.open_with_key(folder, key)
    with pytest.raises(NotPermitted, match="coffre patient list"):
        await Patient.begin(again, folder, card=instance.card, keep_kit=kits.append)
    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
        assert [kit.identity for kit in kits] == [patient.own.identity]
        vault, person = patient.vault, patient.replica.local.keyring.person
        assert person is not None
        assert person.name == "Ada"
    elsewhere = DeviceStore.create_with_key(tmp_path / "elsewhere", SecretBytes.random())
    kit = kits[0]
    how = {"kit": kit.kit, "card": instance.card, "identity": kit.identity, "vault": None}
    async with await Patient.restore(elsewhere, tmp_path / "elsewhere", **how) as restored:
        assert restored.vault == vault


@pytest.mark.parametrize("wrong", [-7200, 7200])
async def test_an_enrolment_whose_answer_was_not_believed_is_gone_on_with(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """The link is published, and its proof not believed as the clock here is wrong: once it is right, the kit is good."""
    folder, key, kits = tmp_path / "doctor", SecretBytes.random(), []
    store = DeviceStore.create_with_key(folder, key)
    with monkeypatch.context() as mistaken:
        mistaken.setattr(time, "time", lambda real=time.time: real() + wrong)
        with pytest.raises(Stale):
            await Practitioner.begin(store, folder, card=instance.card, keep_kit=kits.append)
    async with await Practitioner.resume(DeviceStore.open_with_key(folder, key), folder) as doctor:
        assert [kit.identity for kit in kits] == [doctor.own.identity]


async def test_an_enrolment_that_was_refused_is_begun_anew(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server will not have keeps nobody from enrolling in the same folder."""
    folder, key, kits = tmp_path / "doctor", SecretBytes.random(), []

    async def no(*_: object) -> Never:
        raise NotPermitted("Nobody new is taken today.")

    store = DeviceStore.create_with_key(folder, key)
    with monkeypatch.context() as refusing:
        refusing.setattr(identity_enrolment, "publish", no)
        with pytest.raises(NotPermitted, match="today"):
            await Practitioner.begin(store, folder, card=instance.card, keep_kit=kits.append)
    store = DeviceStore.open_with_key(folder, key)
    async with await Practitioner.begin(store, folder, card=instance.card, keep_kit=kits.append) as doctor:
        assert doctor.own.identity == kits[1].identity


async def test_an_enrolment_at_another_server_is_begun_anew(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun at a server that is not meant keeps nobody from enrolling in the same folder, also with a kit."""
    folder, key = tmp_path / "doctor", SecretBytes.random()
    store, kits = DeviceStore.create_with_key(folder, key), []
    with monkeypatch.context() as cut:
        cut.setattr(identity_enrolment, "publish", _cut)
        with pytest.raises(Cut):
            await Practitioner.begin(store, folder, card=instance.card, keep_kit=kits.append)
    same = msgspec.structs.replace(instance.card, url=f"{instance.card.url.upper()}/")
    store = DeviceStore.open_with_key(folder, key)
    with pytest.raises(NotPermitted, match="coffre practitioner list"):
        await Patient.begin(store, folder, card=same, keep_kit=kits.append)
    other = msgspec.structs.replace(instance.card, url=instance.card.url.replace("127.0.0.1", "localhost"))
    assert other != instance.card
    store = DeviceStore.open_with_key(folder, key)
    async with await Practitioner.begin(store, folder, card=other, keep_kit=kits.append) as doctor:
        assert doctor.own.identity == kits[1].identity != kits[0].identity


async def test_a_restore_is_not_done_before_what_is_shared_is_keyed_anew(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut between the new keys and the grants under them, a restore is gone on with by the same command."""
    kits: list[KitFile] = []
    async with (
        await instance.patient(tmp_path / "patient", kits.append) as patient,
        await instance.practitioner(tmp_path / "doctor") as doctor,
    ):
        document = await patient.add(_text(tmp_path, "shared"))
        await patient.authorise(await doctor.card(), [document.doc])
        vault = patient.vault
    folder, key = tmp_path / "restored", SecretBytes.random()
    store = DeviceStore.create_with_key(folder, key)
    how = {"kit": kits[0].kit, "card": instance.card, "identity": kits[0].identity, "vault": vault}
    with monkeypatch.context() as cut:
        cut.setattr(GrantChanges, "renew", _cut)
        with pytest.raises(Cut):
            await Patient.restore(store, folder, **how)
    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as half:
        assert half.is_restoring
    store = DeviceStore.open_with_key(folder, key)
    async with await Patient.restore(store, folder, **how) as restored:
        (grant,) = restored.grants()
        assert grant.entry.epoch == restored.replica.epoch().epoch
        assert not restored.is_restoring


async def _cut(*_: object) -> None:
    raise Cut


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
