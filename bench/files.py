"""Files encrypted and decrypted beside ``cp`` and ``age``, and 4 KiB documents beside hybrid HPKE wraps.

Every figure is of a fresh process, start-up included, in shuffled order; every output is compared with its input. A
run of ours ends with a signature over the root, or begins with checking one. Peak memory of the peers is watched from
outside in a run that is not timed: what ``wait4`` reports for a child includes the memory of whoever started it.
"""

import argparse
import filecmp
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
CONTEXT: Final = b"DSSEv1 10 bench/file"
MIB: Final = 1 << 20
SIZES: Final = (64 << 10, MIB, 64 * MIB, 1 << 30)

Row = dict[str, Any]
Command = list[str]


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to encrypt a file and decrypt it again."""

    name: str
    encrypt: Callable[[Path, Path], Command]
    decrypt: Callable[[Path, Path], Command]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    wall: float
    cpu: float
    report: Row


def run(quick: bool) -> list[Row]:
    """All measurements: one row for each way, size and tool, and one for documents in memory."""
    sizes, rounds = (SIZES[:3], 3) if quick else (SIZES, 5)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-", dir=_roomy_folder(5 * sizes[-1])) as name:
        folder = Path(name)
        tools = [_coffre(folder), Tool("cp", _copy, _copy), *_age(folder)]
        rows = [row for size in sizes for row in _measure(folder, tools, size, min(rounds, 3 if size > 64 * MIB else rounds))]
    return [*rows, _documents(quick)]


def _measure(folder: Path, tools: list[Tool], size: int, rounds: int) -> list[Row]:
    plain = folder / "plain"
    _fill(plain, size)
    costs: dict[tuple[str, str], list[Cost]] = {}
    peaks: dict[tuple[str, str], int | None] = {}
    for number in range(rounds + 1):
        for tool in random.sample(tools, len(tools)):
            sealed, opened = folder / f"{tool.name}.sealed", folder / f"{tool.name}.opened"
            for way, command in (("encrypt", tool.encrypt(plain, sealed)), ("decrypt", tool.decrypt(sealed, opened))):
                if number == 0:  # warms the caches and watches the memory
                    peaks[way, tool.name] = _watch(command)
                else:
                    costs.setdefault((way, tool.name), []).append(_time(command))
            if not filecmp.cmp(plain, opened, shallow=False):
                raise SystemExit(f"{tool.name} did not give back the file of {size} bytes.")
            sealed.unlink()
            opened.unlink()
    plain.unlink()
    return [
        _row(way, size, tool.name, costs, peaks[way, tool.name]) for way in ("encrypt", "decrypt") for tool in tools
    ]


def _row(way: str, size: int, tool: str, costs: dict[tuple[str, str], list[Cost]], peak: int | None) -> Row:
    own = costs[way, tool]

    def wall(name: str) -> float | None:
        return statistics.median(cost.wall for cost in costs[way, name]) if (way, name) in costs else None

    def times_faster_than(name: str) -> float | None:
        other = wall(name)
        return other / statistics.median(cost.wall for cost in own) if other else None

    def reported(field: str) -> float | None:
        values = [cost.report[field] for cost in own if field in cost.report]
        return statistics.median(values) if values else None

    return {
        "measure": f"{way} a file",
        "bytes": size,
        "tool": tool,
        "rounds": len(own),
        "wall_s": wall(tool),
        "cpu_s": statistics.median(cost.cpu for cost in own),
        "wall_without_start_s": reported("work_s"),
        "peak_rss_mib": peak / 1024 if peak else None,
        "rss_above_start_mib": reported("above_kib") and reported("above_kib") / 1024,
        "times_as_fast_as_cp": times_faster_than("cp"),
        "times_as_fast_as_age": times_faster_than("age"),
    }
