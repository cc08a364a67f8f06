"""Backup and restore: whole or not at all, nothing of others' in it, nothing changed by a refusal."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto.errors import Damaged, Full, Malformed, NotPermitted, Unavailable
from crypto.vault_links import Tombstone
from crypto.wire import messages as m
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.record_story import Record, Stored, everything, founded
from tests.contract.vault_story import World
from vault_server import archive
from vault_server.__main__ import main
from vault_server.backup import back_up
from vault_server.program import exit_code
from vault_server.restore import restore
from vault_server.settings import Settings
from vault_server.store import snapshot
from vault_server.store.working_folder import working_folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def inside(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return path.stat().st_mode & 0o777


def members_of(backup: Path) -> dict[str, bytes]:
    """The files of a backup."""
    with backup.open("rb") as file:
        return {name: content.read() for name, content in archive.members(file)}


@pytest.fixture
def data(tmp_path: Path, running: InProcess) -> Path:
    """The data folder of the running server."""
    return tmp_path


@pytest.fixture
def backup(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a backup goes."""
    return tmp_path_factory.mktemp("backups") / "coffre.tar"


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a keeper's folder and an operator's, and no server."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("keeper-1", "operator"):
        (folder / name).mkdir()
        (folder / name / "own").write_bytes(name.encode())
    return folder


async def record_of(world: World, *documents: Stored) -> Record:
    """A record with these documents."""
    record = await founded(world)
    await record.add(*documents)
    return record


