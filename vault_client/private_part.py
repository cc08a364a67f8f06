"""The private ``.part`` beside a destination: what is not released yet lies in it, and nowhere else.

A part is made, locked, written, and takes the name of the destination, durably, only when everything holds. It
disappears when that is not so, and when the process is told to end. A process that is killed clears nothing up, but
its lock goes with it: the next part made in the same folder takes away what is left there.
"""

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from crypto.errors import Unavailable
from vault_client.durable_folder import sync_folder
from vault_client.file_errors import spoken_file_errors

NAME: Final = re.compile(r"\.coffre-[0-9a-f]{16}\.part")

if sys.platform == "win32":

    def _hold(part: FileIO) -> bool:
        """Keep ``part`` from being swept: no file that is open is removed here."""
        return True

    def _remove_abandoned(path: Path) -> None:
        path.unlink()
else:
    import fcntl

    def _hold(part: FileIO) -> bool:
        """Keep ``part`` from being swept. False when it was swept before it was locked."""
        with suppress(OSError):  # a folder without locks: nothing is swept in it either
            fcntl.flock(part, fcntl.LOCK_EX)
        return os.fstat(part.fileno()).st_nlink > 0

    def _remove_abandoned(path: Path) -> None:
        with FileIO(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "r+") as part:
            status = os.fstat(part.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def check_folder(folder: Path) -> None:
    """Raises Unavailable when nothing can be released into ``folder``."""
    if not folder.is_dir():
        raise Unavailable(
            f"The folder {folder} does not exist. Nothing was opened. Make it, or name another."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"The folder {folder} cannot be written in. Nothing was opened. Name another.")


@contextmanager
def private_part(destination: Path) -> Iterator[Path]:
    """A new empty file beside ``destination``, which becomes it, durably, or disappears."""
    with spoken_file_errors():
        sweep(destination.parent)
        path, part = _new(destination.parent)
        try:
            yield path
            os.fsync(part.fileno())
            if sys.platform == "win32":  # a file that is open cannot be renamed either
                part.close()
            path.replace(destination)
            sync_folder(destination.parent)
        finally:
            part.close()
            path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the parts in ``folder`` whose makers are no more. What cannot be looked at is left."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if NAME.fullmatch(entry.name):
                with suppress(OSError):  # somebody is writing it, or removed it just now
                    _remove_abandoned(folder / entry.name)


def _new(folder: Path) -> tuple[Path, FileIO]:
    while True:
        # A name of its own, so that two runs towards one destination cannot mix.
        path = folder / f".coffre-{secrets.token_hex(8)}.part"
        part = FileIO(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "r+")
        if _hold(part):
            return path, part
        part.close()
