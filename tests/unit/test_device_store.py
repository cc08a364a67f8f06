"""The sealed local store: what it keeps, what it shows on disk, and what it does when things break."""

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.encoding import Body, Natural, SecretBody
from crypto.errors import CannotOpen, Conflict, Damaged, Full, Malformed, NotPermitted, TooLarge
from crypto.sealed.local_records import MAX_RECORD, LocalRecords
from crypto.secret_bytes import SecretBytes
from vault_client import profile_file
from vault_client.device_store import DeviceStore
from vault_client.profile_file import FILE, LOCK

KEY = SecretBytes(bytes(range(32)))
PASSPHRASE = "quatre mots bien choisis"


class Note(Body, frozen=True):
    """A record of these tests."""

    number: Natural
    text: str


class Secret(SecretBody, frozen=True):
    """A record that holds bytes."""

    material: bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the profile goes."""
    return tmp_path / "profile"


@pytest.fixture
def store(folder: Path) -> Iterator[DeviceStore]:
    """An empty profile."""
    with DeviceStore.create_with_key(folder, KEY) as store:
        yield store


def _note(number: int, text: str = "") -> Note:
    return Note(number=number, text=text)


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def _python(script: str, *arguments: object) -> subprocess.Popen[str]:
    prelude = """
        import resource, sys
        from pathlib import Path
        from crypto.errors import Conflict, Damaged, Full
        from crypto.secret_bytes import SecretBytes
        from tests.unit.test_device_store import Note
        from vault_client.device_store import DeviceStore
        folder, key = Path(sys.argv[1]), SecretBytes(bytes(range(32)))
    """
    lines = [line[8:] for line in (prelude + script).splitlines()]
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


# What it keeps


def test_records_outlive_the_process_that_wrote_them(folder: Path) -> None:
    """What was put is there at the next opening; what was never put, or was deleted, is None."""
    with DeviceStore.create_with_key(folder, KEY) as store:
        store.put("state", _note(1))
        store.put("state", _note(2))
        store.put("gone", _note(3))
        store.delete("gone")
        store.delete("never there")
    with DeviceStore.open_with_key(folder, KEY) as store:
        assert store.get("state", Note) == _note(2)
        assert store.get("gone", Note) is None
        assert store.get("never there", Note) is None


def test_a_group_is_what_stands_before_the_first_slash(store: DeviceStore) -> None:
    """A scan finds the records of its group, all of them and no other."""
    for name in ("document", "document/1", "document/1/2", "documents/3", "state"):
        store.put(name, _note(len(name), name))
    found = dict(store.scan("document", Note))
    assert found == {name: _note(len(name), name) for name in ("document", "document/1", "document/1/2")}
    assert store.names("document") == sorted(found)
    assert store.names("nothing") == []
    for look in (lambda: list(store.scan("document/1", Note)), lambda: store.names("document/1")):
        with pytest.raises(Malformed):  # it would find what stands under "document" too
            look()


def test_a_scan_may_write(store: DeviceStore) -> None:
    """Records written, added and deleted during a scan neither break it nor turn up twice."""
    for number in range(20):
        store.put(f"document/{number}", _note(number))
    seen = []
    for name, note in store.scan("document", Note):
        seen.append(name)
        store.put(name, _note(note.number + 100))
        store.put(f"document/new-{note.number}", _note(0))
        store.delete("document/7" if name != "document/7" else "document/8")
    assert len(seen) == len(set(seen)) == 19
    assert not any("new" in name for name in seen)


@pytest.mark.parametrize(
    ("name", "body", "refusal"),
    [
        ("", _note(1), Malformed),
        ("n" * 257, _note(1), Malformed),
        ("/state", _note(1), Malformed),
        ("state", Note(number=-1, text=""), Malformed),
        ("state", _note(1, "\u202e"), Malformed),
        ("state", Secret(material=bytes(MAX_RECORD)), TooLarge),
    ],
    ids=["no name", "a long name", "no group", "out of range", "text that may not be signed", "too large"],
)
def test_nothing_is_stored_that_could_not_be_read_back(
    store: DeviceStore, name: str, body: Note | Secret, refusal: type[Exception]
) -> None:
    """An unfit name or body is refused, and the record there before stays."""
    store.put("state", _note(5))
    with pytest.raises(refusal):
        store.put(name, body)
    assert store.get("state", Note) == _note(5)


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=40).filter(lambda name: name[0] != "/"), st.binary(max_size=2000))
def test_a_sealed_record_opens_to_itself(name: str, body: bytes) -> None:
    """Any name and body come back from under their tag."""
    records = LocalRecords(KEY)
    assert records.open(records.tag(name), records.seal(name, body)) == (name, body)


def test_derived_values_are_those_of_the_format_page() -> None:
    """The check, tags and group tag of the worked example, computed there by another HKDF."""
    records = LocalRecords(KEY)
    page = (Path(__file__).parents[2] / "docs/format/profile.md").read_text()
    for value in (
        records.check,
        records.tag("state"),
        records.tag("document/00ff"),
        records.group_tag("document/00ff"),
    ):
        assert value.hex() in page


def test_a_record_opens_only_in_its_row() -> None:
    """Moved to another row, flipped anywhere or sealed by another key, a record does not open."""
    records = LocalRecords(KEY)
    sealed = records.seal("state", b"body")
    with pytest.raises(CannotOpen):
        records.open(records.tag("other"), sealed)
    with pytest.raises(CannotOpen):
        LocalRecords(SecretBytes(bytes(32))).open(records.tag("state"), sealed)
    for at in range(len(sealed)):
        with pytest.raises(CannotOpen):
            records.open(records.tag("state"), sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


# Writes that belong together


def test_a_transaction_is_all_or_nothing(store: DeviceStore) -> None:
    """An exception inside undoes every write of the block; the store goes on."""
    store.put("a", _note(1))

    def fail() -> None:
        with store.transaction():
            store.put("a", _note(2))
            store.put("b", _note(2))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (store.get("a", Note), store.get("b", Note)) == (_note(1), None)
    with store.transaction():
        store.put("a", _note(3))
        store.put("b", _note(3))
        assert store.get("b", Note) == _note(3)
    assert (store.get("a", Note), store.get("b", Note)) == (_note(3), _note(3))


def test_transactions_do_not_nest(store: DeviceStore) -> None:
    """A second one inside is refused, and the refusal undoes the first."""

    def nest() -> None:
        with store.transaction():
            store.put("a", _note(1))
            with store.transaction():
                store.put("b", _note(1))

    with pytest.raises(Conflict):
        nest()
    assert store.get("a", Note) is None


def test_kill_9_leaves_the_old_state_or_the_new(folder: Path) -> None:
    """However the writer dies, two records written together agree and no acknowledged write is missing."""
    DeviceStore.create_with_key(folder, KEY).close()
    for delay in (1, 40, 90):
        writer = _python(
            """
        with DeviceStore.open_with_key(folder, key) as store:
            number = store.get("a", Note).number if store.get("a", Note) else 0
            while True:
                number += 1
                with store.transaction():
                    store.put("a", Note(number=number, text="x" * 4000))
                    store.put("b", Note(number=number, text="y" * 4000))
                print(number, flush=True)
            """,
            folder,
        )
        assert writer.stdout
        acknowledged = [int(writer.stdout.readline()) for _ in range(delay)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        writer.stdout.close()
        with DeviceStore.open_with_key(folder, KEY) as store:
            first, second = store.get("a", Note), store.get("b", Note)
        assert first
        assert second
        assert first.number == second.number
        assert first.number - acknowledged[-1] in (0, 1)


# What it shows


def test_the_disk_shows_neither_names_nor_values(folder: Path) -> None:
    """No run of 8 bytes of a stored name or value is in any file, while open and after closing."""
    names = ["state/of-the-patient", "document/c0ffee00c0ffee00"]
    value = Secret(material=random.Random(1).randbytes(5000))
    text = _note(7, "Hypertension artérielle, traitement par ramipril. " * 40)
    hidden = [name.encode() for name in names] + [value.material, text.text.encode(), KEY.reveal()]
    runs = {whole[at : at + 8] for whole in hidden for at in range(len(whole) - 7)}
    with DeviceStore.create_with_key(folder, KEY) as store:
        store.put(names[0], value)
        store.put(names[1], text)
        while_open = _files(folder)
    after = _files(folder)
    for shown in (while_open, after):
        assert len(shown) > 10_000
        assert not runs & {shown[at : at + 8] for at in range(len(shown) - 7)}


def test_sizes_are_padded() -> None:
    """Records of somewhat different lengths take the same room."""
    records = LocalRecords(KEY)
    assert len({len(records.seal("state", bytes(length))) for length in range(240)}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX")
def test_only_its_owner_can_read_it(folder: Path) -> None:
    """The folder is 0700 and every file in it 0600, also after someone loosened them."""
    DeviceStore.create_with_key(folder, KEY).close()
    folder.chmod(0o755)
    (folder / FILE).chmod(0o644)
    with DeviceStore.open_with_key(folder, KEY) as store:
        store.put("state", _note(1))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.name for path in folder.iterdir()} == {FILE, f"{FILE}-wal", LOCK}
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_deleted_record_leaves_the_file(folder: Path) -> None:
    """What was deleted is not in the closed file, even sealed."""
    with DeviceStore.create_with_key(folder, KEY) as store:
        store.put("state", _note(1, "x" * 3000))
    before = (folder / FILE).read_bytes()
    with sqlite3.connect(folder / FILE) as database:
        sealed: bytes = database.execute("SELECT sealed FROM record").fetchone()[0]
    database.close()
    assert sealed[-500:] in before
    with DeviceStore.open_with_key(folder, KEY) as store:
        store.delete("state")
    assert sealed[-500:] not in _files(folder)


# Who may open it


def test_the_passphrase_opens_it_and_no_other(folder: Path) -> None:
    """The real passphrase opens the profile; another is refused in words and leaves it free for the next try."""
    with DeviceStore.create(folder, PASSPHRASE) as store:
        store.put("state", _note(1))
    with pytest.raises(CannotOpen, match="Wrong passphrase or damaged profile"):
        DeviceStore.open(folder, PASSPHRASE + "!")
    with DeviceStore.open(folder, PASSPHRASE) as store:
        assert store.get("state", Note) == _note(1)


def test_another_key_is_refused(folder: Path) -> None:
    """A key that is not the profile's is refused at opening, not at the first record."""
    DeviceStore.create_with_key(folder, KEY).close()
    with pytest.raises(CannotOpen):
        DeviceStore.open_with_key(folder, SecretBytes(bytes(32)))
    with pytest.raises(Malformed):
        DeviceStore.open_with_key(folder, SecretBytes(bytes(31)))
    with pytest.raises(NotPermitted):
        DeviceStore.open(folder, PASSPHRASE)
    DeviceStore.open_with_key(folder, KEY).close()


