"""What every test shares: where the material from elsewhere is, and one line when it is not there."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """The folder of vectors nobody here wrote. Skips, saying so, where it is absent."""
    if not (SHARED / "vectors").is_dir():
        pytest.skip("the folder of vectors from elsewhere is not beside this checkout")
    return SHARED / "vectors"


@pytest.fixture(scope="session")
def shared_samples() -> Path:
    """The folder of real documents from elsewhere. Skips, saying so, where it is absent."""
    if not (SHARED / "samples").is_dir():
        pytest.skip("the folder of sample documents is not beside this checkout")
    return SHARED / "samples"
