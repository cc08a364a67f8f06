"""Restoring a server from a backup, into a data folder without one: everything is verified before it takes its place.

The keeper's folder and the operator's are left as they are. A copy that is older than what its keepers saw is refused
when it is started, by ``cosigning``, unless its logs are completed here with their leaves.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from crypto.errors import NotPermitted
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import archive
from vault_server.archive import CHUNK, Hashed
from vault_server.completion import Completed, complete
from vault_server.settings import Settings
from vault_server.store.files import PRIVATE_FILE, in_words, make_folder, sync_folder
from vault_server.store.working_folder import working_folder

# What people read
OLDER = "Start it with its keepers: they refuse it if anything was published after this backup."
COMPLETED = "Start it with its keepers: they refuse it if one of them has seen more than these files have."
NEVER = "Never start it beside the server it was copied from."


def restore(settings: Settings, source: Path, leaves: Sequence[Path] = (), *, as_json: bool) -> None:
    """Put the server of the backup ``source`` into ``settings.data``, whole or not at all.

    ``leaves``: files of keepers, with which its logs are completed. Raises NotPermitted where a server is, Malformed for
    anything but a whole backup or file, NotProven for leaves of another log than the backup's, Full, Unavailable.
    """
    server = settings.server_folder
    with in_words("Nothing was restored."), source.open("rb") as file:
        _check_free(server)
        with working_folder(settings.data / ".restoring") as folder:
            files = _unpack(file, folder / server.name)
            completed = _complete(folder, leaves)
            _check_free(server)
            (folder / server.name).rename(server)
            sync_folder(settings.data)
    if as_json:
        told = {"restored": str(server), "files": files}
        print(json.dumps(told | {"lost": [log._asdict() for log in completed]} if leaves else told))
        return
    said = spoken(f"The server was restored into {server}: {files} files, every one verified.")
    print(wrapped(f"{said} {spoken(COMPLETED if leaves else OLDER)} {spoken(NEVER)}", sys.stdout))
    for log in completed:
        last = log.end - 1
        text = (
            f"{log.origin} was completed from keepers' leaves: entries {log.start} to {last}. What they commit to is lost, "
            "until whoever has it gives it back: people's devices do so by themselves."
        )
        print(wrapped(spoken(text), sys.stdout))


def _complete(folder: Path, leaves: Sequence[Path]) -> list[Completed]:
    if not leaves:
        return []
    completed = asyncio.run(complete(Settings(data=folder), leaves, int(time.time())))
    sync_folder(folder / Settings(data=folder).server_folder.name)
    return completed


def _check_free(server: Path) -> None:
    if server.is_symlink() or (server.exists() and any(server.iterdir())):
        raise NotPermitted(
            f"{server} is not empty. Nothing was restored. Move what is in the way elsewhere, and keep it, or choose "
            "another --data."
        )


def _unpack(file: IO[bytes], to: Path) -> int:
    """Write what is in the archive below ``to``; returns how many files. What is written counts once this returns."""
    files = 0
    for name, content in archive.members(file):
        path = to / name
        make_folder(path.parent)
        _write(path, content)
        files += 1
    return files


def _write(path: Path, content: Hashed) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        while data := content.read(CHUNK):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
