"""Disks that fail on order: without power, full, refusing to sync, slow. What a machine cannot do is said in one line."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
WITHOUT_THE_JOURNAL = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: what was not synced is gone
SMALL = "300m"  # the server wants 256 MiB free before it takes uploads
SHIM = Path(__file__).with_name("failing_sync.c")


class CannotError(Exception):
    """This machine cannot make such a disk, and why."""


class Disk(Protocol):
    """Where server and keeper keep their data. ``environment``: what their processes need for it."""

    folder: Path
    environment: dict[str, str]

    def fail(self) -> None:
        """From now on, until it is mended."""

    def mend(self) -> None:
        """Nobody uses it now."""


@dataclass
class Powered:
    """An ext4 file system in a file, whose power can be cut."""

    folder: Path
    image: Path
    environment: dict[str, str] = field(default_factory=dict)

    def fail(self) -> None:
        """Nothing reaches the disk any more, and what was not synced never will."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", WITHOUT_THE_JOURNAL))
        finally:
            os.close(handle)

    def mend(self) -> None:
        """The power is back: the journal is replayed."""
        _run("umount", self.folder)
        _run("mount", "-o", "loop", self.image, self.folder)


@dataclass
class Small:
    """A file system in memory that is filled to its last byte."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def fail(self) -> None:
        """Fill it."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(1 << 20)):
                    pass
            except OSError:  # full, as wanted
                return

    def mend(self) -> None:
        """Make room."""
        (self.folder / "ballast").unlink()


@dataclass
class Refusing:
    """A folder whose syncs fail, or take half a second, while a file says so."""

    folder: Path
    said: Path
    how: str
    environment: dict[str, str]

    def fail(self) -> None:
        """Say so."""
        self.said.write_text(self.how)

    def mend(self) -> None:
        """Say so no more."""
        self.said.unlink()


@contextmanager
def powered(folder: Path) -> Iterator[Disk]:
    """Raises CannotError where loop mounts or the ioctl are missing."""
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(768 << 20)
    _need_root("A power cut")
    _try("mkfs.ext4", "-q", image)
    _try("mount", "-o", "loop", image, place)
    try:
        yield Powered(place, image)
    finally:
        _run("umount", place)


@contextmanager
def small(folder: Path) -> Iterator[Disk]:
    """Raises CannotError where nothing can be mounted."""
    place = folder / "disk"
    place.mkdir()
    _need_root("A full disk")
    _try("mount", "-t", "tmpfs", "-o", f"size={SMALL}", "coffre-crash", place)
    try:
        yield Small(place)
    finally:
        _run("umount", place)


@contextmanager
def refusing(folder: Path, how: str) -> Iterator[Disk]:
    """``how``: ``error`` or ``slow``. Raises CannotError without a C compiler."""
    place, library, said = folder / "disk", folder / "failing_sync.so", folder / "failing"
    place.mkdir()
    if shutil.which("cc") is None or os.uname().sysname != "Linux":
        raise CannotError("Failing syncs were not tested: that needs Linux and a C compiler.")
    _try("cc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl")
    yield Refusing(place, said, how, {"LD_PRELOAD": str(library), "FAILING_SYNC": str(said)})


def _need_root(what: str) -> None:
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise CannotError(f"{what} was not tested: that needs Linux, and root to mount a disk.")


def _try(*words: str | Path) -> None:
    try:
        _run(*words)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotError(f"This fault was not tested: {words[0]} does not work here ({error}).") from None


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