async def test_a_backup_of_a_running_server_serves_elsewhere(
    data: Path, backup: Path, elsewhere: Path, running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """Everything opens from the restored folder, and nobody else's files were in the backup or were touched."""
    whole, half, before = Stored.random(), Stored.random(), tree(elsewhere)
    record = await record_of(world, whole)
    await record.upload(half)
    back_up(Settings(data=data), backup, as_json=True)
    assert mode(backup) == 0o600
    assert inside(backup.parent) == [backup.name]
    assert len([name for name in members_of(backup) if name.startswith("ciphertext/")]) == 2
    assert {name.partition("/")[0] for name in members_of(backup)} == {
        "coffre.db",
        "keys",
        "trust-roots",
        "ciphertext",
    }
    restore(Settings(data=elsewhere), backup, as_json=True)
    after = tree(elsewhere)
    assert {name: after[name] for name in before} == before
    assert {name.partition("/")[0] for name in after} == {"keeper-1", "operator", "server"}
    (elsewhere / "operator" / "registrar.key").write_bytes((data / "operator" / "registrar.key").read_bytes())
    async with serving(elsewhere, keeper) as other:
        world.service = other
        query = m.CiphertextQuery(vault=record.id, request=None, ver=whole.ver, start=0)
        assert await everything(await record.holder.api(), query) == whole.data
        parts = tuple(part for part in half.parts)
        await record.append(await record.submission(half.step(), parts=parts))
        await record.add(Stored.random())


async def test_what_is_deleted_meanwhile_is_looked_for_in_a_newer_copy(
    data: Path, backup: Path, running: InProcess, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document deleted between database and ciphertext: the archive's database names only what is in the archive."""
    stays, goes = Stored.random(), Stored.random()
    record = await record_of(world, stays, goes)
    await delete(record, goes)
    earlier = tree(data / "server" / "ciphertext")
    taken: list[Path] = []

    def take(database: Path, to: Path) -> None:
        snapshot_take(database, to)
        if not taken:  # the first copy was made before the deletion
            with snapshot._opened(to) as copy:
                copy.execute("INSERT INTO upload_parts VALUES (?, ?, 0, ?)", (record.id, goes.ver, bytes(32)))
        taken.append(to)

    snapshot_take = snapshot.take
    monkeypatch.setattr(snapshot, "take", take)
    back_up(Settings(data=data), backup, as_json=True)
    assert len(taken) == 2
    files = members_of(backup)
    (backup.parent / "database").write_bytes(files["coffre.db"])
    named = {part.ver for part in snapshot.parts(backup.parent / "database", None)}
    assert named == {stays.ver}
    assert [name for name in files if goes.ver.hex() in name] == []
    assert tree(data / "server" / "ciphertext") == earlier


async def delete(record: Record, stored: Stored) -> None:
    """Have a document deleted."""
    await record.append(await record.submission(Tombstone(doc=stored.doc)))


async def test_lost_ciphertext_is_said(data: Path, backup: Path, running: InProcess, world: World) -> None:
    """A part that the newest database names and that is not there: no backup, and the part is named."""
    stored = Stored.random()
    await record_of(world, stored)
    (lost,) = (path for path in (data / "server" / "ciphertext").glob("*/*/*"))
    lost.unlink()
    with pytest.raises(Damaged, match=lost.parent.name):
        back_up(Settings(data=data), backup, as_json=True)
    assert inside(backup.parent) == []


async def test_a_backup_is_refused_where_it_would_harm(
    data: Path, backup: Path, elsewhere: Path, running: InProcess
) -> None:
    """Over another file, into a folder that is not there, of a folder without a server, beside another: no file is made."""
    settings = Settings(data=data)
    for to in (data / "server" / "coffre.db", elsewhere, elsewhere / "operator" / "own"):
        before = tree(to.parent)
        with pytest.raises(NotPermitted, match="there already"):
            back_up(settings, to, as_json=True)
        assert tree(to.parent) == before
    with pytest.raises(NotPermitted, match="is not a folder"):
        back_up(settings, elsewhere / "not mounted" / "coffre.tar", as_json=True)
    with pytest.raises(NotPermitted, match="no server"):
        back_up(Settings(data=elsewhere), backup, as_json=True)
    with working_folder(backup.with_name(".coffre.tar.part")), pytest.raises(NotPermitted, match="at work"):
        back_up(settings, backup, as_json=True)
    assert inside(backup.parent) == []


@pytest.mark.parametrize("name", ["link", "open"])
async def test_a_working_folder_of_somebody_elses_is_not_emptied(
    data: Path, backup: Path, elsewhere: Path, running: InProcess, name: str
) -> None:
    """A link laid where the work is done, or a folder that others may enter: refused, and nothing in it is touched."""
    part = backup.with_name(".coffre.tar.part")
    if name == "link":
        part.symlink_to(elsewhere)
    else:
        part.mkdir()
        part.chmod(0o755)
        (part / "own").write_bytes(b"own")
    before = tree(elsewhere), tree(backup.parent)
    with pytest.raises(
        NotPermitted if name == "open" else Unavailable, match=r"Nothing was done|No backup was made"
    ):
        back_up(Settings(data=data), backup, as_json=True)
    assert (tree(elsewhere), tree(backup.parent)) == before


async def test_a_full_disk_leaves_nothing(
    data: Path, backup: Path, running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for the archive: said in words, and what was begun is gone."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive.ArchiveWriter, "close", full)
    with pytest.raises(Full, match="No backup was made"):
        back_up(Settings(data=data), backup, as_json=True)
    assert inside(backup.parent) == []


async def test_a_cut_backup_or_restore_is_begun_again(
    data: Path, backup: Path, elsewhere: Path, running: InProcess
) -> None:
    """What a killed run left is not taken for anything, and gone after the next."""
    for left in (backup.with_name(".coffre.tar.part"), elsewhere / ".restoring"):
        (left / "server" / "keys").mkdir(parents=True)
        left.chmod(0o700)
        (left / "server" / "keys" / "log.key").write_bytes(b"half")
        (left / "archive").write_bytes(b"half")
        (left / "link").symlink_to(elsewhere / "operator")
    back_up(Settings(data=data), backup, as_json=True)
    restore(Settings(data=elsewhere), backup, as_json=True)
    assert inside(backup.parent) == [backup.name]
    assert inside(elsewhere) == ["keeper-1", "operator", "server"]
    assert (elsewhere / "operator" / "own").exists()
    assert len((elsewhere / "server" / "keys" / "log.key").read_bytes()) == 32


def flipped(backup: Path) -> None:
    """One bit of the signing key."""
    content = backup.read_bytes()
    at = content.index(members_of(backup)["keys/log.key"])
    backup.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def cut(backup: Path) -> None:
    """Its second half is missing."""
    os.truncate(backup, backup.stat().st_size // 2)


def another(backup: Path) -> None:
    """Not a backup at all."""
    backup.write_bytes(b"%PDF-1.7\n" * 1000)


@pytest.mark.parametrize("harm", [flipped, cut, another])
async def test_nothing_takes_its_place_before_all_is_verified(
    data: Path, backup: Path, elsewhere: Path, running: InProcess, harm: Callable[[Path], None]
) -> None:
    """A backup with a changed bit, a cut one, and another file: refused, and the folder is as it was."""
    back_up(Settings(data=data), backup, as_json=True)
    harm(backup)
    before = tree(elsewhere)
    with pytest.raises(Malformed, match="Nothing was restored"):
        restore(Settings(data=elsewhere), backup, as_json=True)
    assert tree(elsewhere) == before


async def test_a_server_is_never_written_over(data: Path, backup: Path, running: InProcess) -> None:
    """Where a server is, or half of one, nothing is restored."""
    back_up(Settings(data=data), backup, as_json=True)
    keys = tree(data / "server" / "keys")
    with pytest.raises(NotPermitted, match="is not empty"):
        restore(Settings(data=data), backup, as_json=True)
    assert tree(data / "server" / "keys") == keys
    assert not (data / ".restoring").exists()


async def test_a_name_that_comes_twice_is_refused(elsewhere: Path, tmp_path: Path) -> None:
    """No file of an archive replaces another one of it."""
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "twice.tar").open("wb") as file, (tmp_path / "manifest").open("w+b") as manifest:
        writer = archive.ArchiveWriter(file, manifest)
        for name in (*archive.NEEDED, "keys/log.key"):
            writer.add(name, tmp_path / "file")
        writer.close()
    before = tree(elsewhere)
    with pytest.raises(Unavailable, match="Nothing was restored"):
        restore(Settings(data=elsewhere), tmp_path / "twice.tar", as_json=True)
    assert tree(elsewhere) == before


async def test_the_commands_say_what_was_done(
    data: Path, backup: Path, elsewhere: Path, running: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words, JSON, exit codes: 0 done, 1 refused, 2 both at once, 3 no such file."""
    serve = ["serve", "--data", str(data)]
    assert main([*serve, "--backup", str(backup)]) == 0
    assert "keep it where nobody else can read it" in capsys.readouterr().out
    assert main([*serve, "--backup", str(backup)]) == 1
    assert "Choose a name" in capsys.readouterr().err
    there = ["serve", "--json", "--data", str(elsewhere), "--restore"]
    assert main([*there, str(backup.with_name("none"))]) == 3
    assert "none: No such file or directory. Nothing was restored." in capsys.readouterr().err
    assert main([*there, str(backup)]) == 0
    assert json.loads(capsys.readouterr().out) == {"restored": str(elsewhere / "server"), "files": 4}
    with pytest.raises(SystemExit) as usage:
        main([*serve, "--backup", "a", "--restore", "b"])
    assert usage.value.code == 2


def test_a_command_that_is_stopped_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in the middle of a backup shows no traceback."""

    def stopped() -> None:
        raise KeyboardInterrupt

    assert exit_code("coffre", stopped) == 130
    assert "stopped before it was done" in capsys.readouterr().err