def test_a_profile_is_not_made_over_another(folder: Path) -> None:
    """Creating where a profile is changes nothing."""
    DeviceStore.create_with_key(folder, KEY).close()
    before = (folder / FILE).read_bytes()
    with pytest.raises(Conflict, match="already"):
        DeviceStore.create_with_key(folder, KEY)
    with pytest.raises(Conflict, match="already"):
        DeviceStore.create(folder, PASSPHRASE)
    assert (folder / FILE).read_bytes() == before


def test_an_unfinished_creation_does_not_stand_in_the_way(folder: Path) -> None:
    """What a creation that was killed left behind is replaced by the next."""
    folder.mkdir()
    (folder / f"{FILE}.new").write_bytes(b"half")
    DeviceStore.create_with_key(folder, KEY).close()
    assert {path.name for path in folder.iterdir()} == {FILE, LOCK}


def test_an_unfit_passphrase_makes_no_profile(folder: Path) -> None:
    """Nothing is left where creating was refused, so that the next try can succeed."""
    with pytest.raises(Malformed):
        DeviceStore.create(folder, "")
    DeviceStore.create_with_key(folder, KEY).close()


def test_one_process_at_a_time(folder: Path) -> None:
    """A second process is refused while the first has the profile, and not after it is closed."""
    script = """
        try:
            DeviceStore.open_with_key(folder, key).close()
            print("opened")
        except Conflict as refusal:
            print(refusal)
    """
    with DeviceStore.create_with_key(folder, KEY):
        assert "open in another program" in _python(script, folder).communicate()[0]
        with pytest.raises(Conflict):
            DeviceStore.open_with_key(folder, KEY)
    assert _python(script, folder).communicate()[0] == "opened\n"


