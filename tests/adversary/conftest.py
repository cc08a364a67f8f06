"""The server of the adversary tests, and a fresh story on it for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.adversary.story import Story, told
from tests.support.instance import Instance, running
from tests.support.memory import folder_in_memory
from vault_client import transfer


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One real server and its keeper for all tests of this folder.

    It adds no cover leaf: one in the real log, while a test shows a forged one, would be a second contradiction.
    """
    data = tmp_path_factory.mktemp("instance")
    with folder_in_memory(data) as folder, running(folder / "data", 0, "--cover-leaves", "0") as started:
        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that lies."""
    monkeypatch.setattr(transfer, "WAITS", ())


@pytest.fixture
async def story(instance: Instance, tmp_path: Path) -> AsyncIterator[Story]:
    """A patient with documents, a practitioner to whom they are granted, and lying servers between them."""
    with folder_in_memory(tmp_path) as folder:
        async with told(instance, folder) as begun:
            yield begun
