"""``python -m tests.crash [--rounds N] [--seed N]``: prints what was cut, acknowledged and lost; ends with 1 if anything was.

The rounds are kills; after them the disk fails: power, room, syncs. What this machine cannot do is said in one line.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash import disks
from tests.crash.disks import CannotError, Disk
from tests.crash.founding import found_under_fire
from tests.crash.rounds import Story, Told

A_STORY: Final = 40
DISKS: Final[dict[str, Callable[[Path], AbstractContextManager[Disk]]]] = {
    "power cut": disks.powered,
    "full disk": disks.small,
    "failing syncs": partial(disks.refusing, how="error"),
    "slow syncs": partial(disks.refusing, how="slow"),
}


def main() -> int:
    """Stories of forty rounds, each on a service of its own, until there were as many as asked for; then the disks."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=400, help="how often somebody is killed (400)")
    parser.add_argument("--disk-rounds", type=int, default=10, help="how often each disk fails (10)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="to cut the same again")
    options = parser.parse_args()
    begun, sum_ = time.monotonic(), Told()
    for number, start in enumerate(range(0, options.rounds, A_STORY)):
        rounds = min(A_STORY, options.rounds - start)
        if not _holds(sum_, f"story {number + 1}", options.seed + number, rounds):
            return 1
    for name, disk in DISKS.items() if options.disk_rounds else ():
        if not _holds(sum_, name, options.seed, options.disk_rounds, disk):
            return 1
    for kind, rounds in sorted(sum_.rounds.items()):
        print(f"{kind:>14}: {rounds:4} rounds, {sum_.acknowledged[kind]:6} acknowledged before, 0 lost")
    took = time.monotonic() - begun
    print(f"{sum_.rounds.total()} rounds, {sum_.acknowledged.total()} acknowledged, 0 lost, in {took:.0f} s")
    return 0


def _holds(
    sum_: Told,
    name: str,
    seed: int,
    rounds: int,
    disk: Callable[[Path], AbstractContextManager[Disk]] | None = None,
) -> bool:
    """Play one story and add it to ``sum_``. Says what does not hold."""
    print(f"{name}: seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="coffre-crash-") as folder:
        if disk is None:
            founding = Path(folder) / "founding"
            founding.mkdir()
            broken = found_under_fire(founding, seed, 4)
            told = Story(Path(folder), seed).play(rounds)
            told.broken += broken
        else:
            try:
                with disk(Path(folder)) as failing:
                    told = Story(Path(folder), seed, failing).play(rounds)
            except CannotError as error:
                print(error, flush=True)
                return True
            for counted in (told.rounds, told.acknowledged):
                counted[name] = counted.pop("disk", 0)
    sum_.rounds += told.rounds
    sum_.acknowledged += told.acknowledged
    if told.broken:
        print("\n".join(["What does not hold:", *told.broken]), flush=True)
    else:
        print(f"  {told.rounds.total()} rounds, {told.acknowledged.total()} acknowledged, 0 lost", flush=True)
    return not told.broken


if __name__ == "__main__":
    sys.exit(main())