def test_closing_twice_is_closing_once(folder: Path) -> None:
    """A closed store may be closed again, and does nothing else."""
    store = DeviceStore.create_with_key(folder, KEY)
    store.close()
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.get("state", Note)


# What breaks


def test_a_missing_profile_is_said_and_not_made(folder: Path) -> None:
    """Opening where nothing is creates nothing, not even the folder."""
    with pytest.raises(Damaged, match="no profile"):
        DeviceStore.open_with_key(folder, KEY)
    assert not folder.exists()


@pytest.mark.parametrize(
    "content", [b"", b"x" * 5000, b"SQLite format 3\0" + bytes(4080)], ids=["empty", "text", "zeros"]
)
def test_another_file_is_not_touched(folder: Path, content: bytes) -> None:
    """A file that is not a profile is refused as it is, and the write-ahead log beside it stays."""
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    (folder / f"{FILE}-wal").write_bytes(b"the last writes")
    with pytest.raises(Damaged, match="Nothing was changed"):
        DeviceStore.open_with_key(folder, KEY)
    assert (folder / FILE).read_bytes() == content
    assert (folder / f"{FILE}-wal").read_bytes() == b"the last writes"


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 2",
        "UPDATE profile SET suite = 'coffre-0'",
        "INSERT INTO profile SELECT * FROM profile",
        "DELETE FROM profile",
        "DROP INDEX record_by_group",
        "CREATE TRIGGER planted AFTER INSERT ON record BEGIN DELETE FROM record; END",
    ],
)
def test_another_form_is_refused(folder: Path, change: str) -> None:
    """A file whose version, suite, tables, indexes or triggers are not those of the format is not used."""
    DeviceStore.create_with_key(folder, KEY).close()
    with sqlite3.connect(folder / FILE) as database:
        database.execute(change)
    database.close()
    with pytest.raises(Damaged):
        DeviceStore.open_with_key(folder, KEY)


