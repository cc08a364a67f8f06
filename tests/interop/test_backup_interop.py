"""A backup, read by the reader of the server and by one written from the format's page."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import Malformed
from tests.interop import backup_second as second
from vault_server import archive

VERSION = "ciphertext/ab/" + "cd" * 32 + "-ab" + "ef" * 15
CONTENT = {
    f"{VERSION}/000000": bytes(range(256)) * 5,
    f"{VERSION}/000001": b"",
    "coffre.db": b"SQLite format 3\0" + bytes(2000),
    "keys/directory.key": b"d" * 32,
    "keys/log.key": b"k" * 32,
    "trust-roots/1.json": b"{}",
}


def written(folder: Path, content: dict[str, bytes]) -> bytes:
    """An archive of ``content``."""
    file, manifest = io.BytesIO(), io.BytesIO()
    writer = archive.ArchiveWriter(file, manifest)
    for name, data in content.items():
        (folder / "file").write_bytes(data)
        writer.add(name, folder / "file")
    writer.close()
    return file.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    """What the server's reader finds; nothing when it refuses."""
    try:
        return {name: content.read() for name, content in archive.members(io.BytesIO(data))}
    except Malformed:
        return {}


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One backup."""
    return written(tmp_path_factory.mktemp("backup"), CONTENT)


def test_both_readers_find_the_same(backup: bytes) -> None:
    """Every file, under its name, in its order, with its bytes."""
    assert list(read(backup).items()) == list(second.files(backup).items()) == list(CONTENT.items())


@given(st.data())
def test_no_change_of_a_byte_changes_a_file(backup: bytes, data: st.DataObject) -> None:
    """Wherever a byte is changed, both readers refuse the archive, or find the very files that were put in."""
    at = data.draw(st.integers(0, len(backup) - 1))
    other = backup[at] ^ data.draw(st.integers(1, 255))
    changed = backup[:at] + bytes([other]) + backup[at + 1 :]
    assert read(changed) in ({}, CONTENT)
    try:
        assert second.files(changed) == CONTENT
    except ValueError:
        return


@given(st.data())
def test_a_backup_that_was_cut_is_refused(backup: bytes, data: st.DataObject) -> None:
    """Cut anywhere before the end of its last file, it is no backup."""
    end = len(backup.rstrip(b"\0"))
    cut = backup[: data.draw(st.integers(0, end - 1))]
    assert read(cut) == {}
    with pytest.raises(ValueError, match=r".*"):
        second.files(cut)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {name: data for name, data in CONTENT.items() if name != "keys/log.key"},
        {name: data for name, data in CONTENT.items() if name != "coffre.db"},
        {**CONTENT, "../outside": b"x"},
        {**CONTENT, "/etc/passwd": b"x"},
        {**CONTENT, "keys/../../keeper-1/keys/cosigning.key": b"x"},
        {**CONTENT, "coffre.db-wal": b"x"},
        {**CONTENT, f"{VERSION}/000002\n": b"x"},
    ],
    ids=["empty", "no key", "no database", "outside", "absolute", "climbing", "journal", "newline"],
)
def test_both_refuse_what_is_no_server(tmp_path: Path, content: dict[str, bytes]) -> None:
    """Files of other names, or fewer than a server needs, are refused although every hash is right."""
    data = written(tmp_path, content)
    assert read(data) == {}
    with pytest.raises(ValueError, match=r".*"):
        second.files(data)
