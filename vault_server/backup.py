"""Backing up a server, whether or not it runs: one archive, from which nobody can read anything but the log's own keys.

The database is copied first, as it stands at one moment, and then the ciphertext that this copy names. What was deleted
in between is looked for in a newer copy; in the end every part that the database of the archive names is in it. The
keeper's folder and the operator's keys are others', and not in it.
"""

import json
import os
import sys
from pathlib import Path

from crypto.errors import Damaged, NotPermitted
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import instance
from vault_server.archive import NAME, ArchiveWriter
from vault_server.settings import Settings
from vault_server.store import ciphertext, database, snapshot
from vault_server.store.ciphertext import part_name
from vault_server.store.files import PRIVATE_FILE, in_words, sync_folder
from vault_server.store.snapshot import Part
from vault_server.store.working_folder import working_folder


def back_up(settings: Settings, to: Path, *, as_json: bool) -> None:
    """Write a backup of the server in ``settings.data`` to the new file ``to``, whole or not at all.

    Raises NotPermitted where there is no server or the file exists, Damaged when ciphertext is gone, Full, Unavailable.
    """
    if not instance.exists(settings):
        raise NotPermitted(f"There is no server in {settings.data}, so there is nothing to back up.")
    _check_new(to)
    with in_words("No backup was made."), working_folder(to.with_name(f".{to.name}.part")) as folder:
        files = _write(settings.server_folder, folder / "archive", folder)
        _check_new(to)
        (folder / "archive").replace(to)
        sync_folder(to.parent)
    _tell(to, files, as_json=as_json)


def _check_new(to: Path) -> None:
    if not to.parent.is_dir():
        raise NotPermitted(f"{to.parent} is not a folder. No backup was made. Is the disk for backups there?")
    if os.path.lexists(to):
        raise NotPermitted(f"{to} is there already. No backup was made. Choose a name that is not in use.")


def _write(server: Path, to: Path, folder: Path) -> int:
    """Write the archive; returns how many files are in it. ``folder``: for what is needed on the way."""
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file, (folder / "manifest").open("w+b") as manifest:
        archive = ArchiveWriter(file, manifest)
        archive.add(database.FILE, _add_ciphertext(archive, server, folder))
        for part in (instance.KEYS, instance.TRUST_ROOTS):
            for path in sorted((server / part).iterdir()):
                if NAME.fullmatch(name := f"{part}/{path.name}"):
                    archive.add(name, path)
        archive.close()
        file.flush()
        os.fsync(file.fileno())
    return archive.files


def _add_ciphertext(archive: ArchiveWriter, server: Path, folder: Path) -> Path:
    """Add all parts that the newest copy of the database names; returns that copy. Raises Damaged."""
    earlier, gone, number = None, set[Part](), 0
    while True:
        number += 1
        copy = folder / f"{number}.db"
        snapshot.take(server / database.FILE, copy)
        missing = {part for part in snapshot.parts(copy, earlier) if not _added(archive, server, part)}
        if earlier is not None:
            earlier.unlink()
        if not missing:
            return copy
        if lost := missing & gone:
            raise Damaged(
                f"{server / _name(min(lost))} is gone, and the database names it; gone in all: {len(lost)}. No "
                "backup was made. Take them from an earlier backup, which is a tar archive, and begin again."
            )
        # They were deleted since the copy was made, or are lost: the next copy tells.
        snapshot.forget(copy, missing)
        earlier, gone = copy, missing


def _added(archive: ArchiveWriter, server: Path, part: Part) -> bool:
    try:
        archive.add(_name(part), server / _name(part))
    except FileNotFoundError:
        return False
    return True


def _name(part: Part) -> str:
    return f"{ciphertext.FOLDER}/{part_name(*part)}"


def _tell(to: Path, files: int, *, as_json: bool) -> None:
    size = to.stat().st_size
    if as_json:
        print(json.dumps({"backup": str(to), "files": files, "bytes": size}))
        return
    text = (
        f"{to} is a whole backup of the server: {files} files, {size} bytes. It holds the keys that sign its logs: keep "
        "it where nobody else can read it. The keeper's folder and the operator's keys are not in it; they are "
        "kept apart. It can be restored for as long as nothing new is written after it."
    )
    print(wrapped(spoken(text), sys.stdout))
