"""The keeper's time: the newest of its own clock and what other keepers have signed, and never backwards.

A cosignature counts when it is at most five minutes ahead of the own clock: a keeper whose clock is slow is carried
along, and one other keeper with a wrong clock cannot carry it away.
"""

import time
from collections.abc import Callable

from crypto.checkpoint import AHEAD


class Clock:
    """Seconds since 1970. ``floor`` is the newest time stated in an earlier run."""

    def __init__(
        self,
        floor: int,
        *,
        own: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._newest = floor
        self._own = own
        self.elapsed = monotonic

    def now(self) -> int:
        """The keeper's time."""
        self._newest = max(self._newest, int(self._own()))
        return self._newest

    def observe(self, cosigned: int) -> None:
        """Take note of the time in a verified cosignature of another keeper."""
        if cosigned <= self._own() + AHEAD:
            self._newest = max(self._newest, cosigned)
