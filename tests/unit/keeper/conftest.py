"""The keeper of these tests, with everybody whom it serves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.keeper_story import Story, keeper_story


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    """A document granted to a certified practitioner, and its keeper, one of one."""
    async with keeper_story(tmp_path / "keeper") as made:
        yield made
