"""The parsers that look at bytes themselves, under a fuzzer that follows which of their branches were taken."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire.effort import EFFORT

ROOT = Path(__file__).resolve().parents[2]
RUNS = 60_000


def fuzzed(corpus: Path, runs: int) -> subprocess.CompletedProcess[str]:
    """One run of the fuzzer, the same each time unless it is to look for more."""
    seed = 1 if EFFORT == 1 else 0
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.wire.fuzz_by_hand",
            corpus,
            f"-runs={runs}",
            f"-seed={seed}",
            "-max_len=2048",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no build for this Python or machine"
)
def test_no_branch_of_a_parser_lets_anything_through(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Inputs chosen for the branches they take are refused in words, or are the encoding of what was read."""
    done = fuzzed(tmp_path, RUNS * EFFORT)
    assert done.returncode == 0, done.stderr[-3000:]
    said = re.search(r"Done ([0-9]+) runs", done.stderr)
    assert said is not None, done.stderr[-3000:]
    record_property("inputs to parsers, made by atheris", int(said[1]))
    assert int(said[1]) >= RUNS
