"""A private folder for work that ends in one rename: emptied of what a cut run left, and gone when the work is done."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto.errors import NotPermitted
from vault_server.store.files import make_folder


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """``folder``, empty, and this process's alone until the block ends. Raises NotPermitted, or an OSError."""
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        state = os.fstat(handle)
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            # Somebody else made it, or may enter it: what is in it is not ours to empty, nor theirs to read.
            raise NotPermitted(f"{folder} is not private to you. Nothing was done. Move it away.")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotPermitted(
                f"Another process is at work in {folder}. Nothing was done. Wait until it has ended."
            ) from None
        try:
            for left in folder.iterdir():
                _remove(left)
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
