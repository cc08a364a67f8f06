"""Reading the files of an export: from the folder it is, which anybody may have changed, or from where it was kept."""

import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from crypto import exports
from crypto.encoding import decode
from crypto.errors import Damaged, Malformed, TooLarge
from crypto.exports import ExportedFile, ExportManifest, ExportSignatures, read_manifest
from crypto.signing import Envelope

Line = TypeVar("Line", bound=msgspec.Struct)

FOLDERS: Final = (exports.DOCUMENTS, "log", "record")

_NOFOLLOW: Final[int] = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_MAX_SIGNATURES: Final = 4096


class ExportFiles(Protocol):
    """Where the files of an export lie."""

    def open(self, path: str) -> BufferedReader:
        """A file by its path in the manifest. Raises FileNotFoundError, Malformed unless it is a plain file, Damaged."""
        ...


class FolderFiles:
    """The files of an export in a folder. No link is followed, and nothing outside of the folder is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, path: str) -> Path:
        """Where a file lies. Raises Malformed when a link stands in the way."""
        place = self.folder.joinpath(*path.split("/"))
        if place.is_symlink() or (place.parent != self.folder and place.parent.is_symlink()):
            raise Malformed("it is a link to somewhere else.")
        return place

    def open(self, path: str) -> BufferedReader:
        """See ``ExportFiles``."""
        place = self.place(path)
        try:
            descriptor = os.open(place, os.O_RDONLY | _NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(path) from None
        except OSError as error:
            raise Damaged(f"it could not be read ({error.strerror}).") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Malformed("it is not a plain file.")
        return os.fdopen(descriptor, "rb")

    def others(self, known: set[str]) -> Iterator[str]:
        """What lies in the folder, or in one of an export's folders, and is none of ``known``."""
        for inner in ("", *FOLDERS):
            folder = self.folder / inner
            if folder.is_symlink() or not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
            for name in names:
                path = f"{inner}/{name}" if inner else name
                if path not in known and (inner or name not in FOLDERS):
                    yield path


def read_signed(files: ExportFiles) -> tuple[ExportManifest, Envelope]:
    """The manifest and the signed body it is, of which nothing is verified.

    Raises FileNotFoundError, TooLarge, Malformed or Damaged.
    """
    data = read_whole(files, exports.MANIFEST, exports.MAX_MANIFEST)
    signatures = read_whole(files, exports.SIGNATURES, _MAX_SIGNATURES)
    return read_manifest(data), decode(signatures, ExportSignatures).over(data)


def read_whole(files: ExportFiles, path: str, limit: int) -> bytes:
    """A file of at most ``limit`` bytes. Raises TooLarge, and as ``ExportFiles.open``."""
    with files.open(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"it is longer than {limit} bytes.")
    return data


def read_lines(files: ExportFiles, path: str, kind: type[Line]) -> Iterator[Line]:
    """The bodies of a file of lines, one in memory at a time. Raises TooLarge, Malformed, and as ``ExportFiles.open``."""
    with files.open(path) as file:
        while line := file.readline(exports.MAX_LINE + 1):
            if not line.endswith(b"\n"):
                raise Malformed("A line was refused: it is too long, or does not end.")
            yield decode(line[:-1], kind, limit=exports.MAX_LINE)


def measured(files: ExportFiles, path: str) -> ExportedFile:
    """A file's length and hash as they are now. Raises as ``ExportFiles.open``."""
    with files.open(path) as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return ExportedFile(path=path, length=file.tell(), sha256=digest)
