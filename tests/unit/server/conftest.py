"""A vault in a fresh folder, beside a keeper that only cosigns, at a time that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.vault_story import World


@pytest.fixture
def keeper() -> CosigningKeeper:
    """The keeper, with the clock of the whole test."""
    return CosigningKeeper(Clock())


@pytest.fixture
async def running(tmp_path: Path, keeper: CosigningKeeper) -> AsyncIterator[InProcess]:
    """The vault."""
    async with serving(tmp_path, keeper) as service:
        yield service


@pytest.fixture
def world(running: InProcess) -> World:
    """Everybody."""
    return World(running)
