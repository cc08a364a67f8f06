"""``python -m tests.model``: explores the deeper worlds with every rule, then each rule's removal, and prints it all.

Ends with 1 if a bad state is reached with every rule, or none where the tables of ``removed`` name one.
"""

import sys
import time
from typing import Any

from tests.model.explore import Explored, Rules, World, explore
from tests.model.removed import BAD, COVERED, NEEDLESS, REACHED
from tests.model.rules import ALL
from tests.model.worlds import deep, quick


def main() -> int:
    """Explore, print, and say whether all was as the tables have it."""
    wrong = 0
    print("With every rule:")
    total = 0
    for name, world in deep().items():
        began = time.monotonic()
        explored = explore(world, Rules(ALL))
        total += explored.states
        wrong += explored.bad is not None
        print(
            f"  {name:18} {explored.states:9,} states  {time.monotonic() - began:6.1f} s  {explored.bad or ''}",
            flush=True,
        )
    print(f"  {'in all':18} {total:9,} states")
    worlds = quick()
    for rule in ALL:
        print(f"\nWithout '{rule.name}' ({rule.section}: {rule.sentence})")
        if rule.name in REACHED:
            for where in REACHED[rule.name].worlds:
                explored = explore(worlds[where], Rules(ALL, frozenset({rule.name})))
                wrong += explored.bad != REACHED[rule.name].bad
                _print(where, explored)
        else:
            wrong += _needless(rule.name, worlds)
    return 1 if wrong else 0


def _print(world: str, explored: Explored) -> None:
    if explored.bad is None:
        print(f"  {world}: nothing bad, {explored.states:,} states")
        return
    print(f"  {world}: ({explored.bad}) {BAD[explored.bad]}, {explored.states:,} states seen")
    for number, words in enumerate(explored.trace, 1):
        print(f"    {number}. {words}")


def _needless(rule: str, worlds: dict[str, World[Any]]) -> int:
    """How many worlds come to something bad without a rule that is said to be needless; and prints with which it is not."""
    reached = 0
    for name, world in worlds.items():
        explored = explore(world, Rules(ALL, frozenset({rule})))
        if explored.bad is not None:
            reached += 1
            _print(name, explored)
    print(f"  nothing bad in {len(worlds) - reached} worlds of {len(worlds)}")
    if rule in COVERED:
        other, both = COVERED[rule]
        for name in both.worlds:
            print(f"  and without '{other}':")
            _print(name, explore(worlds[name], Rules(ALL, frozenset({rule, other}))))
    return reached + (rule not in COVERED and rule not in NEEDLESS)


if __name__ == "__main__":
    sys.exit(main())