def test_a_flipped_byte_is_found_or_harmless(folder: Path, tmp_path: Path) -> None:
    """Whatever byte of the file is spoilt, what is read is right, or nothing is: no record vanishes or changes."""
    notes = {f"document/{number}": _note(number, "x" * number * 50) for number in range(12)}
    with DeviceStore.create_with_key(folder, KEY) as store, store.transaction():
        for name, note in notes.items():
            store.put(name, note)
    whole = (folder / FILE).read_bytes()
    found = 0
    draw = random.Random(1)
    places = [*range(0, 100, 3), *draw.sample(range(100, len(whole)), 250)]
    for count, at in enumerate(places):
        spoilt = tmp_path / str(count)
        spoilt.mkdir()
        (spoilt / FILE).write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :]
        )
        try:
            with DeviceStore.open_with_key(spoilt, KEY) as store:
                assert {name: store.get(name, Note) for name in notes} == notes
                assert dict(store.scan("document", Note)) == notes
        except (Damaged, CannotOpen):
            found += 1
        shutil.rmtree(spoilt)
    assert found > len(places) // 4


def test_a_cut_file_is_damaged(folder: Path) -> None:
    """A file that lost its end is refused with what to do."""
    with DeviceStore.create_with_key(folder, KEY) as store:
        store.put("state", _note(1, "x" * 4000))
    os.truncate(folder / FILE, (folder / FILE).stat().st_size - 4096)
    with pytest.raises(Damaged, match="Restore the profile from a copy"):
        DeviceStore.open_with_key(folder, KEY)


def test_a_damaged_record_is_said_and_the_others_stay(folder: Path) -> None:
    """One spoilt record is Damaged when it is read; the rest can be saved."""
    with DeviceStore.create_with_key(folder, KEY) as store:
        store.put("spoilt", _note(1))
        store.put("whole", _note(2))
    with sqlite3.connect(folder / FILE) as database:
        tag = LocalRecords(KEY).tag("spoilt")
        database.execute("UPDATE record SET sealed = zeroblob(length(sealed)) WHERE tag = ?", (tag,))
    database.close()
    with DeviceStore.open_with_key(folder, KEY) as store:
        with pytest.raises(Damaged, match="Nothing was changed"):
            store.get("spoilt", Note)
        assert store.get("whole", Note) == _note(2)


def test_a_record_of_another_form_is_not_guessed_at(store: DeviceStore) -> None:
    """A record that is not of the kind asked for is Damaged, and stays."""
    store.put("state", Secret(material=b"bytes"))
    with pytest.raises(Damaged, match="another form"):
        store.get("state", Note)
    assert store.get("state", Secret) == Secret(material=b"bytes")


def test_a_foreign_reader_is_said(folder: Path) -> None:
    """A program that holds the file open without the lock is named as the cause."""
    DeviceStore.create_with_key(folder, KEY).close()
    other = sqlite3.connect(folder / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Conflict, match="another program"):
        DeviceStore.open_with_key(folder, KEY)
    other.execute("ROLLBACK")
    other.close()
    DeviceStore.open_with_key(folder, KEY).close()


