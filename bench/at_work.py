"""What the processors have done until a moment: each core as the system counts it, and some processes.

One thread of a Python process works at a time, and a server answers from its first: where that one has a whole core, the
server has no more to give, whatever the other cores do.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Core(NamedTuple):
    """Seconds that one core was at work, was taken by other machines on the host, and was idle."""

    busy: float
    stolen: float
    idle: float


class Worked(NamedTuple):
    """Seconds of processor time of a process, and of its first thread."""

    process: float
    first_thread: float


@dataclass(frozen=True, slots=True)
class AtWork:
    """Everything until ``time``, on the clock that all processes share."""

    time: float
    cores: tuple[Core, ...]
    processes: Mapping[str, Worked]

    @classmethod
    def now(cls, processes: Mapping[str, int]) -> "AtWork":
        """As it stands; ``processes``: by name, the numbers of those that are looked at."""
        worked = {name: Worked(*_worked(number)) for name, number in processes.items()}
        return cls(time.monotonic(), cores(), worked)


def cores() -> tuple[Core, ...]:
    """Each core since the machine started."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return tuple(_core(line) for line in lines if line.startswith("cpu") and line[3].isdigit())


def _core(line: str) -> Core:
    user, nice, system, idle, wait, hard, soft, stolen = (int(field) / _TICKS for field in line.split()[1:9])
    return Core(user + nice + system + hard + soft, stolen, idle + wait)


def _worked(number: int) -> tuple[float, float]:
    process = Path("/proc") / str(number)
    return _seconds(process / "stat"), _seconds(process / "task" / str(number) / "stat")


def _seconds(path: Path) -> float:
    fields = path.read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
