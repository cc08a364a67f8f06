"""Writing a folder's entries through to the disk: a file that was made or renamed in it is then there to stay."""

import os
import sys
from pathlib import Path

if sys.platform == "win32":

    def sync_folder(folder: Path) -> None:
        """Windows writes the entries of a folder through with its files."""
else:

    def sync_folder(folder: Path) -> None:
        """Have the entries of ``folder`` on disk when the call returns."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
