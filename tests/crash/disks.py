"""A disk that fails on order: without power, full, refusing, slow. What a machine cannot do is said in one line."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
WITHOUT_THE_JOURNAL = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: what was not synced is gone
SIZE = 768 << 20  # the server wants 256 MiB free before it takes uploads
SHIM = Path(__file__).with_name("failing_disk.c")
# What a preloaded library is told, by what then fails.
REFUSED = {"failing syncs": "error", "failing writes": "writes", "slow syncs": "slow"}


class CannotError(Exception):
    """This machine cannot make such a fault, and why."""


class Fault(Protocol):
    """One way to fail. ``outlived``: whether a process may go on using the disk once it is mended."""

    name: str
    outlived: bool

    def fail(self) -> None:
        """From now on, until it is mended."""

    def mend(self) -> None:
        """It works again. Unless it is ``outlived``, nobody uses it now."""


@dataclass
class Disk:
    """A folder and its faults. ``environment``: what the processes that use it need; ``cannot``: what is left out, and why."""

    folder: Path
    faults: list[Fault] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    cannot: list[str] = field(default_factory=list)


@dataclass
class PowerCut:
    """The power of an ext4 file system in a file is cut."""

    folder: Path
    image: Path
    name: str = "power cut"
    outlived: bool = False

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
class NoRoom:
    """The disk is filled to its last byte."""

    folder: Path
    name: str = "full disk"
    outlived: bool = True

    def fail(self) -> None:
        """Fill it: what is free at once, then what is left."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            with suppress(OSError):  # somebody took some of it just now
                os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(self.folder).free)
            ballast.seek(0, os.SEEK_END)
            with suppress(OSError):  # full, as wanted
                while ballast.write(bytes(4096)):
                    pass

    def mend(self) -> None:
        """Make room."""
        (self.folder / "ballast").unlink()


@dataclass
class Refusal:
    """Syncs or writes fail, or syncs take half a second longer, while a file says so."""

    name: str
    said: Path
    outlived: bool = True

    def fail(self) -> None:
        """Say so."""
        self.said.write_text(REFUSED[self.name])

    def mend(self) -> None:
        """Say so no more."""
        self.said.unlink()


@contextmanager
def failing(folder: Path) -> Iterator[Disk]:
    """A disk in ``folder`` with every fault that this machine can make."""
    disk = Disk(folder / "disk")
    disk.folder.mkdir()
    with ExitStack() as held:
        try:
            image = _mounted(folder, disk.folder)
            held.callback(_run, "umount", disk.folder)
            disk.faults += [PowerCut(disk.folder, image), NoRoom(disk.folder)]
        except CannotError as error:
            disk.cannot.append(f"Power cuts and full disks were not tested: {error}")
        try:
            library, said = _built(folder), folder / "failing"
            disk.faults += [Refusal(name, said) for name in REFUSED]
            under = str(disk.folder.resolve())
            disk.environment = {"LD_PRELOAD": library, "FAILING_DISK": str(said), "FAILING_UNDER": under}
        except CannotError as error:
            disk.cannot.append(f"Failing and slow syncs and writes were not tested: {error}")
        yield disk


def _mounted(folder: Path, place: Path) -> Path:
    """An ext4 file system in a file, mounted at ``place``."""
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise CannotError("that needs Linux, and root to mount a disk.")
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    _try("mkfs.ext4", "-q", image)
    _try("mount", "-o", "loop", image, place)
    return image


def _built(folder: Path) -> str:
    """The library that refuses."""
    if os.uname().sysname != "Linux" or shutil.which("cc") is None:
        raise CannotError("that needs Linux and a C compiler.")
    library = folder / "failing_disk.so"
    _try("cc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl")
    return str(library)


def _try(*words: str | Path) -> None:
    try:
        _run(*words)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotError(f"{words[0]} does not work here ({error}).") from None


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
