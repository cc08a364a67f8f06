"""Files and threads around ``crypto.sealed.content``: a file in, a ciphertext file out, and back.

Two threads each take the next block of four pieces, cipher it, hash its pieces while they are hot, and write it where
it belongs; the file is read once and written once, with about a megabyte of memory whatever its size. What is
written lies in a private ``.part`` beside the destination and takes its name, durably, only when everything holds:
the source did not change, or the signed root, the commitment, every tag, the padding and the length. Otherwise it is
deleted and the destination stays as it was.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import SEEK_END, FileIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import BinaryIO, Final, NamedTuple, TypeVar

from crypto import merkle, pieces
from crypto.errors import CannotOpen, Conflict, Damaged
from crypto.padding import padded_length
from crypto.sealed.content import Opener, Sealer
from crypto.secret_bytes import SecretBytes
from vault_client.private_part import private_part
from vault_client.progress import Progress

Result = TypeVar("Result")

BLOCK: Final = 4  # pieces
ALONE: Final = 1 << 20  # up to here a second thread costs more than it brings


class Sealed(NamedTuple):
    """What there is to sign and send about one ciphertext file. ``length`` is the true length of the content."""

    length: int
    ciphertext_length: int
    ct_root: bytes
    part_hashes: tuple[bytes, ...]


def encrypt_file(
    source: Path | BinaryIO,
    destination: Path,
    *,
    key: SecretBytes,
    context: bytes,
    progress: Progress | None = None,
) -> Sealed:
    """Pad and seal ``source``, a path or a seekable binary file, into ``destination``.

    Raises Conflict when the source changes its size meanwhile, Damaged when a file cannot be read or written, Full
    when there is no room. ``progress`` is called with bytes done and in all, by one thread at a time; what it
    raises stops the work.
    """
    sealer = Sealer(key, context)
    with _opened(source) as file:
        length = file.seek(0, SEEK_END)
        file.seek(0)
        padded = padded_length(length)
        total = pieces.ciphertext_length(padded)
        leaves = [b""] * pieces.piece_count(total)
        blocks = _Blocks(file, length, len(leaves), progress)
        with private_part(destination) as part:
            _run(blocks, lambda: _seal_blocks(blocks, sealer, part, padded, leaves))
            blocks.check_end()
    parts = pieces.upload_part_hashes(leaves)
    return Sealed(length, total, pieces.root_from_parts(parts, total), parts)


def decrypt_file(
    ciphertext: Path,
    destination: Path,
    *,
    key: SecretBytes,
    context: bytes,
    ct_root: bytes,
    length: int,
    progress: Progress | None = None,
) -> None:
    """Open ``ciphertext`` into ``destination``: content of ``length`` bytes whose signed root is ``ct_root``.

    Hashes and deciphers the same bytes in one pass. Raises CannotOpen, without saying why, unless root, commitment,
    tags, padding and lengths all hold; Conflict, Damaged, Full and ``progress`` are as with ``encrypt_file``.
    """
    with _opened(ciphertext) as file:
        total = file.seek(0, SEEK_END)
        if total != pieces.ciphertext_length(padded_length(length)):
            raise CannotOpen
        file.seek(0)
        opener = Opener(key, context, file.read(pieces.HEADER))
        leaves = [b""] * pieces.piece_count(total)
        blocks = _Blocks(file, total - pieces.HEADER, len(leaves), progress)
        with private_part(destination) as part:
            _run(blocks, lambda: _open_blocks(blocks, opener, part, length, leaves))
            blocks.check_end()
            if merkle.root_of(leaves) != ct_root:
                raise CannotOpen


def sealed_root(
    source: Path | BinaryIO,
    *,
    key: SecretBytes,
    context: bytes,
    header: bytes,
    progress: Progress | None = None,
) -> bytes:
    """The root of the ciphertext that begins with ``header``, if its content is ``source``. Nothing is written.

    Raises CannotOpen when ``header`` is not of ``key`` and ``context``; Conflict and Damaged as ``encrypt_file``.
    """
    sealer = Sealer.again(key, context, header)
    with _opened(source) as file:
        length = file.seek(0, SEEK_END)
        file.seek(0)
        padded = padded_length(length)
        leaves = [b""] * pieces.piece_count(pieces.ciphertext_length(padded))
        blocks = _Blocks(file, length, len(leaves), progress)
        _run(blocks, lambda: _seal_blocks(blocks, sealer, None, padded, leaves))
        blocks.check_end()
    return merkle.root_of(leaves)


def check_ciphertext(ciphertext: Path, *, ct_root: bytes, progress: Progress | None = None) -> None:
    """That a whole ciphertext is the one whose signed root is ``ct_root``, without its key. Raises CannotOpen."""
    leaves, done = [], 0
    with _opened(ciphertext) as file:
        total = file.seek(0, SEEK_END)
        file.seek(0)
        size = pieces.HEADER + pieces.PIECE
        while piece := file.read(size):
            leaves.append(pieces.piece_hash(piece))
            done, size = done + len(piece), pieces.PIECE
            if progress is not None:
                progress(done, total)
    if merkle.root_of(leaves) != ct_root:
        raise CannotOpen


async def in_thread(work: Callable[[Progress], Result], progress: Progress | None) -> Result:
    """Do ``work``, which reports to what it is handed, in a thread. When the task is cancelled, so is the work.

    The thread has ended when this returns or raises: nothing is released after a command was stopped.
    """
    stopped = Event()

    def report(done: int, total: int) -> None:
        if stopped.is_set():
            raise _Stopped
        if progress is not None:
            progress(done, total)

    working = asyncio.ensure_future(asyncio.to_thread(work, report))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.gather(working, return_exceptions=True)
        raise


class _Stopped(Exception):
    """Ends the threads of a task that was cancelled."""


class _Blocks:
    """Hands out a file block by block, in order, to several threads."""

    def __init__(self, file: BinaryIO, length: int, piece_count: int, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._lock = Lock()
        self._count = -(-piece_count // BLOCK)
        self._given = 0
        self._left = length
        self._done = 0
        self.length = length

    def take(self, buffer: memoryview) -> tuple[int, int] | None:
        """Fill ``buffer`` with the next block: its number and how much of it the file had; None after the last."""
        with self._lock:
            if self._given >= self._count:
                return None
            number, size = self._given, min(self._left, len(buffer))
            self._read(buffer[:size])
            self._given += 1
            self._left -= size
            return number, size

    def done(self, size: int) -> None:
        """Count ``size`` bytes of the file as finished."""
        with self._lock:
            self._done += size
            if self._progress:
                self._progress(self._done, self.length)

    def stop(self) -> None:
        """Give out nothing more."""
        with self._lock:
            self._given = self._count

    def check_end(self) -> None:
        """Raises Conflict when the file has grown."""
        if self._file.read(1):
            raise _changed()

    def _read(self, buffer: memoryview) -> None:
        filled = 0
        while filled < len(buffer):
            # Typed as a reader of bytes, but every binary file reads into a buffer.
            count: int = self._file.readinto(buffer[filled:])  # type: ignore[attr-defined]
            if not count:
                raise _changed()
            filled += count


def _seal_blocks(
    blocks: _Blocks, sealer: Sealer, part: Path | None, padded: int, leaves: list[bytes]
) -> None:
    """Seal and hash every block, and write it where there is a ``part`` to write it to."""
    plain, sealed = _buffers(len(leaves))
    with FileIO(part, "r+") if part is not None else nullcontext() as out:
        while taken := blocks.take(plain):
            number, size = taken
            plain[size:] = bytes(len(plain) - size)
            first, written = number * BLOCK, 0
            if not first and out is not None:
                _write(out, 0, memoryview(sealer.header))
            for piece in range(first, min(first + BLOCK, len(leaves))):
                start = (piece - first) * pieces.PLAIN_PIECE
                stop = start + min(pieces.PLAIN_PIECE, padded - piece * pieces.PLAIN_PIECE)
                size_sealed = sealer.seal_into(piece, plain[start:stop], sealed[written:])
                leaves[piece] = _leaf(piece, sealer.header, sealed[written : written + size_sealed])
                written += size_sealed
            if out is not None:
                _write(out, pieces.HEADER + first * pieces.PIECE, sealed[:written])
            blocks.done(size)


def _open_blocks(blocks: _Blocks, opener: Opener, part: Path, length: int, leaves: list[bytes]) -> None:
    plain, sealed = _buffers(len(leaves))
    with FileIO(part, "r+") as out:
        while taken := blocks.take(sealed):
            number, size = taken
            first, written = number * BLOCK, 0
            for start in range(0, size, pieces.PIECE):
                piece, found = first + start // pieces.PIECE, sealed[start : min(start + pieces.PIECE, size)]
                leaves[piece] = _leaf(piece, opener.header, found)
                written += opener.open_into(piece, found, plain[written:])
            offset = first * pieces.PLAIN_PIECE
            kept = min(max(length - offset, 0), written)
            if bytes(plain[kept:written]) != bytes(written - kept):
                raise CannotOpen
            _write(out, offset, plain[:kept])
            blocks.done(size)


def _buffers(piece_count: int) -> tuple[memoryview, memoryview]:
    """Room for the plaintext and the ciphertext of one block; a small file needs less."""
    size = min(BLOCK, piece_count)
    return memoryview(bytearray(size * pieces.PLAIN_PIECE)), memoryview(bytearray(size * pieces.PIECE))


def _leaf(piece: int, header: bytes, sealed: memoryview) -> bytes:
    return pieces.piece_hash(sealed) if piece else pieces.piece_hash(header, sealed)


def _run(blocks: _Blocks, work: Callable[[], None]) -> None:
    """Do ``work`` here and, for large files, in one more thread. The first failure ends both and is raised here."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)
            blocks.stop()

    others = [Thread(target=guarded)] if blocks.length > ALONE else []
    for other in others:
        other.start()
    guarded()
    for other in others:
        other.join()
    if failures:
        raise failures[0]


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise Damaged(
            f"A file could not be read ({error}). Nothing was written. Check that it is there."
        ) from None
    with file:
        yield file


def _write(out: FileIO, offset: int, data: memoryview) -> None:
    out.seek(offset)
    while data:
        data = data[out.write(data) :]


def _changed() -> Conflict:
    return Conflict("A file changed while it was being read. Nothing was kept. Try again when it is at rest.")
