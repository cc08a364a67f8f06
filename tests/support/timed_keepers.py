"""Keepers as programs, by a clock that a test moves: everything else is what ``coffre keeper serve`` does.

``python -m tests.support.timed_keepers CLOCK serve …`` is one keeper. Without more words it is as many as it is told of, one
on each line of its input, ``[clock, data, server, card, port]``: a page of refusals needs a fresh keeper for each, and no
program of its own for each. What waits for seconds to go by looks again at once.
"""

import asyncio
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from vault_server.keeper import __main__ as program
from vault_server.keeper import keeper, service
from vault_server.keeper.clock import Clock
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.settings import Settings
from vault_server.listening import Listening

AGAIN = 0.1

_open = Keeper.open


class ClockFile:
    """The time of keepers that run elsewhere. It stands still at ``now``; without one only what elapses is moved."""

    def __init__(self, path: Path, now: float | None = None) -> None:
        self.path = path
        self.set(now, 0)

    def set(self, now: float | None, elapsed: float) -> None:
        """Move it, at once for whoever reads it."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps([now, elapsed]))
        new.replace(self.path)

    @property
    def now(self) -> float:
        """The time at which it stands."""
        return float(json.loads(self.path.read_text())[0])

    @now.setter
    def now(self, now: float) -> None:
        self.set(now, 0)


def _clock(path: Path, floor: int) -> Clock:
    def read() -> tuple[float | None, float]:
        now, elapsed = json.loads(path.read_text())
        return now, elapsed

    def own() -> float:
        now, _ = read()
        return time.time() if now is None else now

    def monotonic() -> float:
        now, elapsed = read()
        return (time.monotonic() if now is None else now) + elapsed

    return Clock(floor, own=own, monotonic=monotonic)


def _by(clock: dict[Path, Path]) -> None:
    """From now on keepers open by the clocks of their folders."""

    def opened(data: Path, *words: Any, **options: Any) -> Any:
        return _open(data, *words, **options, clock=partial(_clock, clock[data]))

    Keeper.open = opened  # type: ignore[method-assign]
    service.AGAIN_EVERY = AGAIN  # type: ignore[assignment]
    keeper.TRUST_ROOT_EVERY = AGAIN


async def _several() -> None:
    clocks: dict[Path, Path] = {}
    _by(clocks)
    running = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        clock, data, server, card, port = json.loads(line)
        clocks[Path(data)] = Path(clock)
        settings = Settings(Path(data), server, Path(card), Listening(port))
        running.append(asyncio.create_task(service.serve(settings, as_json=True)))
    os._exit(0)  # nobody asks any more, and nothing here is to be kept


if __name__ == "__main__":
    if len(sys.argv) == 1:
        asyncio.run(_several())
    _by({Path(sys.argv[sys.argv.index("--data") + 1]): Path(sys.argv[1])})
    sys.exit(program.main(sys.argv[2:]))
