"""One mutant, one forked process: the tests that reach it run until one fails.

A mutant inside a function is tried in a process that has collected the tests already: only the code of that function
is exchanged. One outside of functions, or one that lived, is tried where nothing of ours was imported yet.
"""

import gc
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from tests.mutation.mutants import Mutant

KILLED, LIVED = 1, 0
LOOPS = 1.0  # second in which no test that takes none loops
COLLECTING = 30.0  # seconds in which any tests are collected
MEMORY = 4 << 30
Live = dict[tuple[str, str, int], list[FunctionType]]
PYTEST = [
    "-q",
    "-x",
    "-s",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faker",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
]


def fork(work: Callable[[], int]) -> int:
    """Start ``work`` in a process of its own, which ends with what it returns; its id."""
    child = os.fork()
    if child:
        return child
    ended = KILLED
    try:
        ended = work()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(ended)


def silence() -> None:
    """Print nothing more in this process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def verdicts(trials: Sequence[Callable[[], int]]) -> list[bool]:
    """Whether each trial's mutant was killed; as many at once as there are processors."""
    killed = [True] * len(trials)
    running: dict[int, int] = {}
    waiting = iter(enumerate(trials))
    while True:
        while len(running) < len(os.sched_getaffinity(0)) and (following := next(waiting, None)):
            running[fork(partial(_bounded, following[1]))] = following[0]
        if not running:
            return killed
        child, status = os.wait()
        at = running.pop(child)
        killed[at] = status != LIVED
        sys.stderr.write(f"\r{at + 1} of {len(trials)} tried")


def _bounded(trial: Callable[[], int]) -> int:
    silence()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return trial()


def _end_after(seconds: float) -> None:
    # Of processor time, so that a busy machine changes nothing. The signal ends the process.
    signal.setitimer(signal.ITIMER_PROF, seconds)


def run_exchanged(mutant: Mutant, live: Live, tests: Sequence[tuple[pytest.Item, float]]) -> int:
    """Run tests that are collected already, with how long each takes, with one function exchanged."""
    if not tests:
        return LIVED
    exchange(mutant, live)
    items = [item for item, _ in tests]
    items[0].config.pluginmanager.register(_FirstFailure())
    for (item, seconds), following in zip(tests, [*items[1:], None], strict=True):
        _end_after(LOOPS + 5 * seconds)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return LIVED


def run_fresh(mutant: Mutant, tests: Sequence[str], seconds: float) -> int:
    """Import the mutant instead of its file, then collect and run tests that take ``seconds``, if there are any."""
    if not tests:
        return LIVED
    sys.meta_path.insert(0, _Finder(mutant))
    _end_after(COLLECTING + 3 * seconds)
    return LIVED if pytest.main([*PYTEST, *tests]) == pytest.ExitCode.OK else KILLED


def live_functions() -> Live:
    """Every function of Python in this process, by the file, name and line of its definition."""
    found: Live = defaultdict(list)
    for live in gc.get_objects():
        if isinstance(live, FunctionType):
            found[_defined(live.__code__)].append(live)
    return found


def exchange(mutant: Mutant, live: Live) -> None:
    """Give the function that the mutant is in the mutant's code. Raises LookupError when it is not in use."""
    name = mutant.function.removesuffix("()")
    whole = compile(mutant.source, str(Path(mutant.path).resolve()), "exec")
    found = [
        (function, code)
        for code in _functions(whole)
        if code.co_qualname == name
        for function in live.get(_defined(code), [])
    ]
    if not found:
        raise LookupError(f"no function {name} of {mutant.path} is in use")
    for function, code in found:
        function.__code__ = code


def _defined(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions(constant)


class _FirstFailure:
    """Ends the process at the first failure: to describe it takes longer than most tests."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            os._exit(KILLED)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the mutant where its module is imported, and nothing else."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.path.removesuffix(".py").replace("/", ".")
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, Path(self._mutant.path).resolve(), loader=_Loader(self._mutant, fullname)
        )


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant, fullname: str) -> None:
        super().__init__(fullname, str(Path(mutant.path).resolve()))
        self._source = mutant.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec")