def test_a_full_disk_loses_nothing(folder: Path) -> None:
    """When a disk refuses a write it is said, the group is undone, and everything acknowledged is still there."""
    script = """
        with DeviceStore.create_with_key(folder, key) as store:
            store.put("state", Note(number=1, text=""))
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            number = 1
            try:
                while True:
                    with store.transaction():
                        store.put("state", Note(number=number + 1, text="x" * 3000))
                        store.put(f"document/{number + 1}", Note(number=number + 1, text="y" * 3000))
                    number += 1
            except Full:
                print(number, store.get("state", Note).number)
    """
    acknowledged, read_back = map(int, _python(script, folder).communicate()[0].split())
    assert acknowledged == read_back > 1
    with DeviceStore.open_with_key(folder, KEY) as store:
        state = store.get("state", Note)
        assert state
        assert state.number == acknowledged
        assert len(store.names("document")) == acknowledged - 1
        store.put("state", _note(0))


def test_a_group_that_met_a_full_disk_is_not_finished(store: DeviceStore) -> None:
    """Writes after the failed one are not stored alone, even when the caller went on regardless."""
    store.put("state", _note(1))
    store._database.execute("PRAGMA max_page_count = 12")

    def fill() -> None:
        for number in range(100):
            store.put(f"document/{number}", _note(number, "x" * 4000))

    def go_on_regardless() -> None:
        with store.transaction():
            store.put("state", _note(2))
            with pytest.raises(Full):
                fill()
            store._database.execute("PRAGMA max_page_count = 1000000")
            store.put("late", _note(3))

    with pytest.raises(Full, match="earlier write"):
        go_on_regardless()
    assert store.get("state", Note) == _note(1)
    assert store.get("late", Note) is None
    assert store.names("document") == []


def test_no_room_to_create(folder: Path) -> None:
    """A disk too full for a profile gets none, not half of one."""
    script = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
        try:
            DeviceStore.create_with_key(folder, key)
        except Full as refusal:
            print(refusal)
    """
    assert "Make room" in _python(script, folder).communicate()[0]
    assert {path.name for path in folder.iterdir()} == {LOCK}
    DeviceStore.create_with_key(folder, KEY).close()


# What stands in its place


@pytest.mark.skipif(sys.platform == "win32", reason="pipes in folders are POSIX")
@pytest.mark.parametrize("name", [FILE, LOCK, f"{FILE}-wal", f"{FILE}-journal"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder: Path, name: str) -> None:
    """Nobody writes into it: opening is refused instead of hanging, and says where to look."""
    DeviceStore.create_with_key(folder, KEY).close()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    script = """
        try:
            DeviceStore.open_with_key(folder, key)
        except Damaged as refusal:
            print(refusal)
    """
    opening = _python(script, folder)
    try:
        said = opening.communicate(timeout=60)[0]
    finally:
        opening.kill()
    assert (name in said, "Check its folder" in said, "copy" in said) == (True, True, False)


def test_what_the_system_refuses_is_not_called_damage(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place one may not write in, or that is no folder, is named; a copy of the profile would not help."""
    DeviceStore.create_with_key(folder, KEY).close()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Damaged, match="Check its folder"):
        DeviceStore.create_with_key(tmp_path / "file", KEY)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    for owner, name in ((Path, "chmod"), (os, "open")):
        with monkeypatch.context() as strict:
            strict.setattr(owner, name, refused)
            with pytest.raises(Damaged, match=f"{folder}: Permission denied.*Check its folder"):
                DeviceStore.open_with_key(folder, KEY)
    database = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
    with pytest.raises(Damaged, match="Check its folder"), profile_file.plainly():
        database.execute("DELETE FROM record")
    database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX")
def test_a_folder_in_other_use_is_not_shut(folder: Path) -> None:
    """A folder that others may enter is taken when it is empty, and left as it is when it holds anything."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "mine").write_text("mine")
    with pytest.raises(NotPermitted, match="others may enter"):
        DeviceStore.create_with_key(folder, KEY)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert [path.name for path in folder.iterdir()] == ["mine"]
    (folder / "mine").unlink()
    (folder / f"{FILE}.new").write_bytes(b"half")
    DeviceStore.create_with_key(folder, KEY).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
