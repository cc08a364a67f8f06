"""Working through cuts: what a person at work puts up with, and what they call a problem."""

import asyncio
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crypto.errors import CoffreError, Damaged, Full, TooMany, Unavailable, Unreachable
from tests.crash.place import Place

T = TypeVar("T")

PAUSE = 0.02
# A server or keeper that was killed, or has no room, is nobody's lie: a person tries again.
PATIENCE = (Unavailable, Unreachable, Full, TooMany)

Act = Callable[[], Awaitable[None]]


async def work(place: Place, act: Act) -> None:
    """``act`` for ever. Anything but a cut is written down as a problem."""
    while True:
        before = _faults(place)
        try:
            await act()
        except CoffreError as error:
            if not _is_borne(place, before, error):
                place.ledger.write("problem", kind=type(error).__name__, text=str(error))
            await asyncio.sleep(PAUSE)
        await asyncio.sleep(PAUSE * random.random())


async def until_there(place: Place, opening: Callable[[], Awaitable[T]]) -> T:
    """What ``opening`` opens, as soon as there is somebody to open it with."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _say_where)
    while True:
        before = _faults(place)
        try:
            return await opening()
        except CoffreError as error:
            if not _is_borne(place, before, error):
                place.ledger.write("problem", kind=type(error).__name__, text=f"While opening: {error}")
                sys.exit(1)
            await asyncio.sleep(PAUSE)


def _is_borne(place: Place, before: int, error: CoffreError) -> bool:
    """Whether one tries again: also after Damaged, if the disk of the profile failed meanwhile, not otherwise."""
    failed = before % 2 == 1 or before != _faults(place)
    return type(error) in PATIENCE or (failed and isinstance(error, Damaged))


def _faults(place: Place) -> int:
    return int(place.faults.read_text()) if place.faults.exists() else 0


def _say_where() -> None:
    """Write where every task stands."""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
