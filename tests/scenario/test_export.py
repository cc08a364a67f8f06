"""An export is made, checked without its server, tampered with in every way, and taken into a new record."""

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import msgspec
import pytest

from crypto import exports
from crypto.encoding import decode
from crypto.errors import Conflict, Malformed, NotFound, NotPermitted, NotProven, TooMany, Unreachable
from crypto.exports import ExportManifest
from crypto.secret_bytes import SecretBytes
from crypto.statements import RootRef
from crypto.trust_root import card_text
from crypto.vault_links import Genesis, export_digest
from crypto.wire.messages import CiphertextQuery, LinkAccepted, LinkSubmission, Openings
from tests.interop import export_second
from tests.support.exported import PERSON, TEXTS, Exported, exported
from tests.support.lying_vault import LyingVault
from vault_client import __main__ as program
from vault_client import export_entries
from vault_client.ciphertext_replica import FOLDER
from vault_client.device_store import DeviceStore
from vault_client.export_check import CheckedExport, check_export
from vault_client.export_files import FolderFiles
from vault_client.importing import continuation, grants_in_force, left_out, to_import
from vault_client.kept_history import HistoryPiece
from vault_client.log_reader import LogReader
from vault_client.patient import Patient

Change = Callable[[ExportManifest], ExportManifest]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """The export of one story, and the server it came from."""
    with exported(tmp_path_factory.mktemp("story")) as made:
        yield made


@pytest.fixture
def copy(original: Exported, tmp_path: Path) -> Path:
    """A copy of the export, to be tampered with."""
    return Path(shutil.copytree(original.folder, tmp_path / "copy"))


def look(folder: Path) -> CheckedExport:
    """Check an export."""
    return check_export(FolderFiles(folder))


