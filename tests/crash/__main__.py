"""``python -m tests.crash [--rounds N] [--seed N]``: prints what was cut, acknowledged and lost; ends with 1 if anything was.

The rounds are kills, one in ten of them of somebody who enrols or restores; every other story has four keepers, of which three
must sign, and one at a time is killed. After them disks fail, the server's and the
clients': power, room, syncs, writes. What this machine cannot do is said in one line.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, get_args

from tests.crash.coming import come_under_fire
from tests.crash.disks import failing
from tests.crash.founding import found_under_fire
from tests.crash.rounds import Side, Story, Told

A_STORY: Final = 40
FOUNDINGS: Final = 4


def main() -> int:
    """Stories, each on a service of its own, until there were as many rounds as asked for; then what came of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=400, help="how often somebody is killed (400)")
    parser.add_argument("--disk-rounds", type=int, default=10, help="how often each disk fails each way (10)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="to cut the same again")
    options = parser.parse_args()
    begun, sum_, seed = time.monotonic(), Told(), options.seed
    print(f"seed {seed}", flush=True)
    coming = options.rounds // 10
    for number, start in enumerate(range(0, options.rounds - coming, A_STORY), 1):
        rounds = min(A_STORY, options.rounds - coming - start)
        _tell(
            sum_,
            f"story {number}",
            partial(_kills, seed=seed + number, rounds=rounds, keepers=4 if number % 2 == 0 else 1),
        )
    if coming:
        _tell(sum_, "enrolments and restores", partial(come_under_fire, seed=seed, rounds=coming))
    for of in get_args(Side) if options.disk_rounds else ():
        _tell(sum_, f"disk of {of}", partial(_disk, seed=seed, rounds=options.disk_rounds, of=of))
    print(f"{'':28}{'rounds':>8}{'acknowledged':>14}{'lost':>6}")
    for kind, rounds in sum_.rounds.items():
        print(f"{kind:28}{rounds:8}{sum_.acknowledged[kind]:14}{sum_.lost[kind]:6}")
    took = time.monotonic() - begun
    totals = f"{sum_.rounds.total():8}{sum_.acknowledged.total():14}{sum_.lost.total():6}"
    print(f"{'in all':28}{totals}  in {took:.0f} s; {len(sum_.broken)} things did not hold")
    return 1 if sum_.broken else 0


def _tell(sum_: Told, name: str, play: Callable[[Path], Told]) -> None:
    """Play one story and add it to ``sum_``. Says what does not hold."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coffre-crash-") as folder:
        try:
            told = play(Path(folder))
        except RuntimeError as error:
            told = Told(broken=[str(error)])
    sum_.add(told)
    numbers = (
        f"{told.rounds.total()} rounds, {told.acknowledged.total()} acknowledged, {told.lost.total()} lost"
    )
    print(f"{name}: {numbers}, {time.monotonic() - begun:.0f} s", flush=True)
    for each in told.broken:
        print(f"  Does not hold: {each}", flush=True)


def _kills(folder: Path, seed: int, rounds: int, keepers: int) -> Told:
    founding = folder / "founding"
    founding.mkdir()
    told = Told(broken=found_under_fire(founding, seed, FOUNDINGS))
    told.rounds["founding"] += FOUNDINGS
    told.add(Story(folder, seed, keepers=keepers).play(rounds - FOUNDINGS))
    return told


def _disk(folder: Path, seed: int, rounds: int, of: Side) -> Told:
    with failing(folder) as disk:
        for why in disk.cannot:
            print(f"  {why}", flush=True)
        return Story(folder, seed, disk, of=of).play(rounds * len(disk.faults)) if disk.faults else Told()


if __name__ == "__main__":
    sys.exit(main())
