"""``log verify --keep``: what was verified once cannot be taken back, changed or left out unseen."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.checkpoint import Checkpoint, parse_note, sign_checkpoint
from crypto.errors import NotFound, NotProven
from crypto.signing import SigningKey
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.record_story import founded
from tests.contract.vault_story import World
from tests.support.lying_vault import LyingVault
from vault_client.kept_heads import KeptHeads
from vault_client.public_log import PublicLogs, verify_all


@pytest.fixture
def keeper() -> CosigningKeeper:
    """A keeper that only cosigns."""
    return CosigningKeeper(Clock())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the one who checks keeps heads."""
    return tmp_path / "kept"


async def verified(running: InProcess, folder: Path | None, vault: LyingVault | None = None) -> PublicLogs:
    """What a check from outside finds."""
    api = vault or running.vault.for_session(None)
    kept = None if folder is None else KeptHeads(folder)
    return await verify_all(api, running.root.root, {}, kept, running.now)


def files(folder: Path) -> dict[str, bytes]:
    """What is kept."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def parted(tmp_path: Path, keeper: CosigningKeeper, folder: Path, entries: int) -> None:
    """Have the heads of a service kept, and then another version of its log, with so many entries after they part."""
    data, other = tmp_path / "data", tmp_path / "other"
    async with serving(data, keeper) as running:
        await World(running).person()
    shutil.copytree(data, other)
    unaware = replace(keeper, heads=dict(keeper.heads))
    async with serving(data, keeper) as running:
        await World(running).person()
        await verified(running, folder)
    async with serving(other, unaware) as running:
        for _ in range(entries):
            await World(running).person()
        await verified(running, None)  # twin: who keeps nothing sees nothing
        kept = files(folder)
        with pytest.raises(NotProven, match="does not continue it: entries were taken back or changed"):
            await verified(running, folder)
        now = files(folder)
        assert {name: now[name] for name in kept} == kept, "the head that was verified first stays"
        (evidence,) = now.keys() - kept.keys()
        own, shown = kept[evidence.replace("contradicts", "checkpoint")], now[evidence]
        assert parse_note(own).text.splitlines()[0] == parse_note(shown).text.splitlines()[0]


async def test_a_log_that_goes_on_is_followed(tmp_path: Path, keeper: CosigningKeeper, folder: Path) -> None:
    """Control: heads are kept, each next one continues them and takes their place, also over many entries."""
    async with serving(tmp_path / "data", keeper) as running:
        world = World(running)
        first = await verified(running, folder)
        assert [log.continues for log in first.logs] == [None, None]
        for _ in range(3):
            await founded(world)
        second = await verified(running, folder)
        assert [log.continues for log in second.logs] == [log.size for log in first.logs]
        third = await verified(running, folder)
        assert [log.continues for log in third.logs] == [log.size for log in second.logs] == [3, 3]
        assert set(files(folder).values()) == {log.note for log in third.logs}


@pytest.mark.parametrize("entries", [0, 1, 2])
async def test_another_version_of_a_log_is_caught(
    tmp_path: Path, keeper: CosigningKeeper, folder: Path, entries: int
) -> None:
    """Shorter, as long, or longer: cosigned as it is, it does not continue what was verified, and both notes are kept."""
    await parted(tmp_path, keeper, folder, entries)


async def test_a_log_that_is_not_shown_any_more_is_missed(
    tmp_path: Path, keeper: CosigningKeeper, folder: Path
) -> None:
    """A shard that was verified cannot be left out; without what was kept it could be."""
    async with serving(tmp_path / "data", keeper, shard_vaults=1) as running:
        world = World(running)
        for _ in range(2):
            await founded(world)
        assert len((await verified(running, folder)).logs) == 3
        kept, honest = files(folder), running.vault.for_session(None)
        lying = LyingVault(honest)

        async def checkpoint(origin: str) -> bytes:
            if origin.endswith("/1"):
                raise NotFound
            return await honest.checkpoint(origin)

        lying.forge("checkpoint", checkpoint)
        assert len((await verified(running, None, lying)).logs) == 2
        with pytest.raises(NotProven, match="log/1, of which a head was verified earlier, is not shown"):
            await verified(running, folder, lying)
        assert files(folder) == kept


async def test_heads_move_only_when_every_log_was_whole(
    tmp_path: Path, keeper: CosigningKeeper, folder: Path
) -> None:
    """A check that ends in the middle leaves what was kept as it was."""
    async with serving(tmp_path / "data", keeper) as running:
        world = World(running)
        await founded(world)
        await verified(running, folder)
        kept = files(folder)
        await founded(world)
        lying, honest = LyingVault(running.vault.for_session(None)), running.vault.for_session(None)

        async def tile(origin: str, path: str) -> bytes:
            data = await honest.tile(origin, path)
            return bytes(len(data)) if "/log/" in origin and "/0/" in path else data

        lying.forge("tile", tile)
        with pytest.raises(NotProven, match="holds other hashes"):
            await verified(running, folder, lying)
        assert files(folder) == kept


async def test_only_heads_that_were_signed_count(
    tmp_path: Path, keeper: CosigningKeeper, folder: Path
) -> None:
    """A kept file that was changed is refused by name; one of another service is left alone."""
    async with serving(tmp_path / "data", keeper) as running:
        checked = await verified(running, folder)
        stranger = replace_origin(checked.logs[0].note, b"elsewhere.example")
        (folder / "stranger.checkpoint").write_bytes(stranger)
        await verified(running, folder)
        assert (folder / "stranger.checkpoint").read_bytes() == stranger
        forged = sign_checkpoint(
            Checkpoint.parse(parse_note(checked.logs[0].note).text), SigningKey.generate()
        )
        for bad in (b"", checked.logs[0].note[:-9], forged):
            (folder / "changed.checkpoint").write_bytes(bad)
            with pytest.raises(NotProven, match=r"changed\.checkpoint is not a head"):
                await verified(running, folder)


def replace_origin(note: bytes, host: bytes) -> bytes:
    """The note of a service on another host."""
    return note.replace(b"vault.example", host)
