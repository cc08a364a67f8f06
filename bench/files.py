"""Files encrypted and decrypted beside ``cp`` and ``age``, and 4 KiB documents beside hybrid HPKE wraps.

Every figure for a file is of a fresh process, start-up included, in shuffled order, and every output is compared with
its input. Ours ends with a signature over the root, or begins with checking one. Peak memory is watched from outside
in a run that is not timed: what ``wait4`` tells of a child's memory includes that of whoever started it.
"""

import filecmp
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
MIB: Final = 1 << 20
SIZES: Final = (64 << 10, MIB, 64 * MIB, 1 << 30)
WAYS: Final = ("encrypt", "decrypt")
ENOUGH_LOOKS: Final = 10

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """One program that encrypts a file and decrypts it again: its command for a way, a source and a target."""

    name: str
    command: Callable[[str, Path, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took, and what it said about itself."""

    wall: float
    cpu: float
    said: Row


Costs = dict[tuple[str, str], list[Cost]]


def run(quick: bool) -> list[Row]:
    """All measurements: a row for each way, size and tool, and one for documents in memory.

    ``quick`` leaves out 1 GiB and repeats less.
    """
    sizes = SIZES[:3] if quick else SIZES
    with tempfile.TemporaryDirectory(prefix="coffre-bench-", dir=_roomy_folder(4 * sizes[-1])) as name:
        folder = Path(name)
        tools = [
            _coffre(folder),
            Tool("cp", lambda _, source, target: ["cp", str(source), str(target)]),
            *_age(folder),
        ]
        rows = [
            row for size in sizes for row in _files(folder, tools, size, 3 if quick or size > 64 * MIB else 5)
        ]
    return [*rows, _documents(*((1000, 3) if quick else (10_000, 5)))]


def _files(folder: Path, tools: list[Tool], size: int, rounds: int) -> list[Row]:
    plain, sealed, opened = folder / "plain", folder / "sealed", folder / "opened"
    _fill(plain, size)
    costs: Costs = defaultdict(list)
    peaks: dict[tuple[str, str], float | None] = {}
    for turn in range(rounds + 1):
        for tool in random.sample(tools, len(tools)):
            for way, source, target in zip(WAYS, (plain, sealed), (sealed, opened), strict=True):
                command = tool.command(way, source, target)
                if turn:
                    costs[way, tool.name].append(_timed(command))
                else:  # also warms the caches
                    peaks[way, tool.name] = _watched(command)
            if not filecmp.cmp(plain, opened, shallow=False):
                raise SystemExit(f"{tool.name} did not give back a file of {size} bytes.")
            sealed.unlink()
            opened.unlink()
    return [_row(way, size, tool.name, costs, peaks[way, tool.name]) for way in WAYS for tool in tools]


def _row(way: str, size: int, tool: str, costs: Costs, peak: float | None) -> Row:
    def wall(name: str) -> float | None:
        return median(cost.wall for cost in costs[way, name]) if (way, name) in costs else None

    def said(field: str) -> float | None:
        values = [cost.said[field] for cost in costs[way, tool] if field in cost.said]
        return median(values) if values else None

    def times_as_fast_as(name: str) -> float | None:
        own, other = wall(tool), wall(name)
        return other / own if own and other else None

    return {
        "measure": f"{way} a file",
        "bytes": size,
        "tool": tool,
        "rounds": len(costs[way, tool]),
        "wall_s": wall(tool),
        "cpu_s": median(cost.cpu for cost in costs[way, tool]),
        "wall_without_start_s": said("work_s"),
        "peak_rss_mib": peak,
        "rss_above_start_mib": said("above_mib"),
        "times_as_fast_as_cp": times_as_fast_as("cp"),
        "times_as_fast_as_age": times_as_fast_as("age"),
    }


def _documents(count: int, rounds: int) -> Row:
    seconds = _timed([*_python(), "documents", str(count), str(rounds)]).said
    seal, wrap = (median(seconds[name]) for name in ("seal", "wrap"))
    return {
        "measure": "documents of 4 KiB sealed in memory, against one hybrid HPKE wrap each",
        "count": count,
        "rounds": rounds,
        "seal_s": seal,
        "wrap_s": wrap,
        "times_as_fast_as_wraps": wrap / seal,
    }


def _coffre(folder: Path) -> Tool:
    secret = folder / "secret"
    secret.write_bytes(os.urandom(64))
    return Tool(
        "coffre", lambda way, source, target: [*_python(), way, str(source), str(target), str(secret)]
    )


def _age(folder: Path) -> list[Tool]:
    if not (shutil.which("age") and shutil.which("age-keygen")):
        print("age is not installed: its cells stay empty. Its Debian package is called age.")
        return []
    key = folder / "age.key"
    made = subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True, text=True)
    recipient = made.stderr.split()[-1]

    def command(way: str, source: Path, target: Path) -> list[str]:
        keys = ["-r", recipient] if way == "encrypt" else ["-d", "-i", str(key)]
        return ["age", *keys, "-o", str(target), str(source)]

    return [Tool("age", command)]


def _python() -> list[str]:
    return [sys.executable, "-m", "bench.one_file"]


def _timed(command: list[str]) -> Cost:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        answer = process.stdout.read() if process.stdout else b""
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}.")
    return Cost(wall, usage.ru_utime + usage.ru_stime, json.loads(answer) if answer else {})


def _watched(command: list[str]) -> float | None:
    """Run ``command`` and return the most memory it was seen to have, in MiB; None if it was gone too soon."""
    peak = looks = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            fields = status.read_text(encoding="ascii").split() if status.exists() else []
            if "VmHWM:" in fields:  # a process that has ended, but not been waited for, has no such line
                peak = max(peak, int(fields[fields.index("VmHWM:") + 1]))
                looks += 1
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}.")
    return peak / 1024 if looks >= ENOUGH_LOOKS else None


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - start)))


def _roomy_folder(needed: int) -> str | None:
    """Memory-backed where it has room, so that no disk is measured; else the usual place."""
    shared = Path("/dev/shm")  # noqa: S108 - a private folder is made inside it
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > needed else None
