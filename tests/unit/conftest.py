"""What the tests of single files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto.secret_bytes import SecretBytes
from vault_client.device_store import DeviceStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeviceStore]:
    """A profile's store."""
    with DeviceStore.create_with_key(tmp_path / "profile", SecretBytes.random()) as opened:
        yield opened
