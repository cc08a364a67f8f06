"""Files in, ciphertext files out, and back; nothing left behind when something fails."""

import asyncio
import errno
import io
import os
import stat
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from crypto import pieces
from crypto.encoding import pae
from crypto.errors import CannotOpen, Conflict, Damaged, Full
from crypto.padding import padded_length
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from vault_client import ciphertext_spool as spool

KEY = SecretBytes(bytes(range(32)))
CONTEXT = pae("test/content", b"some id")
LENGTHS = [0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 262144, 262145]


@pytest.fixture(params=["one thread", "two threads"])
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size by one thread, and by two threads in blocks of one piece."""
    if request.param == "two threads":
        monkeypatch.setattr(spool, "ALONE", -1)
        monkeypatch.setattr(spool, "BLOCK", 1)


def encrypt(folder: Path, plaintext: bytes, **more: Any) -> spool.Sealed:
    """Encrypt ``plaintext`` from the file "plain" to the file "sealed" of ``folder``."""
    (folder / "plain").write_bytes(plaintext)
    return spool.encrypt_file(folder / "plain", folder / "sealed", key=KEY, context=CONTEXT, **more)


def decrypt(folder: Path, sealed: spool.Sealed, **other: Any) -> bytes:
    """Decrypt the file "sealed" of ``folder`` into the file "opened"."""
    terms: dict[str, Any] = {
        "key": KEY,
        "context": CONTEXT,
        "ct_root": sealed.ct_root,
        "length": sealed.length,
    } | other
    spool.decrypt_file(folder / "sealed", folder / "opened", **terms)
    return (folder / "opened").read_bytes()


def names(folder: Path) -> set[str]:
    """Everything in ``folder``, hidden or not."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("length", LENGTHS)
def test_a_file_comes_back(tmp_path: Path, length: int) -> None:
    """A file of any length is what it was, and nothing else is left in its folder."""
    plaintext = os.urandom(length)
    assert decrypt(tmp_path, encrypt(tmp_path, plaintext)) == plaintext
    assert names(tmp_path) == {"plain", "sealed", "opened"}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("length", LENGTHS)
def test_the_file_is_what_would_be_sealed_in_memory(
    tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Length, root and parts are those of the ciphertext, which opens in memory too."""
    monkeypatch.setattr(pieces, "PART", 2)
    plaintext = os.urandom(length)
    sealed = encrypt(tmp_path, plaintext)
    ciphertext = (tmp_path / "sealed").read_bytes()
    total = len(ciphertext)
    assert content.open_document(KEY, CONTEXT, ciphertext, length) == plaintext
    assert sealed == spool.Sealed(
        length,
        pieces.ciphertext_length(padded_length(length)),
        pieces.ct_root(ciphertext),
        tuple(
            pieces.upload_part_hash(ciphertext[pieces.part_slice(number, total)], number)
            for number in range(pieces.part_count(total))
        ),
    )
    assert sealed.ciphertext_length == total


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("length", LENGTHS)
def test_what_was_sealed_in_memory_opens_as_a_file(tmp_path: Path, length: int) -> None:
    """A ciphertext made in memory is decrypted from a file."""
    document = os.urandom(length)
    ciphertext = content.seal_document(KEY, CONTEXT, document)
    (tmp_path / "sealed").write_bytes(ciphertext)
    sealed = spool.Sealed(length, len(ciphertext), pieces.ct_root(ciphertext), ())
    assert decrypt(tmp_path, sealed) == document


def test_an_open_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A binary file object is taken whole, wherever it stands, and is left open."""
    source = io.BytesIO(b"some content")
    source.seek(5)
    sealed = spool.encrypt_file(source, tmp_path / "sealed", key=KEY, context=CONTEXT)
    assert decrypt(tmp_path, sealed) == b"some content"
    assert not source.closed


def test_what_is_written_is_private(tmp_path: Path) -> None:
    """Ciphertext and plaintext are readable by their owner only, while they are written and after."""
    modes: list[int] = []

    def look(_done: int, _total: int) -> None:
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(".*.part"))

    decrypt(tmp_path, encrypt(tmp_path, b"content", progress=look), progress=look)
    assert modes == [0o600, 0o600]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("sealed", "opened")} == {0o600}


