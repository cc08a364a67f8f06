"""Visiting every state of a world, nearest first, until one is bad or none is left."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)

MOST = 10_000_000


@dataclass(frozen=True)
class Rule:
    """One sentence of protocol.md: ``holds`` says of a step called ``guards`` whether it may be taken.

    ``holds`` is None where the sentence shapes the world itself: then the world asks whether the rule is ``on``.
    """

    name: str
    section: str
    sentence: str
    guards: str = ""
    holds: Callable[..., bool] | None = None


class Rules:
    """The rules in force: all of ``table`` but those named in ``off``."""

    def __init__(self, table: Iterable[Rule], off: frozenset[str] = frozenset()) -> None:
        self._off = off
        self._guards: dict[str, list[Callable[..., bool]]] = {}
        for rule in table:
            if rule.holds is not None and rule.name not in off:
                self._guards.setdefault(rule.guards, []).append(rule.holds)

    def on(self, name: str) -> bool:
        """Whether a rule is in force."""
        return name not in self._off

    def allow(self, step: str, *context: object) -> bool:
        """Whether every rule in force that guards ``step`` holds."""
        return all(holds(*context) for holds in self._guards.get(step, ()))


class World(Protocol[S]):
    """States, the steps between them, and which of them are bad."""

    @property
    def name(self) -> str:
        """What it is called."""

    def first(self) -> S:
        """Where it begins."""

    def steps(self, state: S, rules: Rules) -> Iterator[tuple[str, S]]:
        """What can happen next, in words, and what comes of it."""

    def settle(self, state: S, rules: Rules) -> S:
        """What follows at once from a step that led to ``state``."""

    def bad(self, state: S, rules: Rules) -> str | None:
        """The bad state this is, if it is one."""


class Explored(NamedTuple):
    """How many states were visited, and the shortest way to a bad one if there is one."""

    states: int
    bad: str | None = None
    trace: tuple[str, ...] = ()


def explore(world: World[S], rules: Rules) -> Explored:
    """Visit every state that can be reached, nearest first. Raises OverflowError above ``MOST`` states."""
    first = world.first()
    came: dict[S, tuple[S, str] | None] = {first: None}
    taken: set[S] = set()
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        bad = world.bad(state, rules)
        if bad is not None:
            return Explored(len(came), bad, _words(came, state))
        for words, step in world.steps(state, rules):
            if step in taken:
                continue
            taken.add(step)
            after = world.settle(step, rules)
            if after not in came:
                came[after] = (state, words)
                waiting.append(after)
        if len(came) > MOST:
            raise OverflowError(f"{world.name} has more than {MOST:,} states.")
    return Explored(len(came))


def _words(came: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    words = []
    while (before := came[state]) is not None:
        state, said = before
        words.append(said)
    return tuple(reversed(words))
