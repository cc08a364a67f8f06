"""Restoring a server from a backup, into a data folder without one: everything is verified before it takes its place.

The keeper's folder and the operator's are left as they are. A copy that is older than what its keepers saw is refused
when it is started, by ``cosigning``.
"""

import json
import os
import sys
from pathlib import Path
from typing import IO

from crypto.errors import NotPermitted
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import archive
from vault_server.archive import CHUNK, Hashed
from vault_server.settings import Settings
from vault_server.store.files import PRIVATE_FILE, in_words, make_folder, sync_folder
from vault_server.store.working_folder import working_folder


def restore(settings: Settings, source: Path, *, as_json: bool) -> None:
    """Put the server of the backup ``source`` into ``settings.data``, whole or not at all.

    Raises NotPermitted where a server is, Malformed for anything but a whole backup, Full, Unavailable.
    """
    server = settings.server_folder
    with in_words("Nothing was restored."), source.open("rb") as file:
        _check_free(server)
        with working_folder(settings.data / ".restoring") as folder:
            files = _unpack(file, folder / server.name)
            _check_free(server)
            (folder / server.name).rename(server)
            sync_folder(settings.data)
    if as_json:
        print(json.dumps({"restored": str(server), "files": files}))
        return
    text = (
        f"The server was restored into {server}: {files} files, every one verified. Start it with its keepers: they "
        "refuse it if anything was published after this backup. Never start it beside the server it was copied from."
    )
    print(wrapped(spoken(text), sys.stdout))


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
