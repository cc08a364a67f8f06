"""``python -m bench [--quick] [--json FILE] [--markdown FILE] [names...]``: everything measured beside something else.

Measures, and judges nothing: it ends with 0 also where a target of the project is missed, and says so.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench import (
    appending,
    batches,
    download,
    files,
    grants,
    growth,
    opening,
    readers,
    scan,
    small_files,
    starting,
)
from bench.machine import Neighbours, description
from bench.tables import Table, tables_of
from bench.targets import verdicts

BENCHES: Final[dict[str, Callable[[bool], list[dict[str, Any]]]]] = {
    "files": files.run,
    "grants": grants.run,
    "opening": opening.run,
    "batches": batches.run,
    "readers": readers.run,
    "growth": growth.run,
    "scan": scan.run,
    "appending": appending.run,
    "download": download.run,
    "small_files": small_files.run,
    "starting": starting.run,
}


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = _parser()
    options = parser.parse_args()
    names = options.names or list(BENCHES)
    if unknown := set(names) - set(BENCHES):
        parser.error(f"there is no bench called {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    neighbours, results = Neighbours(), {}
    for name in random.sample(names, len(names)):
        begun = time.monotonic()
        results[name] = BENCHES[name](options.quick)
        print(f"{name}: measured in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    results = {name: results[name] for name in BENCHES if name in results}
    machine, others = description(), neighbours.report()
    tables = [table for name, rows in results.items() for table in tables_of(name, rows)]
    judged = list(verdicts(results))
    around = {**machine, **others, "run": "quick" if options.quick else "full"}
    tables.append(Table("Machine", ("what", "here"), tuple(around.items())))
    if judged:
        lines = tuple((aim, figure, "holds" if holds else "missed") for aim, figure, holds in judged)
        tables.append(Table("Targets", ("target", "figure", "on this machine"), lines))
    console = Console(width=None if sys.stdout.isatty() else 132)
    for table in tables:
        table.show(console)
    if options.json:
        figures = {"machine": around, "results": results, "targets": judged}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(_page(tables, options.quick), encoding="utf-8")
    return 0


def _page(tables: list[Table], quick: bool) -> str:
    command = f"python -m bench {'--quick ' if quick else ''}--markdown FILE"
    head = (
        f"# Benchmarks\n\nWritten by `{command}`, on the machine named below. Times are medians. Ways that stand side by\n"
        "side were run in turns, in shuffled order, and what came out was compared with what went in. What is measured,\n"
        "and beside what, each module of `bench/` says at its beginning. Compare ratios, not times: other programs were\n"
        "running to the extent told.\n\n"
    )
    return head + "\n".join(table.markdown() for table in tables)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Coffre beside its peers.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to FILE as a page")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; by default all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