def test_a_destination_is_replaced_when_all_holds(tmp_path: Path) -> None:
    """What stood at the destination gives way, whole, to what was opened."""
    (tmp_path / "opened").write_bytes(b"older and longer than what comes")
    assert decrypt(tmp_path, encrypt(tmp_path, b"newer")) == b"newer"


def test_what_was_written_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is forced to the disk before it takes its name, and the folder after."""
    forced: list[tuple[str, bool]] = []

    def record(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        forced.append((kind, (tmp_path / "sealed").exists()))

    monkeypatch.setattr(os, "fsync", record)
    encrypt(tmp_path, b"content")
    assert forced == [("file", False), ("folder", True)]


def flipped(place: int) -> Callable[[bytes], bytes]:
    """Changes the byte at ``place``."""
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place:][1:]


def swapped(data: bytes) -> bytes:
    """Exchanges the second and the third piece."""
    first, second, third = 56 + 65600, 56 + 2 * 65600, 56 + 3 * 65600
    return data[:first] + data[second:third] + data[first:second] + data[third:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "salt": flipped(0),
    "commitment": flipped(24),
    "first byte": flipped(56),
    "a byte of the third piece": flipped(56 + 2 * 65600 + 77),
    "last byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a byte less": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "a piece less": lambda data: data[:-65600],
    "cut at a chunk": lambda data: data[: 56 + 16400],
    "pieces swapped": swapped,
    "header only": lambda data: data[:56],
    "empty": lambda _data: b"",
}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("signed", ["its root", "the root of the damaged file"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_ciphertext_leaves_everything_as_it_was(
    tmp_path: Path, damage: Callable[[bytes], bytes], signed: str
) -> None:
    """A ciphertext changed in any way is refused alike, also under a root that fits it; nothing is released."""
    sealed = encrypt(tmp_path, os.urandom(300_000))
    (tmp_path / "opened").write_bytes(b"before")
    damaged = damage((tmp_path / "sealed").read_bytes())
    (tmp_path / "sealed").write_bytes(damaged)
    root = sealed.ct_root
    if signed != "its root" and len(damaged) == sealed.ciphertext_length:
        root = pieces.ct_root(damaged)
    with pytest.raises(CannotOpen) as refusal:
        decrypt(tmp_path, sealed, ct_root=root)
    assert str(refusal.value) == str(CannotOpen())
    assert (tmp_path / "opened").read_bytes() == b"before"
    assert names(tmp_path) == {"plain", "sealed", "opened"}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(
    "terms",
    [
        {"ct_root": bytes(32)},
        {"key": SecretBytes(bytes(32))},
        {"key": SecretBytes(bytes(31))},
        {"context": b"another"},
        {"length": 299_999},
        {"length": 400_000},
        {"length": 0},
    ],
    ids=str,
)
def test_other_terms_are_refused_alike(tmp_path: Path, terms: dict[str, Any]) -> None:
    """Another root, key, context or length than was signed opens nothing and leaves nothing."""
    sealed = encrypt(tmp_path, b"\1" * 300_000)
    with pytest.raises(CannotOpen) as refusal:
        decrypt(tmp_path, sealed, **terms)
    assert str(refusal.value) == str(CannotOpen())
    assert names(tmp_path) == {"plain", "sealed"}


@pytest.mark.parametrize("place", [5, 4095])
def test_padding_that_is_not_zero_is_refused(tmp_path: Path, place: int) -> None:
    """A ciphertext whose padding hides something is refused, though root, commitment and tags hold."""
    padded = bytearray(b"12345".ljust(4096, b"\0"))
    padded[place] = 1
    ciphertext = content.seal(KEY, CONTEXT, bytes(padded))
    (tmp_path / "sealed").write_bytes(ciphertext)
    with pytest.raises(CannotOpen):
        decrypt(tmp_path, spool.Sealed(5, len(ciphertext), pieces.ct_root(ciphertext), ()))
    assert names(tmp_path) == {"sealed"}


@pytest.mark.parametrize("change", [b"", b"shorter", bytes(400_000)])
def test_a_source_that_changes_its_size_is_refused(
    tmp_path: Path, change: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that grows or shrinks while it is read is not sealed, and nothing is left of the attempt."""
    monkeypatch.setattr(spool, "BLOCK", 1)

    def rewrite(done: int, _total: int) -> None:
        if done == pieces.PLAIN_PIECE:
            (tmp_path / "plain").write_bytes(change)

    with pytest.raises(Conflict):
        encrypt(tmp_path, bytes(300_000), progress=rewrite)
    assert names(tmp_path) == {"plain"}


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path, name: str) -> None:
    """A missing file, or a folder in its place, is no refusal and no accusation."""
    with pytest.raises(Damaged, match="could not be read"):
        spool.encrypt_file(tmp_path / name, tmp_path / "sealed", key=KEY, context=CONTEXT)
    with pytest.raises(Damaged, match="could not be read"):
        spool.decrypt_file(
            tmp_path / name, tmp_path / "opened", key=KEY, context=CONTEXT, ct_root=bytes(32), length=0
        )
    assert names(tmp_path) == set()


