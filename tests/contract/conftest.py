"""The implementation of ``VaultApi`` under test, and everybody who uses it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.in_process import Clock, CosigningKeeper, serving
from tests.contract.vault_story import ServiceUnderTest, World


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    """The in-process vault."""
    async with serving(tmp_path, CosigningKeeper(Clock())) as running:
        yield running


@pytest.fixture
def world(service: ServiceUnderTest) -> World:
    """Everybody."""
    return World(service)
