"""The file store: written once, synced, swept."""

import errno
import os
from pathlib import Path

import pytest

from crypto.durations import DAY
from crypto.errors import Conflict, Full, NotFound, TooLarge, TooMany
from crypto.pieces import HEADER, PART, PIECE, ciphertext_length, part_slice
from crypto.wire import messages as m
from tests.contract.in_process import CosigningKeeper, InProcess
from tests.contract.record_story import Stored, everything, founded
from tests.contract.vault_story import World, fresh
from vault_server.store.ciphertext import CiphertextStore


@pytest.fixture
def store(tmp_path: Path) -> CiphertextStore:
    """An empty store."""
    return CiphertextStore(tmp_path / "ciphertext", 0)


def test_other_bytes_never_take_a_place(store: CiphertextStore, tmp_path: Path) -> None:
    """The same bytes again are fine, others are a conflict, and no half-written file stays."""
    vault, ver, data = fresh(), fresh(16), fresh(100)
    store.put(vault, ver, 0, data)
    store.put(vault, ver, 0, data)
    with pytest.raises(Conflict):
        store.put(vault, ver, 0, fresh(100))
    assert b"".join(store.read(vault, ver, 100, 0)) == data
    assert [file.name for file in tmp_path.glob("ciphertext/*/*/*")] == ["000000"]


def test_every_byte_is_synced_before_it_is_acknowledged(
    store: CiphertextStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it gets its name, and every folder on the way after."""
    events: list[str] = []
    fsync, link = os.fsync, os.link

    def noting_fsync(handle: int) -> None:
        events.append("file" if os.path.isfile(f"/proc/self/fd/{handle}") else "folder")
        fsync(handle)

    def noting_link(source: Path, target: Path) -> None:
        events.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "link", noting_link)
    vault, ver = fresh(), fresh(16)
    store.put(vault, ver, 0, b"x" * 10)
    assert events == ["folder", "folder", "file", "name", "folder", "folder", "folder"]
    events.clear()
    # The folders are there: whoever made them may not have synced them yet.
    store.put(vault, ver, 1, b"x" * 10)
    assert events == ["file", "name", "folder", "folder", "folder"]


def test_reading_crosses_parts_from_any_byte(store: CiphertextStore) -> None:
    """Chunks join to the whole; a part that is gone is not skipped."""
    length = ciphertext_length(PART * 4 * 16384 + 5)
    vault, ver, data = fresh(), fresh(16), os.urandom(length)
    for number in (0, 1):
        store.put(vault, ver, number, data[part_slice(number, length)])
    border = HEADER + PART * PIECE
    for start in (0, 1, border - 1, border, border + 1, length):
        assert b"".join(store.read(vault, ver, length, start)) == data[start:]
    store.delete(vault, ver)
    with pytest.raises(NotFound):
        b"".join(store.read(vault, ver, length, 0))


def test_a_full_disk_is_said_in_words(
    store: CiphertextStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room is Full, and what was begun is cleared away."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "ciphertext" / "00").mkdir(exist_ok=True)
    with pytest.raises(Full, match="nothing was stored"):
        store.put(fresh(), b"\0" * 16, 0, b"x")
    monkeypatch.undo()
    assert not [file for file in tmp_path.glob("ciphertext/*/*/*") if file.is_file()]
    with pytest.raises(Full):
        CiphertextStore(tmp_path / "other", 1 << 60).put(fresh(), fresh(16), 0, b"x")


async def test_what_no_link_names_is_swept_after_a_day(
    running: InProcess, world: World, keeper: CosigningKeeper, tmp_path: Path
) -> None:
    """Unfinished uploads go, with their rows and files; what a link names stays."""
    record = await founded(world)
    kept, left = Stored.random(), Stored.random()
    await record.add(kept)
    await record.upload(left)
    files = lambda: len(list(tmp_path.glob("server/ciphertext/*/*/*")))  # noqa: E731
    await running.vault._upkeep.sweep()
    assert files() == 2
    await running.vault.uploads.sweep(running.now() + 2 * DAY)
    assert files() == 1
    api = await record.holder.api()
    assert (await api.upload_status(m.UploadQuery(vault=record.id, ver=left.ver))).parts == ()
    query = m.CiphertextQuery(vault=record.id, request=None, ver=kept.ver, start=0)
    assert await everything(api, query) == kept.data


async def test_a_record_has_an_allowance(running: InProcess, world: World) -> None:
    """Too many unfinished versions, or too many bytes, are refused before anything is written."""
    record = await founded(world)
    limits = running.vault.settings.limits
    object.__setattr__(limits, "open_uploads", 1)
    await record.upload(Stored.random())
    with pytest.raises(TooMany):
        await record.upload(Stored.random())
    object.__setattr__(limits, "open_uploads", 10)
    object.__setattr__(limits, "vault_bytes", 10_000)
    with pytest.raises(TooLarge):
        await record.upload(Stored.random())
    object.__setattr__(limits, "vaults_an_account", 1)
    with pytest.raises(TooMany):
        await (await record.holder.api()).reserve(m.Empty())