def test_a_destination_without_a_folder_is_said_to_be_so(tmp_path: Path) -> None:
    """Nothing is made up for a folder that is not there."""
    with pytest.raises(Damaged, match="written"):
        spool.encrypt_file(io.BytesIO(b""), tmp_path / "none" / "sealed", key=KEY, context=CONTEXT)
    assert names(tmp_path) == set()


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, Full), (errno.EDQUOT, Full), (errno.EIO, Damaged)]
)
def test_a_full_disk_is_said_to_be_full(
    tmp_path: Path, number: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When room runs out half-way nothing is kept; other failures of the disk are told apart."""
    sealed = encrypt(tmp_path, bytes(300_000))

    class Failing(FileIO):
        def write(self, data: Any, /) -> int:
            if self.tell() > 100_000:
                raise OSError(number, os.strerror(number))
            return super().write(data[:50_000])

    monkeypatch.setattr(spool, "FileIO", Failing)
    monkeypatch.setattr(spool, "BLOCK", 1)
    (tmp_path / "sealed.before").write_bytes((tmp_path / "sealed").read_bytes())
    with pytest.raises(kind):
        encrypt(tmp_path, bytes(300_000))
    with pytest.raises(kind):
        decrypt(tmp_path, sealed)
    assert names(tmp_path) == {"plain", "sealed", "sealed.before"}
    assert (tmp_path / "sealed").read_bytes() == (tmp_path / "sealed.before").read_bytes()


def test_writes_that_take_less_than_they_were_given_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that writes a little at a time loses nothing."""

    class Slow(FileIO):
        def write(self, data: Any, /) -> int:
            return super().write(data[:10_000])

        def readinto(self, buffer: Any, /) -> int:
            return super().readinto(buffer[:10_000])

    monkeypatch.setattr(spool, "FileIO", Slow)
    plaintext = os.urandom(300_000)
    (tmp_path / "plain").write_bytes(plaintext)
    with Slow(tmp_path / "plain") as source:
        sealed = spool.encrypt_file(source, tmp_path / "sealed", key=KEY, context=CONTEXT)
    assert decrypt(tmp_path, sealed) == plaintext


@pytest.mark.usefixtures("_threads")
def test_progress_rises_to_the_whole(tmp_path: Path) -> None:
    """Progress never goes back and ends at the whole, both ways."""
    calls: list[tuple[int, int]] = []
    sealed = encrypt(tmp_path, bytes(300_000), progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert calls[-1] == (300_000, 300_000)
    calls.clear()
    decrypt(tmp_path, sealed, progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert calls[-1] == (sealed.ciphertext_length - 56, sealed.ciphertext_length - 56)


@pytest.mark.usefixtures("_threads")
def test_what_progress_raises_stops_the_work(tmp_path: Path) -> None:
    """A person who gives up half-way gets their own exception back, and nothing is left of the attempt."""

    def give_up(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encrypt(tmp_path, bytes(300_000), progress=give_up)
    assert names(tmp_path) == {"plain"}


async def test_a_task_that_is_cancelled_releases_nothing(tmp_path: Path) -> None:
    """When a command is stopped in the middle of deciphering, its thread ends first, and leaves nothing."""
    sealed = await spool.in_thread(lambda report: encrypt(tmp_path, bytes(3_000_000), progress=report), None)
    before, begun = names(tmp_path), asyncio.Event()
    loop, seen = asyncio.get_running_loop(), list[int]()

    def watch(done: int, total: int) -> None:
        seen.append(done)
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.05)  # the event loop has its turn before the work is done

    task = asyncio.create_task(
        spool.in_thread(lambda report: decrypt(tmp_path, sealed, progress=report), watch)
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == before
    assert seen[-1] < sealed.ciphertext_length // 2
