"""What every test shares: where the material from elsewhere is, and how much of everything ran."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["COFFRE_LANG"] = "en"  # what tests compare is English, whatever language the system speaks

SHARED = Path(__file__).resolve().parents[2] / "shared"

# How long an example took says how busy the machine is.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")

# What tests count begins with one of these words, which then names a line of its own; all else are vectors.
TRIED = ("inputs to ", "requests ", "steps of ")

_counted: Counter[str] = Counter()


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


@pytest.fixture(autouse=True, scope="module")
def no_thread_is_left() -> Iterator[None]:
    """A database connection that is not closed keeps its thread, and the process could never end."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while left := [each for each in threading.enumerate() if each not in before and not each.daemon]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads were left running: {left}")
        time.sleep(0.05)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what tests say they ran, in whole numbers, by ``record_property``."""
    if report.when == "teardown":
        for name, value in report.user_properties:
            if isinstance(value, int):
                _counted[name] += value


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    vectors = {name: number for name, number in sorted(_counted.items()) if not name.startswith(TRIED)}
    if vectors:
        counts = ", ".join(f"{name} {number}" for name, number in vectors.items())
        terminalreporter.write_line(f"Vectors from elsewhere that ran: {sum(vectors.values())} ({counts})")
    for name in sorted(set(_counted) - set(vectors)):
        terminalreporter.write_line(f"{name[0].upper()}{name[1:]}: {_counted[name]}")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End the process when a thread would keep it for ever: all that there is to say has been said by now."""
    left = [each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon]
    if left:
        print(f"The run was broken off, as threads were left running: {left}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
