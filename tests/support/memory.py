"""A folder in memory, for tests that prove nothing about disks: on a busy machine most of their time was waiting for one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made in it
ROOM = 1 << 31


@contextmanager
def folder_in_memory(otherwise: Path) -> Iterator[Path]:
    """A new folder that ends with the block; ``otherwise`` where this machine has no room in memory for it."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="coffre-test-", dir=MEMORY) as folder:
        yield Path(folder)
