"""Which tests reach which lines, and how long each takes: what is run for a mutant, and in which order."""

import os
import pickle
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import coverage
import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.trial import fork

ENOUGH_SECONDS = 6.0  # of tests for one mutant, as they took without it


@dataclass
class Reach:
    """``seconds`` of each test by its name, and the names of the tests that reach each line of each file."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    def tests_for(self, mutant: Mutant) -> list[str]:
        """The tests to run, those nearest to the file first, then the quickest; for a line never reached, none."""
        lines = self.lines.get(mutant.path, {})
        if mutant.inside:
            reaching = set().union(*(lines.get(line, set()) for line in mutant.lines))
        else:
            reaching = set(self.seconds)
        chosen: list[str] = []
        spent = 0.0
        for test in sorted(reaching, key=lambda test: (not is_near(mutant, test), self.seconds[test], test)):
            if chosen and spent + self.seconds[test] > ENOUGH_SECONDS:
                break
            chosen.append(test)
            spent += self.seconds[test]
        return chosen

    def seconds_of(self, tests: Iterable[str]) -> float:
        """How long they take together."""
        return sum(self.seconds[test] for test in tests)


def is_near(mutant: Mutant, test: str) -> bool:
    """Whether a test is in the file named like the mutant's, or compares shapes, where most of a module's face shows."""
    return Path(test.partition("::")[0]).stem.removeprefix("test_") in {Path(mutant.path).stem, "shapes"}


def measure(items: Sequence[pytest.Item], paths: Sequence[str]) -> Reach:
    """Run every test once under coverage, divided among the processors. Raises RuntimeError when one fails."""
    # Whole files, so that what a file sets up once is set up once.
    files, parts = list(dict.fromkeys(item.path for item in items)), os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        shares = []
        for number in range(min(parts, len(files))):
            mine, into = set(files[number::parts]), Path(folder, str(number))
            some = [item for item in items if item.path in mine]
            shares.append((into, fork(partial(_measure_share, some, paths, into))))
        whole = Reach(lines={path: {} for path in paths})
        for into, child in shares:
            os.waitpid(child, 0)
            failed, part = pickle.loads(into.read_bytes())  # noqa: S301 - written by our own child
            if failed:
                raise RuntimeError(f"{failed} fails without any mutant. Nothing was tried.")
            whole.seconds |= part.seconds
            for path, lines in part.lines.items():
                for line, tests in lines.items():
                    whole.lines[path].setdefault(line, set()).update(tests)
    return whole


def _measure_share(items: Sequence[pytest.Item], paths: Sequence[str], into: Path) -> int:
    of = [str(Path(path).resolve()) for path in paths]
    measured = coverage.Coverage(data_file=None, config_file=False, include=of)
    part, failed = Reach(), ""
    measured.start()
    for item, following in zip(items, [*items[1:], None], strict=True):
        measured.switch_context(item.nodeid)
        begun = time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        part.seconds[item.nodeid] = time.process_time() - begun
        if item.session.testsfailed:
            failed = item.nodeid
            break
    measured.stop()
    for path in paths:
        found = measured.get_data().contexts_by_lineno(str(Path(path).resolve()))
        part.lines[path] = {line: set(tests) & part.seconds.keys() for line, tests in found.items()}
    into.write_bytes(pickle.dumps((failed, part)))
    return 0
