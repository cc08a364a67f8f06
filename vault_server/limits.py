"""How much may be asked for: token buckets for parties, byte budgets for bodies, all checked before any work."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from crypto.errors import TooMany
from vault_server.recent import Recent
from vault_server.settings import Rate

REMEMBERED = 65536

Room = Callable[[int], Awaitable[None]]


class Buckets:
    """One token bucket for each party, by name."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._levels = Recent[str | bytes, tuple[float, float]](REMEMBERED)

    def take(self, party: str | bytes, tokens: float = 1) -> None:
        """Count one request of ``party``. Raises TooMany when it has none left."""
        now = self._clock()
        level, since = self._levels.get(party, (float(self._rate.at_once), now))
        level = min(self._rate.at_once, level + max(0.0, now - since) * self._rate.a_second)
        enough = level >= tokens
        self._levels[party] = (level - tokens if enough else level, now)
        if not enough:
            raise TooMany("Too many requests came from here, so this one was not looked at. Wait a little.")


class Budget:
    """So many bytes of request bodies may be in memory at once, and an eighth of them of one party.

    A byte counts when it has arrived: what is announced and not sent takes nobody's room. Room for one body of the
    largest size is kept for the first that finds none, so that bodies which have come in part do not all wait for
    each other.
    """

    def __init__(self, most: int, largest: int, seconds: float) -> None:
        self._shared, self._share = most - largest, most // 8
        self._seconds = seconds
        self._arrived = 0
        self._of_party: Counter[str | bytes] = Counter()
        self._first: object | None = None
        self._freed = asyncio.Event()

    @contextmanager
    def body(self, party: str | bytes) -> Iterator[Room]:
        """What to ask for room before bytes of one body of ``party`` are kept; it is free again at the end.

        That raises TooMany when there is no room in time.
        """
        place, arrived = object(), 0

        async def room(amount: int) -> None:
            nonlocal arrived
            await self._wait(lambda: self._has_room(place, party, amount))
            self._arrived += amount
            self._of_party[party] += amount
            arrived += amount

        try:
            yield room
        finally:
            self._arrived -= arrived
            self._of_party[party] -= arrived
            if not self._of_party[party]:
                del self._of_party[party]
            if self._first is place:
                self._first = None
            self._freed.set()
            self._freed = asyncio.Event()

    def _has_room(self, place: object, party: str | bytes, amount: int) -> bool:
        fits = self._arrived + amount <= self._shared and self._of_party[party] + amount <= self._share
        if not fits and self._first is None:
            self._first = place
        return fits or self._first is place

    async def _wait(self, ready: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                while not ready():
                    await self._freed.wait()
        except TimeoutError:
            raise TooMany("The server is busy and did not read all of this. Try again in a moment.") from None


@lru_cache(maxsize=4096)  # those who ask, ask again
def address_class(address: str) -> str:
    """The party an address stands for: itself, or for IPv6 its /64, which one subscriber has whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
