"""Challenges that were given out: each counts once and for two minutes, and no number of them fills the memory."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from vault_server.recent import Recent

SECONDS = 120
REMEMBERED = 65536

Name = TypeVar("Name", bound=Hashable)
Meant = TypeVar("Meant")


class Challenges(Generic[Name, Meant]):
    """What each challenge was given for, under the name by which it is asked for again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given = Recent[Name, tuple[Meant, float]](REMEMBERED)

    def give(self, name: Name, meant: Meant) -> None:
        """Note a challenge, in place of one of the same name. The oldest make room."""
        now = self._clock()
        while self._given and next(iter(self._given.values()))[1] <= now:
            self._given.popitem(last=False)
        self._given[name] = (meant, now + SECONDS)

    def take(self, name: Name) -> Meant | None:
        """What the challenge was given for, which counts no more. None when it never did, or no longer does."""
        meant, until = self._given.pop(name, (None, 0.0))
        return meant if self._clock() < until else None