def files_of(folder: Path) -> list[Path]:
    """Every file of an export."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def named(checked: CheckedExport) -> set[tuple[str, str]]:
    """What is wrong with what."""
    return {(finding.what, finding.path) for finding in checked.findings}


# What an export is


def test_an_export_is_whole(original: Exported) -> None:
    """Nothing is wrong with an honest export, neither where it was made nor when it is checked alone."""
    assert original.checked.findings == []
    checked = look(original.folder)
    assert (checked.findings, checked.is_signed) == ([], True)
    assert checked.digest == export_digest((original.folder / exports.MANIFEST).read_bytes())
    kinds = [entry.kind for entry in checked.entries]
    assert kinds.count("access") == 2
    assert kinds.count("ended") == 1
    assert len(kinds) == original.manifest.entries


def test_its_documents_can_be_read(original: Exported) -> None:
    """Each document lies there as it was, under a name of its own; of a deleted one there is nothing."""
    contents = [path.read_bytes() for path in (original.folder / exports.DOCUMENTS).iterdir()]
    assert sorted(contents) == sorted(TEXTS)
    deleted = [document for document in original.manifest.documents if document.deleted]
    assert [version.file for document in deleted for version in document.versions] == [None]


def test_it_is_its_owners_alone(original: Exported) -> None:
    """Nobody else on the computer may enter its folders or read its files."""
    for path in (original.folder, *original.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0


def test_the_second_reader_agrees(original: Exported) -> None:
    """A reader written from the page alone finds the same record, entries and documents."""
    manifest, entries, documents = export_second.read(original.folder)
    assert manifest["vault"] == original.manifest.vault
    assert len(entries) == original.manifest.entries
    assert sorted(documents.values()) == sorted(TEXTS)


def test_the_card_says_whose_it_is(original: Exported) -> None:
    """With the service's card it is whole; with another service's it is not, and nothing in it counts as signed."""
    card = original.instance.card.root
    assert check_export(FolderFiles(original.folder), card=card).findings == []
    other = RootRef(version=1, digest=bytes(32))
    checked = check_export(FolderFiles(original.folder), card=other)
    assert ("changed", exports.TRUST_ROOTS) in named(checked)
    assert not checked.is_signed


# Tampering


def test_no_byte_of_any_file_can_be_changed(original: Exported, copy: Path) -> None:
    """One changed byte anywhere in any file, or one more or less at its end, is found."""
    for path in files_of(copy):
        whole = path.read_bytes()
        places = {0, len(whole) // 2, len(whole) - 1, secrets.randbelow(len(whole) or 1)} if whole else set()
        edits = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
        for edited in [*edits, whole + b"\n", whole[:-1]]:
            if edited == whole:
                continue
            path.write_bytes(edited)
            try:
                assert look(copy).findings, path
            except Malformed:
                assert path.name in (exports.MANIFEST, exports.SIGNATURES)
        path.write_bytes(whole)
    assert look(copy).findings == []


def test_everything_missing_is_named(copy: Path) -> None:
    """Two documents and the log gone are three findings by name, and all else is still checked."""
    gone = [*sorted((copy / exports.DOCUMENTS).iterdir())[:2], copy / exports.ENTRIES]
    for path in gone:
        path.unlink()
    checked = look(copy)
    assert {("missing", path.relative_to(copy).as_posix()) for path in gone} <= named(checked)
    assert checked.is_signed
    assert not any(finding.what == "changed" for finding in checked.findings)


def test_without_its_keys_the_rest_is_checked(copy: Path) -> None:
    """With keys.json kept elsewhere the record still holds, and it is said what was not compared."""
    (copy / exports.KEYS).unlink()
    checked = look(copy)
    assert checked.is_signed
    assert named(checked) == {
        ("missing", exports.KEYS),
        ("unchecked", "the keys"),
        ("unchecked", "the documents"),
    }


def test_the_keys_of_another_record_do_not_fit(original: Exported, copy: Path) -> None:
    """Keys with one byte of a secret changed are refused, even under a manifest that the patient signed."""
    keys = (copy / exports.KEYS).read_bytes()
    at = keys.index(b'"scan_key":"') + 12
    (copy / exports.KEYS).write_bytes(keys[:at] + (b"A" if keys[at] != 65 else b"B") + keys[at + 1 :])
    remeasure(original, copy, exports.KEYS)
    assert ("changed", exports.KEYS) in named(look(copy))


def test_a_document_is_what_was_signed_whatever_the_manifest_says(original: Exported, copy: Path) -> None:
    """Other content under a manifest that the patient's own device signed is not what the record's chain names.

    The twin compares hashes alone: without the keys, that is all there is to compare, and nothing is found.
    """
    path = max((copy / exports.DOCUMENTS).iterdir(), key=lambda each: each.stat().st_size)
    path.write_bytes(bytes(path.stat().st_size))
    remeasure(original, copy, f"{exports.DOCUMENTS}/{path.name}")
    assert named(look(copy)) == {("changed", f"{exports.DOCUMENTS}/{path.name}")}
    (copy / exports.KEYS).unlink()
    assert not any(finding.what == "changed" for finding in look(copy).findings)


def test_no_entry_of_the_log_can_be_left_out(original: Exported, copy: Path) -> None:
    """Without one entry, first, middle or last, the log is not whole, even under a manifest the patient signed."""
    path = copy / exports.ENTRIES
    whole = path.read_bytes().splitlines(keepends=True)
    for left in (0, len(whole) // 2, len(whole) - 1):
        path.write_bytes(b"".join(whole[:left] + whole[left + 1 :]))
        fewer = msgspec.structs.replace(original.manifest, entries=len(whole) - 1)
        remeasure(original, copy, exports.ENTRIES, fewer)
        assert any(finding.what == "changed" for finding in look(copy).findings), left


def test_a_manifest_of_somebody_else_is_not_believed(original: Exported, copy: Path) -> None:
    """A manifest signed by another device than a holder's is not the record's word."""
    forger = msgspec.structs.replace(original.manifest, time=0)
    (copy / exports.MANIFEST).write_bytes(msgspec.json.encode(forger))
    checked = look(copy)
    assert ("changed", exports.MANIFEST) in named(checked)
    assert not checked.is_signed


def remeasure(original: Exported, folder: Path, path: str, manifest: ExportManifest | None = None) -> None:
    """Have the patient's own device sign a manifest that names ``path`` as it is now."""
    from vault_client.export_files import measured

    said = manifest or original.manifest
    files = tuple(measured(FolderFiles(folder), path) if file.path == path else file for file in said.files)
    original.resign(folder, msgspec.structs.replace(said, files=files))


