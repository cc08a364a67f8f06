"""Whose record it is said to be: what the founding committed to, or nothing."""

from pathlib import Path

import msgspec
import pytest

from crypto.encoding import decode
from crypto.errors import NotPermitted
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import Genesis, Person, person_commitment
from tests.adversary.story import Story
from tests.support.instance import Instance
from vault_client import practitioner
from vault_client.device_store import DeviceStore
from vault_client.local_vault import ToBeFounded
from vault_client.patient import Patient

NAME = "Camille Exemple"


async def named(instance: Instance, folder: Path) -> Patient:
    """A patient who says who the record is about."""
    store = DeviceStore.create_with_key(folder, SecretBytes.random())
    return await Patient.begin(
        store, folder, person=f" {NAME}\u200f\n", card=instance.card, keep_kit=lambda _: None
    )


async def shared(story: Story, patient: Patient, folder: Path) -> None:
    """A document of ``patient`` is granted to the reader of the story."""
    source = folder / "a.txt"
    source.write_bytes(b"a")
    document = await patient.add(source)
    await patient.authorise(await story.reader.card(), [document.doc])
    assert await story.reader.sync() == []


async def test_a_reader_is_told_whose_record_it_is(instance: Instance, story: Story, tmp_path: Path) -> None:
    """The name, made fit to be signed, reaches the reader; a record of nobody named says nobody."""
    async with await named(instance, tmp_path / "named") as patient:
        assert patient.replica.local.keyring.person is not None
        assert patient._store.get("founding", ToBeFounded) is None
        await shared(story, patient, tmp_path)
        listed = {entry.vault: entry.person for entry in await story.reader.listing()}
        assert listed == {patient.replica.vault: NAME, story.patient.replica.vault: ""}


async def test_a_record_of_somebody_else_is_not_believed(
    instance: Instance, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that names another person than the founding is refused."""
    async with await named(instance, tmp_path / "named") as patient:
        keyring = patient.replica.local.keyring
        other = Person(salt=keyring.person.salt, name="Somebody Else")
        lying = msgspec.structs.replace(
            patient.replica.local, keyring=msgspec.structs.replace(keyring, person=other)
        )
        patient._store.put("vault", lying)
        await shared(story, patient, tmp_path)
        await story.reader.listing()
        assert [type(why) for why in story.reader.set_aside().values()] == [NotPermitted]
        assert all(entry.vault != patient.replica.vault for entry in story.reader.documents())
        # Without the check it would be shown.
        monkeypatch.setattr(practitioner, "check_person", lambda person, commitment: None)
        assert "Somebody Else" in {entry.person for entry in await story.reader.listing()}


async def test_nobody_named_is_committed_to_with_a_salt(story: Story) -> None:
    """Without a name the keyring names nobody, and the commitment says nothing about that."""
    local = story.patient.replica.local
    assert local.keyring.person is None
    assert decode(local.genesis.body, Genesis).person != person_commitment(bytes(32), "")
