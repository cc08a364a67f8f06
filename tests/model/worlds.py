"""The worlds that are explored, by name: small ones for every run of the tests, and deeper ones for ``make model``."""

from typing import Any

from tests.model.explore import World
from tests.model.honest import Honest
from tests.model.keepers import COVER, FOUND, OTHER, RANDOM, READING, Keepers, Leaf, Request
from tests.model.reader import Reader
from tests.model.record import Record

POLICIES = ((1, 1), (3, 4))
ONE = Leaf(READING, 0, FOUND)


def quick() -> dict[str, World[Any]]:
    """Worlds of some thousand states at most."""
    lying = [world for k, n in POLICIES for world in lying_worlds(k, n)]
    others: tuple[World[Any], ...] = (
        Reader("reader", longest=2, heads=2),
        Record("record", longest=3),
        Honest("audit", links=1, requests=1, crashes=0),
        Honest("writers", links=2, requests=0, crashes=0),
        Honest("crash", links=1, requests=0, crashes=1),
    )
    return _named(*lying, *others)


def deep() -> dict[str, World[Any]]:
    """The same with one leaf, link, head or request more."""
    lying = [world for k, n in POLICIES for world in lying_worlds(k, n, more=1)]
    others: tuple[World[Any], ...] = (
        Reader("reader", longest=3, heads=2),
        Record("record", longest=5),
        Honest("audit", links=2, requests=1, crashes=0),
        Honest("readings", links=1, requests=2, crashes=0),
        Honest("writers", links=3, requests=0, crashes=0),
        Honest("crash", links=2, requests=0, crashes=2),
    )
    return _named(*lying, *others)


def _named(*worlds: World[Any]) -> dict[str, World[Any]]:
    return {world.name: world for world in worlds}


def lying_worlds(k: int, n: int, more: int = 0) -> list[Keepers]:
    """What liars can do with k of n keepers, one matter at a time. ``more``: leaves beyond what the matter needs."""

    def world(
        name: str, longest: int, requests: tuple[Request, ...], *readings: Leaf, **matter: object
    ) -> Keepers:
        return Keepers(f"{name} {k}/{n}", k, n, requests, readings, longest + more, **matter)  # type: ignore[arg-type]

    hidden, removed = Request(two=RANDOM), Request(device="removed")
    leaves = (
        ONE,
        Leaf(READING, 0, RANDOM),
        Leaf(READING, 1, RANDOM),
        Leaf(READING, 0, FOUND, granted=False),
        Leaf(READING, 0, FOUND, shard="other"),
    )
    return [
        world("leaves", 2, (Request(), hidden), *leaves),
        world("one slot", 3, (Request(), Request(doc="y")), ONE, Leaf(READING, 1, FOUND)),
        world(
            "acts",
            2,
            (Request(act="list"), Request(act="export"), Request(excluded=True)),
            *(Leaf(READING, number, FOUND) for number in range(3)),
            forks=False,
        ),
        world("end", 3, (Request(),), ONE, ends=True, forks=False),
        world("expiry", 2, (Request(),), ONE, last=1, expiry=1, forks=False),
        world("rekey", 4, (Request(doc="y"),), ONE, rekeys=(0, 1), forks=False),
        world("later event", 4, (Request(doc="y"),), ONE, rekeys=(0, 0, 1), forks=False),
        world(
            "removal",
            2,
            (removed, removed._replace(saw_removal=True, two=OTHER)),
            ONE,
            Leaf(READING, 1, OTHER),
            removes=True,
            last=2,
            forks=False,
        ),
        world(
            "sealed",
            2,
            (Request(), Request(two=OTHER, signed=False)),
            ONE,
            Leaf(READING, 1, OTHER),
            removes=True,
            forks=False,
        ),
        world("forks", 3, (Request(),), ONE, Leaf(COVER)),
        # Dates multiply what is to be seen: the deeper one has the logged end, and no leaf more.
        world(
            "lost ends",
            2 - more,
            (Request(),),
            ONE,
            ends=True,
            ends_in_log=more > 0,
            losses=1,
            last=2,
            forks=False,
        ),
        world("lost heads", 2, (), Leaf(COVER), Leaf(COVER, 1), losses=1, last=2, forks=False),
    ]