# Hostile folders


def renamed(path: str) -> Change:
    """A manifest whose first document's file lies at ``path``."""

    def change(manifest: ExportManifest) -> ExportManifest:
        (document, version) = next(each for each in exports.versions(manifest.documents) if each[1].file)
        old = version.file
        changed = msgspec.structs.replace(version, file=path)
        documents = tuple(
            msgspec.structs.replace(
                each, versions=tuple(changed if v == version else v for v in each.versions)
            )
            if each == document
            else each
            for each in manifest.documents
        )
        files = sorted(
            (
                msgspec.structs.replace(file, path=path) if file.path == old else file
                for file in manifest.files
            ),
            key=lambda file: file.path,
        )
        return msgspec.structs.replace(manifest, documents=documents, files=tuple(files))

    return change


def without_keys(manifest: ExportManifest) -> ExportManifest:
    """A manifest that says nothing of the keys."""
    files = tuple(file for file in manifest.files if file.path != exports.KEYS)
    return msgspec.structs.replace(manifest, files=files)


def twice(manifest: ExportManifest) -> ExportManifest:
    """A manifest that names every file twice."""
    files = tuple(file for file in manifest.files for _ in range(2))
    return msgspec.structs.replace(manifest, files=files)


@pytest.mark.parametrize(
    "change",
    [
        *map(renamed, ("documents/../../etc/passwd", "documents//etc/passwd", "/etc/passwd", "../up")),
        *map(renamed, ("documents/a/b", "documents/a\\b", "documents/C:x", "documents/..", "documents/")),
        *map(
            renamed,
            ("documents/con.txt", "documents/LPT1", "documents/nul ", "documents/.hidden", "record/x"),
        ),
        without_keys,
        twice,
    ],
)
def test_a_hostile_manifest_is_refused(original: Exported, copy: Path, change: Change) -> None:
    """No file outside of the folder is named or read, no device, and none twice, whoever signed it."""
    original.resign(copy, change(original.manifest))
    with pytest.raises(Malformed):
        look(copy)


@pytest.mark.parametrize("count", [exports.MAX_MANIFEST + 1])
def test_a_huge_manifest_is_refused_before_it_is_read(copy: Path, count: int) -> None:
    """A manifest beyond the limit is not parsed."""
    with (copy / exports.MANIFEST).open("wb") as file:
        file.truncate(count)
    with pytest.raises(Malformed):
        look(copy)


def test_no_link_is_followed(copy: Path, tmp_path: Path) -> None:
    """A link in the place of a file, or of a folder, is not followed, though what it leads to is the same."""
    path = sorted((copy / exports.DOCUMENTS).iterdir())[0]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert named(look(copy)) == {("changed", f"{exports.DOCUMENTS}/{path.name}")}
    path.unlink()
    (tmp_path / "elsewhere").rename(path)
    (copy / "record").rename(tmp_path / "record")
    (copy / "record").symlink_to(tmp_path / "record")
    assert not look(copy).is_signed


def test_a_pipe_is_not_waited_for(copy: Path) -> None:
    """A pipe in the place of a file is refused at once."""
    path = copy / exports.KEYS
    path.unlink()
    os.mkfifo(path)
    assert ("changed", exports.KEYS) in named(look(copy))


def test_what_is_not_of_it_is_named(copy: Path) -> None:
    """A file that was put among the documents is said not to be one."""
    (copy / exports.DOCUMENTS / "Bilan.pdf").write_bytes(b"forged")
    (copy / "more").mkdir()
    assert named(look(copy)) == {("foreign", f"{exports.DOCUMENTS}/Bilan.pdf"), ("foreign", "more")}


# A lying server, and a full disk


