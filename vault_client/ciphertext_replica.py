"""The profile's own copy of the record's ciphertext: what is here can be read without the server.

One file for each version, under the version's id, in a folder of the profile's own. A copy is no more believed than what
a server sends: its root is checked whenever it is opened. It is never needed: without room it is left out.
"""

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from crypto.errors import Full
from vault_client.durable_folder import sync_folder
from vault_client.file_errors import spoken_file_errors
from vault_client.spool import own_folder

FOLDER: Final = "ciphertext"

# Bytes that stay free on the disk: the profile itself and what is being fetched need room before any copy does.
ROOM: Final = 1 << 30

_VERSION = re.compile(r"[0-9a-f]{32}")


class CiphertextReplica:
    """The copies in one profile. The caller holds the profile's lock."""

    def __init__(self, profile: Path) -> None:
        """Raises Damaged when there is no such folder and it cannot be made."""
        self._folder = own_folder(profile, FOLDER)

    def find(self, ver: bytes, length: int) -> Path | None:
        """The copy of a version, if it is here and of the signed ``length``. What is in it is for opening to check."""
        file = self._file(ver)
        if file.is_symlink() or not file.is_file() or file.stat().st_size != length:
            return None
        return file

    def check_room(self, length: int) -> None:
        """Raises Full when ``length`` bytes more would take the last room of the disk."""
        with spoken_file_errors():
            if shutil.disk_usage(self._folder).free < ROOM + length:
                raise Full(
                    "There is too little room on the disk to keep a copy. Nothing is lost: the server has it. Make room, "
                    "and fetch it again."
                )

    def keep(self, ver: bytes, file: Path) -> None:
        """Take over ``file``, the whole ciphertext of a version, checked by the caller. It is on disk on return.

        Raises Full without room, Damaged when the disk refuses; then ``file`` is still where it was.
        """
        self.check_room(0)
        with spoken_file_errors():
            with file.open("rb+") as written:
                os.fsync(written.fileno())
            file.replace(self._file(ver))
            sync_folder(self._folder)

    def drop(self, ver: bytes) -> None:
        """Remove the copy of a version, if there is one."""
        with spoken_file_errors():
            self._file(ver).unlink(missing_ok=True)

    def keep_only(self, wanted: Collection[bytes]) -> None:
        """Remove the copies of all other versions: of documents that were deleted, or have a newer version."""
        names = {ver.hex() for ver in wanted}
        with spoken_file_errors():
            for file in self._folder.iterdir():
                if _VERSION.fullmatch(file.name) and file.name not in names:
                    file.unlink()

    def _file(self, ver: bytes) -> Path:
        return self._folder / ver.hex()
