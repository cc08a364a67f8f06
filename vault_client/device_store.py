"""The sealed local store of a profile: what this machine knows and believes, in one file that shows none of it.

The file (docs/format/profile.md) holds the profile key sealed under the passphrase, and records, each found by a
keyed hash of its name and sealed with its name inside. A write is on disk when the call returns; the writes of one
``transaction`` are on disk together or not at all, whenever the process or the power dies. One process has a profile
at a time.

Damage is found, not repaired: that of the file's structure at opening, that of a record when it is read. What cannot
be found here is a whole older copy put in the file's place.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from crypto.encoding import decode, encode
from crypto.errors import CannotOpen, Conflict, Damaged, Full, Malformed, NotPermitted
from crypto.sealed.local_records import MAX_RECORD, LocalRecords
from crypto.sealed.passphrase import open_key, seal_key
from crypto.secret_bytes import SecretBytes
from vault_client import profile_file

T = TypeVar("T", bound=msgspec.Struct)


class DeviceStore:
    """An open profile. It may be opened in one thread and used in another, never in two at once."""

    def __init__(
        self,
        folder: Path,
        key: SecretBytes,
        database: sqlite3.Connection,
        records: LocalRecords,
        held: ExitStack,
    ) -> None:
        """Used by the constructors below; ``held`` closes the file and gives back the lock."""
        self._folder = folder
        self._key = key
        self._database = database
        self._records = records
        self._held = held
        self._grouped = False

    @classmethod
    def create(cls, folder: Path, passphrase: str) -> Self:
        """Make a profile in ``folder`` with a fresh key sealed under ``passphrase``.

        Raises Conflict when there is one already, NotPermitted when the folder is in other use, Malformed or TooLarge
        for an unfit passphrase, Full without room.
        """
        key = SecretBytes.random(32)
        return cls._create(folder, key, lambda: seal_key(passphrase, key))

    @classmethod
    def create_with_key(cls, folder: Path, key: SecretBytes) -> Self:
        """Make a profile whose 32-byte key the caller keeps; no passphrase opens it. Raises as ``create`` does."""
        return cls._create(folder, key, lambda: None)

    @classmethod
    def open(cls, folder: Path, passphrase: str, *, patience: float = 0) -> Self:
        """Open the profile in ``folder``.

        Raises CannotOpen for a wrong passphrase or a damaged key blob, Conflict when another process has the profile for
        longer than ``patience`` seconds, Damaged when the file is missing or not whole, NotPermitted when the profile was made without a passphrase.
        """

        def unseal(sealed_key: bytes | None) -> SecretBytes:
            if sealed_key is None:
                raise NotPermitted(
                    "This profile has no passphrase: its key is kept elsewhere. Nothing was opened."
                )
            return open_key(passphrase, sealed_key)

        return cls._open(folder, unseal, patience)

    @classmethod
    def open_with_key(cls, folder: Path, key: SecretBytes) -> Self:
        """Open the profile in ``folder`` with the key itself. Raises as ``open`` does."""
        return cls._open(folder, lambda _: key)

    def reopened(self) -> Self:
        """The same profile, opened again after it was closed, with the key it had. Raises as ``open`` does."""
        return self._open(self._folder, lambda _: self._key)

    def get(self, name: str, kind: type[T]) -> T | None:
        """The record called ``name``, or None when there is none. Raises Damaged when it cannot be read."""
        found = self._read(self._records.tag(name))
        return None if found is None else _decode(found[1], kind)

    def put(self, name: str, body: msgspec.Struct) -> None:
        """Store ``body`` as the record called ``name``, in place of what was there.

        Raises Malformed for a body that could not be read back, TooLarge above 16 MiB, Full when the disk refuses.
        """
        data = encode(body)
        decode(data, type(body), limit=MAX_RECORD)
        self._run(
            "INSERT INTO record VALUES (?, ?, ?) ON CONFLICT (tag) DO UPDATE SET sealed = excluded.sealed",
            self._records.tag(name),
            self._records.group_tag(name),
            self._records.seal(name, data),
        )

    def delete(self, name: str) -> None:
        """Remove the record called ``name``, if there is one."""
        self._run("DELETE FROM record WHERE tag = ?", self._records.tag(name))

    def scan(self, group: str, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Name and body of every record of ``group``: "document" covers "document" and "document/…".

        In no particular order, one in memory at a time; records may be written meanwhile. Raises as ``get`` does, and
        Malformed for a group with a "/" in it.
        """
        for name, data in self._group(group):
            yield name, _decode(data, kind)

    def names(self, group: str) -> list[str]:
        """The names of the records of ``group``, sorted. Each record is opened for it. Raises as ``scan`` does."""
        return sorted(name for name, _ in self._group(group))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is stored at the end of the block, at once; an exception undoes it all."""
        if self._grouped:
            raise Conflict("A group of writes was begun inside another. Nothing of the inner one was stored.")
        self._run("BEGIN IMMEDIATE")
        self._grouped = True
        try:
            yield
            self._run("COMMIT")
        finally:
            self._grouped = False
            if self._database.in_transaction:
                self._run("ROLLBACK")

    def close(self) -> None:
        """Close the file and let other processes have the profile. May be called twice."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def _create(cls, folder: Path, key: SecretBytes, sealed_key: Callable[[], bytes | None]) -> Self:
        records = LocalRecords(key)
        with profile_file.plainly(), ExitStack() as held:
            profile_file.make_folder(folder)
            held.enter_context(profile_file.only_process(folder))
            if (folder / profile_file.FILE).exists():
                raise Conflict(
                    f"There is a profile in {folder} already. It was not touched. Name another folder."
                )
            profile_file.write(folder, records.check, sealed_key())
            return cls._keep(folder, lambda _: key, held)

    @classmethod
    def _open(
        cls, folder: Path, key_from: Callable[[bytes | None], SecretBytes], patience: float = 0
    ) -> Self:
        with profile_file.plainly(), ExitStack() as held:
            profile_file.recognise(folder)
            held.enter_context(profile_file.only_process(folder, patience))
            return cls._keep(folder, key_from, held)

    @classmethod
    def _keep(cls, folder: Path, key_from: Callable[[bytes | None], SecretBytes], held: ExitStack) -> Self:
        database = held.enter_context(closing(profile_file.connect(folder)))
        key_check, sealed_key = profile_file.read(database)
        key = key_from(sealed_key)
        records = LocalRecords(key)
        if records.check != key_check:
            raise CannotOpen("Wrong key or damaged profile")
        return cls(folder, key, database, records, held.pop_all())

    def _group(self, group: str) -> Iterator[tuple[str, bytes]]:
        if "/" in group:
            raise Malformed(f'There is no group "{group}": what stands before the first "/" is the group.')
        for (tag,) in self._run("SELECT tag FROM record WHERE group_tag = ?", self._records.group_tag(group)):
            found = self._read(tag)
            if found is not None:
                yield found

    def _read(self, tag: bytes) -> tuple[str, bytes] | None:
        rows = self._run("SELECT sealed FROM record WHERE tag = ?", tag)
        if not rows:
            return None
        try:
            return self._records.open(tag, rows[0][0])
        except CannotOpen as error:
            raise Damaged(
                f"A record of the profile is damaged. Nothing was changed. {profile_file.REMEDY}"
            ) from error

    def _run(self, statement: str, *values: bytes) -> list[Any]:
        if self._grouped and not self._database.in_transaction:
            # SQLite ends a transaction by itself after some failures; what followed would be stored alone.
            raise Full(
                "An earlier write of this group failed. Nothing of the group was stored. Make room and try again."
            )
        with profile_file.plainly():
            return self._database.execute(statement, values).fetchall()


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return decode(data, kind, limit=MAX_RECORD)
    except Malformed as error:
        raise Damaged(
            "A record of the profile has another form than this version of Coffre reads. Nothing was changed. "
            "Use the version that wrote it."
        ) from error