async def again(original: Exported, folder: Path) -> tuple[Patient, LyingVault]:
    """A patient like the first one, with two documents, and a server that can lie."""
    patient = await original.instance.patient(folder)
    for name in ("one", "two"):
        source = folder / f"{name}.txt"
        await asyncio.to_thread(source.write_text, name)
        await patient.add(source)
    vault = LyingVault(patient.service.api)
    patient.service.api, patient.service.reader = vault, LogReader(vault)
    return patient, vault


def nothing_left(folder: Path) -> bool:
    """Whether neither an export nor a part of one lies in ``folder``."""
    return not list(folder.glob("export*"))


async def test_a_document_that_is_withheld_is_named(original: Exported, tmp_path: Path) -> None:
    """One document that the server keeps back is missing by name, now and whenever the export is checked."""
    patient, vault = await again(original, tmp_path / "profile")
    async with patient:
        (tmp_path / "control").mkdir()
        control = await patient.export(tmp_path / "control")
        vault.withhold("parts", NotFound())
        checked = await patient.export(tmp_path / "export")
    assert control.findings == []
    assert [finding.what for finding in checked.findings] == ["missing", "missing"]
    assert look(tmp_path / "export").findings == checked.findings
    assert left_out(checked) == 2


async def test_what_is_on_this_device_is_exported_from_there(original: Exported, tmp_path: Path) -> None:
    """No copy that is here is asked for again; one that is wrong, or is not here, is fetched, and if withheld is named.

    The control has no copies, and an honest server.
    """
    patient, vault = await again(original, tmp_path / "profile")
    async with patient:
        assert (await patient.export(tmp_path / "here")).findings == []
        assert vault.asked("ciphertext") == []
        copy = next((tmp_path / "profile" / FOLDER).iterdir())
        copy.write_bytes(bytes(copy.stat().st_size))
        assert (await patient.export(tmp_path / "wrong")).findings == []
        assert [query.ver.hex() for query in vault.asked("ciphertext")] == [copy.name]
        patient.files.copies.keep_only(())
        assert (await patient.export(tmp_path / "control")).findings == []
        vault.serve_ciphertext(withheld)
        checked = await patient.export(tmp_path / "export")
    assert [finding.what for finding in checked.findings] == ["missing", "missing"]


async def withheld(query: CiphertextQuery) -> AsyncIterator[bytes]:
    """No ciphertext."""
    raise NotFound("A ciphertext")
    yield b""


