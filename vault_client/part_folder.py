"""A folder in the making: ``NAME.part`` beside its destination, which becomes it when everything in it holds.

What is written lies in the clear, so the part has a name that shows. It disappears when the work fails or is stopped;
a process that is killed leaves it, and it is then for its owner to delete.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto.errors import Conflict
from vault_client.durable_folder import sync_folder
from vault_client.file_errors import spoken_file_errors


@contextmanager
def part_folder(destination: Path) -> Iterator[Path]:
    """A new private folder that becomes ``destination``, durably, or disappears with all that is in it.

    Raises Conflict when ``destination`` is there and not an empty folder, or when a part of it is left from before.
    """
    part = destination.with_name(f"{destination.name}.part")
    with spoken_file_errors():
        check_free(destination)
        try:
            part.mkdir(mode=0o700)
        except FileExistsError:
            raise Conflict(
                f"{part} is left from a run that was cut off, and is no export. It may hold documents in the clear. "
                "Nothing was done. Delete it, and try again."
            ) from None
        try:
            yield part
            sync_folder(part)
            if destination.exists():
                destination.rmdir()
            os.rename(part, destination)
            sync_folder(destination.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def check_free(destination: Path) -> None:
    """Raises Conflict unless ``destination`` is not there yet, or an empty folder."""
    is_empty = destination.is_dir() and not destination.is_symlink() and not any(destination.iterdir())
    if not is_empty and (destination.exists() or destination.is_symlink()):
        raise Conflict(
            f"{destination} exists already and is not an empty folder. It was not touched. Name another."
        )
