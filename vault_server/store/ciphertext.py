"""Ciphertext as files: one file for each part, under the random id of its version, written once.

A part is written beside its place, synced, and linked there: a name never stands for half a part, and other bytes can
never take its place. Folders are synced up to the root, so what was acknowledged survives a power cut.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from crypto.errors import Conflict, Full, NotFound, Unavailable
from crypto.pieces import part_slice
from vault_server.store.files import PRIVATE_FILE, make_folder, sync_folder

CHUNK = 1 << 18
FOLDER = "ciphertext"


def part_name(vault: bytes, ver: bytes, number: int) -> str:
    """Where one part lies, within the folder of the store."""
    return f"{ver[:1].hex()}/{vault.hex()}-{ver.hex()}/{number:06d}"


class CiphertextStore:
    """The file store. Its methods block: they run in threads."""

    def __init__(self, folder: Path, free_bytes: int) -> None:
        self._folder = folder
        self._free = free_bytes
        make_folder(folder)

    def put(self, vault: bytes, ver: bytes, number: int, data: bytes) -> None:
        """Keep one part. The same bytes again are fine. Raises Conflict for other bytes, Full without room."""
        place = self._place(vault, ver, number)
        folder = place.parent
        beside = folder / f".{secrets.token_hex(8)}"
        try:
            self._check_room(len(data))
            make_folder(folder)
            self._write(beside, data)
            try:
                os.link(beside, place)
            except FileExistsError:
                if place.read_bytes() != data:
                    raise Conflict(
                        "Another ciphertext has this place. Nothing was stored. Encrypt again under a new version id."
                    ) from None
            finally:
                beside.unlink()
            # Another part may have made these folders a moment ago, and not have synced them yet.
            for each in (folder, folder.parent, self._folder):
                sync_folder(each)
        except OSError as error:
            beside.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _full() from None
            raise Unavailable("The ciphertext could not be stored. Send it again later.") from None

    def read(self, vault: bytes, ver: bytes, length: int, start: int) -> Iterator[bytes]:
        """Chunks of a whole ciphertext from byte ``start`` on. Raises NotFound when a part is gone."""
        number = 0
        while start < length:
            while part_slice(number, length).stop <= start:
                number += 1
            part = part_slice(number, length)
            try:
                with self._place(vault, ver, number).open("rb", buffering=0) as file:
                    file.seek(start - part.start)
                    while start < part.stop and (chunk := file.read(CHUNK)):
                        start += len(chunk)
                        yield chunk
            except FileNotFoundError:
                raise NotFound("A ciphertext") from None
            if start < part.stop:
                raise NotFound("A ciphertext")

    def delete(self, vault: bytes, ver: bytes) -> None:
        """Destroy a version's ciphertext."""
        folder = self._place(vault, ver, 0).parent
        if folder.is_dir():
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            sync_folder(folder.parent)

    def versions_older_than(self, before: float) -> Iterator[tuple[bytes, bytes]]:
        """Vault and version of every folder last written to before a time."""
        for shelf in self._folder.iterdir():
            for folder in shelf.iterdir():
                if folder.stat().st_mtime < before:
                    vault, _, ver = folder.name.partition("-")
                    yield bytes.fromhex(vault), bytes.fromhex(ver)

    def sweep_unfinished(self, before: float) -> None:
        """Delete what was being written when the process was cut short before a time."""
        for unfinished in self._folder.glob("*/*/.*"):
            if unfinished.stat().st_mtime < before:
                unfinished.unlink()

    def _check_room(self, wanted: int) -> None:
        state = os.statvfs(self._folder)
        if state.f_bavail * state.f_frsize < self._free + wanted:
            raise _full()

    def _place(self, vault: bytes, ver: bytes, number: int) -> Path:
        return self._folder / part_name(vault, ver, number)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(handle, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())


def _full() -> Full:
    return Full("The server has no room left, so nothing was stored. Try again later.")
