"""The archive of a backup: a tar of the server's own files, closed by the SHA-256 of each (docs/format/backup.md).

Nothing is kept in memory but what is being read. The last member lists the others in their order, so a reader that hashes
as it goes needs to compare one digest to know that it has every file, whole, and nothing else.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from crypto.errors import Damaged, Malformed
from vault_server.store.files import PRIVATE_FILE

MANIFEST = "coffre-1-backup.sha256"
NAME = re.compile(
    r"coffre\.db|keys/[a-z-]{1,32}\.key|trust-roots/[1-9][0-9]{0,5}\.json"
    r"|ciphertext/([0-9a-f]{2})/[0-9a-f]{64}-\1[0-9a-f]{30}/[0-9]{6}",
    re.ASCII,
)
NEEDED = ("coffre.db", "keys/log.key", "keys/directory.key", "trust-roots/1.json")
CHUNK = 1 << 20
# The library takes what a header says of a sparse file for numbers.
UNREADABLE = (tarfile.TarError, ValueError)


class ArchiveWriter:
    """Writes an archive into ``file``, and what its last member will say into ``manifest``."""

    def __init__(self, file: IO[bytes], manifest: IO[bytes]) -> None:
        self._file, self._manifest = file, manifest
        self.files = 0

    def add(self, name: str, path: Path) -> None:
        """Add one file. Raises FileNotFoundError when it is not there, and then adds nothing."""
        with path.open("rb") as file:
            hashed = Hashed(file)
            self._add(name, os.fstat(file.fileno()).st_size, hashed)
        self._manifest.write(line(hashed.digest, name))
        self.files += 1

    def close(self) -> None:
        """Add the manifest, and end the archive."""
        length = self._manifest.tell()
        self._manifest.seek(0)
        self._add(MANIFEST, length, self._manifest)
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _add(self, name: str, length: int, file: "Readable") -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = length, PRIVATE_FILE
        self._file.write(member.tobuf(tarfile.PAX_FORMAT))
        begin = self._file.tell()
        shutil.copyfileobj(file, self._file, CHUNK)
        if self._file.tell() != begin + length:
            raise Damaged(
                f"{name} changed while it was read. No backup was made. See whether the disk is sound."
            )
        self._file.write(bytes(-length % tarfile.BLOCKSIZE))


def members(file: IO[bytes]) -> Iterator[tuple[str, "Hashed"]]:
    """Each file of an archive, by name, to be read before the next is asked for.

    After the last one the manifest is compared with what was read. Raises Malformed, then or earlier, for anything but a
    whole archive: until the end nothing that was read is to be believed.
    """
    lines = hashlib.sha256()
    missing = set(NEEDED)
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            while (member := tar.next()) is not None:
                # Else it keeps every header it has met, of millions of files.
                tar.members.clear()  # type: ignore[attr-defined]
                content = tar.extractfile(member) if member.type == tarfile.REGTYPE else None
                if content is None or member.issparse():
                    raise _not_one()
                hashed = Hashed(content)
                if member.name == MANIFEST:
                    hashed.drain()
                    if hashed.digest != lines.digest() or missing or tar.next() is not None:
                        raise _not_one()
                    return
                if NAME.fullmatch(member.name) is None:
                    raise _not_one()
                yield member.name, hashed
                hashed.drain()
                lines.update(line(hashed.digest, member.name))
                missing.discard(member.name)
    except UNREADABLE:
        raise _not_one() from None
    raise _not_one()


def line(digest: bytes, name: str) -> bytes:
    """One line of the manifest, as ``sha256sum`` writes it."""
    return f"{digest.hex()}  {name}\n".encode("ascii")


class Readable(Protocol):
    """What is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        ...


class Hashed:
    """A file, and the SHA-256 of what has been read of it."""

    def __init__(self, file: Readable) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Read on. Raises Malformed where an archive ends too early."""
        try:
            data = self._file.read(size)
        except UNREADABLE:
            raise _not_one() from None
        self._hash.update(data)
        return data

    def drain(self) -> None:
        """Read to the end."""
        while self.read(CHUNK):
            continue

    @property
    def digest(self) -> bytes:
        """The hash of what was read until now."""
        return self._hash.digest()


def _not_one() -> Malformed:
    return Malformed("This is not a backup of a Coffre server, or not a whole one. Nothing was restored.")