async def test_an_entry_that_is_withheld_stops_the_export(
    original: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest entry, kept back after it was shown once, makes no export that would seem whole.

    The twin does not compare with what it knew. The export's own check still finds that a change is not in the log.
    """
    patient, vault = await again(original, tmp_path / "profile")

    def short(answer: Openings) -> Openings:
        return msgspec.structs.replace(answer, openings=answer.openings[:-1])

    async with patient:
        await patient.log()
        vault.tamper("openings", short)
        with pytest.raises(NotProven):
            await patient.export(tmp_path / "export")
        assert nothing_left(tmp_path)
        monkeypatch.setattr(export_entries, "due_entries", lambda report: set())
        checked = await patient.export(tmp_path / "export")
    assert any(finding.path == exports.ENTRIES for finding in checked.findings)


async def test_a_cut_leaves_no_export(original: Exported, tmp_path: Path) -> None:
    """When the server is gone in the middle, neither the folder nor a part of it is left."""
    patient, vault = await again(original, tmp_path / "profile")
    async with patient:
        vault.withhold("parts", Unreachable("Gone."))
        vault.withhold("version", Unreachable("Gone."))
        with pytest.raises(Unreachable):
            await patient.export(tmp_path / "export")
        assert nothing_left(tmp_path)


async def test_nothing_is_written_over(original: Exported, tmp_path: Path) -> None:
    """A folder that holds something, or a part that was left, is not touched."""
    patient, _ = await again(original, tmp_path / "profile")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "cut.part").mkdir()
    async with patient:
        for name in ("full", "cut"):
            with pytest.raises(Conflict):
                await patient.export(tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == "mine"


# Importing


async def founded(original: Exported, folder: Path, checked: CheckedExport) -> tuple[Patient, DeviceStore]:
    """A new record that goes on from an export."""
    store = DeviceStore.create_with_key(folder, SecretBytes(bytes(32)))
    patient = await Patient.begin(
        store,
        folder,
        person=PERSON,
        continues=continuation(checked),
        card=original.instance.card,
        keep_kit=lambda kit: None,
    )
    return patient, store


async def test_an_import_goes_on_where_it_was_cut(original: Exported, tmp_path: Path) -> None:
    """Cut right after a document was added, before that was noted: repeating it adds none twice, and masks what was."""
    checked = await asyncio.to_thread(look, original.folder)
    patient, store = await founded(original, tmp_path / "new", checked)
    files = FolderFiles(original.folder)
    async with patient:
        taken = patient.take_in(checked, files, lambda _: nullcontext())
        await anext(taken)
        put = store.put

        def cut(name: str, record: msgspec.Struct) -> None:
            if name.startswith("imported/"):
                raise KeyboardInterrupt
            put(name, record)

        store.put = cut  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await anext(taken)
        store.put = put  # type: ignore[method-assign]
        assert len([each async for each in patient.take_in(checked, files, lambda _: nullcontext())]) == 2
        assert [each async for each in patient.take_in(checked, files, lambda _: nullcontext())] == []
        new = {each.descriptor.title: each.masked for each in patient.documents()}
        assert len(patient.documents()) == 3
        assert new == {each.descriptor.title: each.masked for each in to_import(checked)}
        genesis = decode(patient.replica.local.genesis.body, Genesis)
        assert genesis.continues == continuation(checked)
        history = patient.history()
        assert history is not None
        assert (history.findings, history.entries) == ([], checked.entries)
        assert (await patient.log()).alarms == ()
        for noted in store.names("imported"):  # as on a device on which the record was restored
            store.delete(noted)
        assert len([each async for each in patient.take_in(checked, files, lambda _: nullcontext())]) == 3
        assert len(patient.documents()) == 3
        name = f"history/{exports.ENTRIES}/000000"
        kept = store.get(name, HistoryPiece)
        assert kept is not None
        store.put(name, HistoryPiece(data=kept.data.replace(b'"', b"'", 1)))
        assert patient.history().findings


async def test_an_import_that_was_refused_as_too_many_adds_nothing_twice(
    original: Exported, tmp_path: Path
) -> None:
    """What an earlier run left waiting is gone on with, however often it was refused, and each document is there once."""
    checked = await asyncio.to_thread(look, original.folder)
    patient, _ = await founded(original, tmp_path / "new", checked)
    files, vault = FolderFiles(original.folder), LyingVault(patient.service.api)
    patient.service.api, patient.service.reader = vault, LogReader(vault)
    refusals = [True, True, False] * 2  # when it is asked for, again at the next run, and then no more

    async def now_and_then(query: LinkSubmission) -> LinkAccepted:
        if refusals and refusals.pop(0):
            raise TooMany("Later.")
        return await vault.honest.append_link(query)

    vault.forge("append_link", now_and_then)
    async with patient:
        for _ in range(3):
            with suppress(TooMany):
                async for _ in patient.take_in(checked, files, lambda _: nullcontext()):
                    pass
        titles = [each.descriptor.title for each in patient.documents()]
        assert sorted(titles) == sorted(each.descriptor.title for each in to_import(checked))
        assert (patient.waiting(), refusals) == ([], [])
        assert (await patient.log()).alarms == ()


async def test_only_the_export_it_goes_on_from_is_imported(original: Exported, tmp_path: Path) -> None:
    """A record takes in no other export than the one its founding names, and none that nobody signed."""
    checked = await asyncio.to_thread(look, original.folder)
    patient = await original.instance.patient(tmp_path / "other")
    async with patient:
        assert patient.history() is None
        with pytest.raises(NotPermitted):
            patient.take_in(checked, FolderFiles(original.folder), lambda _: nullcontext())


def test_what_is_damaged_is_not_imported(copy: Path) -> None:
    """A document that was changed is left out, and counted; all others can be taken in."""
    path = sorted((copy / exports.DOCUMENTS).iterdir())[0]
    path.write_bytes(b"changed")
    checked = look(copy)
    assert (checked.is_signed, left_out(checked)) == (True, 1)
    assert f"{exports.DOCUMENTS}/{path.name}" not in {each.file for each in to_import(checked)}


def test_grants_are_listed(original: Exported) -> None:
    """The grant in force is listed with whom it was for and what it gave; the one that ended is not."""
    (grant,) = grants_in_force(original.checked, 0)
    assert (grant.name, grant.subject, len(grant.documents)) == ("Dr Claire Martin", "demo:1", 2)


# As it is typed


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    """Run one command with --json in this process, with a passphrase."""
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery staple")
    os.close(writing)
    code = program.main(
        [*words, "--json", *(["--passphrase-fd", str(reading)] if words[1] != "verify-export" else [])]
    )
    os.close(reading)
    return code, json.loads(capsys.readouterr().out)


def test_the_commands(
    original: Exported, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verify, import twice, read the history; a damaged export ends in 1, and is not imported unasked."""
    card, home = tmp_path / "card", str(tmp_path / "home")
    card.write_text(card_text(original.instance.card))
    code, said = run(capsys, "patient", "verify-export", str(original.folder), "--card", str(card))
    assert (code, said["whole"], said["documents"], said["deleted"]) == (0, True, 3, 1)
    words = ("patient", "import", str(original.folder), "--card", str(card), "--home", home)
    code, said = run(capsys, *words, "--kit", str(tmp_path / "kit"))
    assert (code, len(said["documents"]), said["left_out"], len(said["grants"])) == (0, 3, 0, 1)
    code, said = run(capsys, *words, "--kit", str(tmp_path / "kit"))
    assert (code, said["documents"]) == (0, [])
    code, said = run(capsys, "patient", "history", "--home", home)
    assert (code, len(said["entries"])) == (0, original.manifest.entries)
    next(iter((copy / exports.DOCUMENTS).iterdir())).unlink()
    code, said = run(capsys, "patient", "verify-export", str(copy))
    assert (code, said["error"], said["whole"]) == (1, "NotProven", False)
    damaged = ("patient", "import", str(copy), "--card", str(card), "--home", f"{home}-2")
    assert run(capsys, *damaged, "--kit", str(tmp_path / "kit-2"))[0] == 2
    assert run(capsys, "patient", "verify-export", str(tmp_path / "nowhere"))[0] == 3


def test_the_history_after_a_restore(
    original: Exported, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kit brings back the record, not what its export said: that is said, and read again from a whole export alone."""
    card, home, restored = tmp_path / "card", str(tmp_path / "home"), str(tmp_path / "restored")
    card.write_text(card_text(original.instance.card))
    kit = ("--kit", str(tmp_path / "kit"))
    words = ("patient", "import", str(original.folder), "--card", str(card), "--home", home)
    assert run(capsys, *words, *kit)[0] == 0
    code, said = run(capsys, "patient", "restore", *kit, "--yes", "--home", restored)
    assert (code, said["name"], said["documents"]) == (0, PERSON, 3)
    history = ("patient", "history", "--home", restored)
    code, said = run(capsys, *history)
    assert (code, said["error"], "coffre patient history DIR" in said["message"]) == (3, "Unavailable", True)
    entries = copy / exports.ENTRIES
    entries.write_bytes(entries.read_bytes()[:-1])
    code, said = run(capsys, *history, str(copy))
    assert (code, said["error"]) == (1, "NotProven")
    assert run(capsys, *history)[0] == 3
    shutil.rmtree(original_documents := copy / exports.DOCUMENTS)
    original_documents.mkdir()
    shutil.copy(original.folder / exports.ENTRIES, entries)
    for folder in (
        [str(copy)],
        [],
        [str(tmp_path / "nowhere")],
    ):  # its documents are not needed; then nothing is
        code, said = run(capsys, *history, *folder)
        assert (code, len(said["entries"])) == (0, original.manifest.entries)
