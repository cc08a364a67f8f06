"""The file by which a keeper gives a service its leaves back (docs/format/leaves.md).

Of each log: the newest checkpoint that the keeper knows, and every leaf under it; of those that went by age, a hash over each
256. It is written and read as it comes, however long a log is. Nothing in it is secret, and nothing of it is believed: whoever
reads it compares the leaves with the checkpoint, and that with the log's key.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from crypto.access_log import LEAF
from crypto.checkpoint import MAX_NOTE, Checkpoint, parse_note
from crypto.errors import Malformed, Refusal
from crypto.merkle import HASH_SIZE
from crypto.tiles import WIDTH

MAGIC = b"coffre-1 leaves\n"
BATCH = 4096


class LeavesWriter:
    """Writes such a file. The logs come in rising order of origin."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self._write(MAGIC)

    def add(self, note: bytes, begins: int, subtrees: Iterable[bytes], leaves: Iterable[bytes]) -> None:
        """Add a log: its checkpoint, the hash over each 256 leaves below ``begins``, and the leaves from there on."""
        self._write(len(note).to_bytes(4, "big") + note + begins.to_bytes(8, "big"))
        for each in subtrees:
            self._write(each)
        for each in leaves:
            self._write(each)

    def close(self) -> None:
        """End the file."""
        self._write(bytes(4))
        self._file.write(self._hash.digest())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)


class LogLeaves:
    """One log of such a file: to be read to its end, ``subtrees`` before ``leaves``, before the next is asked for."""

    def __init__(self, source: "_Source", note: bytes, begins: int) -> None:
        """Raises Malformed for a note that is no checkpoint, or a beginning that no such log has."""
        self.note = note
        try:
            self.checkpoint = Checkpoint.parse(parse_note(note).text)
        except Refusal:
            raise source.refused() from None
        self.begins = begins
        if begins % WIDTH or not 0 <= begins < max(self.checkpoint.size, 1):
            raise source.refused()
        self._source = source

    def subtrees(self) -> Iterator[bytes]:
        """The hash over each 256 leaves of which the file has only that."""
        for _ in range(self.begins // WIDTH):
            yield self._source.read(HASH_SIZE)

    def leaves(self) -> Iterator[list[bytes]]:
        """The leaves from ``begins`` on, some at a time."""
        for start in range(self.begins, self.checkpoint.size, BATCH):
            count = min(BATCH, self.checkpoint.size - start)
            data = self._source.read(count * LEAF)
            yield [data[at : at + LEAF] for at in range(0, len(data), LEAF)]


def logs(file: IO[bytes], name: Path) -> Iterator[LogLeaves]:
    """Each log of a file. Raises Malformed, at the latest after the last, for anything but a whole one."""
    source = _Source(file, name)
    if source.read(len(MAGIC)) != MAGIC:
        raise source.refused()
    before = ""
    while length := int.from_bytes(source.read(4), "big"):
        if length > MAX_NOTE:
            raise source.refused()
        log = LogLeaves(source, source.read(length), int.from_bytes(source.read(8), "big"))
        if log.checkpoint.origin.encode() <= before.encode():
            raise source.refused()
        before = log.checkpoint.origin
        yield log
    digest = source.digest
    if source.read(len(digest)) != digest or file.read(1):
        raise source.refused()


class _Source:
    """A file, and the SHA-256 of what has been read of it."""

    def __init__(self, file: IO[bytes], name: Path) -> None:
        self._file, self._name, self._hash = file, name, hashlib.sha256()

    def refused(self) -> Malformed:
        """What is raised for anything that is no such file."""
        return Malformed(
            f"{self._name} is not a file of a keeper's leaves, or not a whole one. Nothing was restored. Ask the keeper's "
            "operator for it again: coffre keeper leaves FILE --data DIR"
        )

    def read(self, size: int) -> bytes:
        """Just so many bytes. Raises Malformed where there are fewer."""
        data = self._file.read(size)
        if len(data) != size:
            raise self.refused()
        self._hash.update(data)
        return data

    @property
    def digest(self) -> bytes:
        """The hash of what was read until now."""
        return self._hash.digest()
