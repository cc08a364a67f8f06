"""Which tests reach which lines, and how long each takes: what is run for a mutant, and in which order."""

import ast
import os
import pickle
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import coverage
import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.trial import fork


@dataclass
class Reach:
    """``seconds`` of each test by its name, and the names of the tests that reach each line of each file.

    ``collected``: the lines of each file that run when tests are collected, before any test does.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    collected: dict[str, set[int]] = field(default_factory=dict)

    def is_collected(self, mutant: Mutant) -> bool:
        """Whether collecting the tests already shows what this mutant changes."""
        return not mutant.inside or not self.collected.get(mutant.path, set()).isdisjoint(mutant.lines)

    def tests_for(self, mutant: Mutant) -> list[str]:
        """Every test that reaches the mutant: the nearest to its file first, then the quickest."""
        lines = self.lines.get(mutant.path, {})
        return self._ordered(mutant, set().union(*(lines.get(line, set()) for line in mutant.lines)))

    def collected_tests(self, mutant: Mutant, *, near: bool) -> list[str]:
        """The tests near to the mutant, or all others, in the same order: any may see what is there before them."""
        if not self.is_collected(mutant):
            return []
        return self._ordered(mutant, (test for test in self.seconds if is_near(mutant, test) == near))

    def _ordered(self, mutant: Mutant, tests: Iterable[str]) -> list[str]:
        def place(test: str) -> tuple[int, float, str]:
            return -_nearness(mutant.path, test.partition("::")[0]), self.seconds[test], test

        return sorted(tests, key=place)

    def seconds_of(self, tests: Iterable[str]) -> float:
        """How long they take together."""
        return sum(self.seconds[test] for test in tests)


def is_near(mutant: Mutant, test: str) -> bool:
    """Whether a test is in the file named like the mutant's, or compares shapes, where most of a module's face shows."""
    return _nearness(mutant.path, test.partition("::")[0]) > 1


@cache
def _nearness(path: str, tests: str) -> int:
    named = Path(tests).stem.removeprefix("test_") in {Path(path).stem, "shapes"}
    return 2 * named + (path.removesuffix(".py").replace("/", ".") in _imported(tests))


@cache
def _imported(path: str) -> frozenset[str]:
    """The modules that a file of tests imports, and what it takes from them, by their full names."""
    names = set()
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def watching(paths: Sequence[str]) -> coverage.Coverage:
    """A measurement of these files that has begun."""
    measured = coverage.Coverage(
        data_file=None, config_file=False, include=[str(Path(path).resolve()) for path in paths]
    )
    measured.start()
    return measured


def measure(items: Sequence[pytest.Item], paths: Sequence[str]) -> Reach:
    """Run every test once under coverage, divided among the processors. Raises RuntimeError when one fails."""
    # Whole files, so that what a file sets up once is set up once.
    files, parts = list(dict.fromkeys(item.path for item in items)), len(os.sched_getaffinity(0))
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
    part, failed = Reach(), ""
    measured = watching(paths)
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
