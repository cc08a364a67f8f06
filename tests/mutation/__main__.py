"""``python -m tests.mutation [FILE ...] --tests TEST ...``: puts one fault at a time into each file; prints what lived.

Ends with 1 if one lived that docs/decisions/0013-mutants-that-live.md does not explain, or explains one that did not.
"""

import argparse
import gc
import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401 - what is loaded here, no fresh process loads again
import hypothesis
import msgspec.json  # noqa: F401
import nacl.bindings  # noqa: F401
import pytest

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.reach import measure, watching
from tests.mutation.trial import (
    PYTEST,
    fork,
    live_functions,
    run_exchanged,
    run_fresh,
    verdicts,
)

PAGE = Path("docs/decisions/0013-mutants-that-live.md")
TRUSTED = [
    *sorted(Path("crypto").rglob("*.py")),
    Path("vault_client/trust.py"),
    Path("vault_server/rules.py"),
]


class Trials:
    """In the place of pytest's loop: measures what each test reaches, then tries every mutant inside functions."""

    def __init__(self, mutants: Sequence[Mutant], into: Path) -> None:
        self._mutants = mutants
        self._into = into
        self._paths = sorted({mutant.path for mutant in mutants})
        self._collecting = watching(self._paths)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Write what the tests reach, and which of the mutants inside functions were killed."""
        self._collecting.stop()
        session.config.pluginmanager.unregister(name="terminalreporter")
        reach = measure(session.items, self._paths)
        data = self._collecting.get_data()
        reach.collected = {path: set(data.lines(str(Path(path).resolve())) or ()) for path in self._paths}
        items = {item.nodeid: item for item in session.items}
        live = live_functions()
        gc.freeze()  # what is collected now need not be looked through, and so copied, by each process
        trials = [
            partial(
                run_exchanged,
                mutant,
                live,
                [(items[name], reach.seconds[name]) for name in reach.tests_for(mutant)],
            )
            for mutant in self._mutants
            if mutant.inside
        ]
        self._into.write_bytes(pickle.dumps((reach, verdicts(trials))))
        return True


def living(mutants: Sequence[Mutant], pool: Sequence[str]) -> list[Mutant]:
    """The mutants that no test kills. Raises RuntimeError when a test fails without any."""
    with tempfile.TemporaryDirectory() as folder:
        # Everything but the mutant is compiled once.
        sys.pycache_prefix, sys.dont_write_bytecode = str(Path(folder, "compiled")), False
        for plugin in entry_points(group="pytest11"):
            plugin.load()
        into = Path(folder, "verdicts")
        os.waitpid(fork(lambda: pytest.main([*PYTEST, *pool], plugins=[Trials(mutants, into)])), 0)
        if not into.exists():
            raise RuntimeError(
                "The tests cannot be collected, or one fails without any mutant. Nothing was tried."
            )
        reach, killed = pickle.loads(into.read_bytes())  # noqa: S301 - written by our own child
        died = iter(killed)
        left = [mutant for mutant in mutants if not (mutant.inside and next(died))]
        for near in (True, False):  # to collect few tests is quick, and most mutants end there
            trials = []
            for mutant in left:
                # What runs only while tests run had all of them already.
                some = reach.collected_tests(mutant, near=near)
                trials.append(partial(run_fresh, mutant, some, reach.seconds_of(some)))
            left = [mutant for mutant, died_now in zip(left, verdicts(trials), strict=True) if not died_now]
    return left


def compared(lived: Sequence[Mutant], rows: Sequence[str]) -> tuple[list[Mutant], list[str]]:
    """Those of ``lived`` that no row of the page is about, and the rows about none of them: each is about one."""
    unexplained, unused = [], list(rows)
    for mutant in lived:
        row = next((row for row in unused if row.startswith(mutant.row)), None)
        if row is None:
            unexplained.append(mutant)
        else:
            unused.remove(row)
    return unexplained, unused


def main() -> int:
    """Prints each mutant that lives unexplained, and the count of each file."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="all of crypto, trust and rules")
    parser.add_argument("--tests", nargs="+", required=True, help="which tests may kill")
    options = parser.parse_args()
    files = options.files or TRUSTED
    mutants = [mutant for file in files for mutant in mutants_of(file.as_posix(), file.read_text())]
    lived = living(mutants, options.tests)
    tried = tuple(f"| {file} |" for file in files)
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(tried)]
    unexplained, unused = compared(lived, rows)
    for mutant in unexplained:
        sys.stdout.write(f"lives: {mutant.row} line {mutant.lines[-1]}\n")
    for row in unused:
        sys.stdout.write(f"listed, but does not live: {row}\n")
    for file in files:
        made, left, open_ = (
            sum(mutant.path == file.as_posix() for mutant in some) for some in (mutants, lived, unexplained)
        )
        sys.stdout.write(
            f"{file}: {made} mutants, {made - left} killed, {left - open_} explained, {open_} live\n"
        )
    return 1 if unexplained or unused else 0


if __name__ == "__main__":
    quick = [
        phase
        for phase in hypothesis.Phase
        if phase not in {hypothesis.Phase.shrink, hypothesis.Phase.explain}
    ]
    hypothesis.settings.register_profile(
        "mutation", max_examples=20, derandomize=True, database=None, deadline=None, phases=quick
    )
    hypothesis.settings.load_profile("mutation")
    sys.exit(main())
