"""How much may be asked for: token buckets for parties, byte budgets for bodies, all checked before any work."""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from crypto.errors import TooMany
from vault_server.settings import Rate

REMEMBERED = 65536


class Buckets:
    """One token bucket for each party, by name."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._levels: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()

    def take(self, party: str | bytes, tokens: float = 1) -> None:
        """Count one request of ``party``. Raises TooMany when it has none left."""
        now = self._clock()
        level, since = self._levels.pop(party, (float(self._rate.at_once), now))
        level = min(self._rate.at_once, level + max(0.0, now - since) * self._rate.a_second)
        enough = level >= tokens
        self._levels[party] = (level - tokens if enough else level, now)
        while len(self._levels) > REMEMBERED:
            self._levels.popitem(last=False)
        if not enough:
            raise TooMany("Too many requests came from here, so this one was not looked at. Wait a little.")


class Budget:
    """So many bytes of request bodies may be in memory at once, whoever sends them."""

    def __init__(self, most: int, seconds: float) -> None:
        self._free = most
        self._seconds = seconds
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[None]:
        """Hold ``amount`` bytes, when they are free. Raises TooMany when they do not become so in time."""
        try:
            async with asyncio.timeout(self._seconds), self._changed:
                await self._changed.wait_for(lambda: self._free >= amount)
                self._free -= amount
        except TimeoutError:
            raise TooMany("The server is busy and read nothing. Try again in a moment.") from None
        try:
            yield
        finally:
            async with self._changed:
                self._free += amount
                self._changed.notify_all()


def address_class(address: str) -> str:
    """The party an address stands for: itself, or for IPv6 its /64, which one subscriber has whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
