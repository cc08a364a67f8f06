"""The copies of ciphertext in a profile."""

from collections import namedtuple
from pathlib import Path

import pytest

from crypto.errors import Damaged, Full
from vault_client import ciphertext_replica
from vault_client.ciphertext_replica import ROOM, CiphertextReplica

VER, OTHER = bytes(16), bytes([1] * 16)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    """A ciphertext on its way."""
    file = tmp_path / "spooled"
    file.write_bytes(b"ciphertext")
    return file


def test_a_copy_is_taken_over_and_found_by_its_length(tmp_path: Path, spooled: Path) -> None:
    """The file itself becomes the copy; one of another length, or another version, is not it."""
    copies = CiphertextReplica(tmp_path)
    copies.keep(VER, spooled)
    assert not spooled.exists()
    found = copies.find(VER, 10)
    assert found is not None
    assert found.read_bytes() == b"ciphertext"
    assert copies.find(VER, 11) is None
    assert copies.find(OTHER, 10) is None
    copies.drop(VER)
    copies.drop(VER)
    assert copies.find(VER, 10) is None


def test_without_room_nothing_is_kept(tmp_path: Path, spooled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last room of a disk is left alone, and the file stays with whoever offered it."""
    copies, free = CiphertextReplica(tmp_path), ROOM - 1
    monkeypatch.setattr(ciphertext_replica.shutil, "disk_usage", lambda _: Usage(0, 0, free))
    with pytest.raises(Full, match="the server has it"):
        copies.keep(VER, spooled)
    assert spooled.read_bytes() == b"ciphertext"
    free = ROOM
    copies.check_room(0)
    with pytest.raises(Full):
        copies.check_room(1)


def test_only_copies_that_are_not_wanted_are_removed(tmp_path: Path, spooled: Path) -> None:
    """Other versions go; what is not named as a copy stays."""
    copies = CiphertextReplica(tmp_path)
    copies.keep(VER, spooled)
    folder = tmp_path / ciphertext_replica.FOLDER
    (folder / OTHER.hex()).write_bytes(b"old")
    (folder / "mine").write_text("mine")
    copies.keep_only([VER])
    assert {file.name for file in folder.iterdir()} == {VER.hex(), "mine"}


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Nothing is written or removed in a folder that is not the profile's own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ciphertext_replica.FOLDER).symlink_to(elsewhere)
    with pytest.raises(Damaged, match="Move it away"):
        CiphertextReplica(tmp_path)
