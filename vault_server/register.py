"""The registrar's register: which identity it certified under which subject, as JSON lines in the operator's folder.

A subject belongs to the identity of its newest line that is still in force and was not withdrawn since. Whoever
writes has the file to itself.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from crypto.encoding import Body, Bytes32, Natural, ShortText, decode, encode
from crypto.errors import Damaged, Refusal, Unavailable
from vault_server.store.files import PRIVATE_FILE, sync_folder

NAME = "register.jsonl"
WITHDRAWN = 0


class Entry(Body, frozen=True):
    """One certificate. ``until`` in seconds since 1970; ``WITHDRAWN`` takes back those before it."""

    subject: ShortText
    identity: Bytes32
    until: Natural


class Register:
    """The open register."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def holder(self, subject: str, now: int) -> Entry | None:
        """The newest entry in force for ``subject``. Raises Damaged for a line that is none."""
        self._file.seek(0)
        held: dict[bytes, Entry] = {}
        for number, line in enumerate(self._file, 1):
            try:
                entry = decode(line.removesuffix(b"\n"), Entry)
            except Refusal:
                raise Damaged(
                    f"Line {number} of {self._path} is not one of the register. Nothing was certified. "
                    "Mend or remove that line."
                ) from None
            if entry.subject == subject and (now < entry.until or entry.until == WITHDRAWN):
                held.pop(entry.identity, None)
                if entry.until != WITHDRAWN:
                    held[entry.identity] = entry
        return next(reversed(held.values()), None)

    def enter(self, entry: Entry) -> None:
        """Write ``entry``, durably."""
        self._file.write(encode(entry) + b"\n")
        self._sync()

    @contextmanager
    def entered(self, entry: Entry) -> Iterator[None]:
        """Write ``entry``, durably before what follows; a refusal of that takes it back."""
        end = self._file.seek(0, os.SEEK_END)
        self.enter(entry)
        try:
            yield
        except Refusal:
            self._file.truncate(end)
            self._sync()
            raise

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def opened(folder: Path) -> Iterator[Register]:
    """The register in ``folder``, made now if it is new. Waits for another registrar. Raises Unavailable."""
    path = folder / NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        with os.fdopen(handle, "a+b") as file:
            sync_folder(folder)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield Register(path, file)
    except OSError as error:
        raise Unavailable(
            f"{path} could not be read or written ({error.strerror}). Make room or mend it, then certify again."
        ) from None
