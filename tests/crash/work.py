"""Working through cuts: what a person at work puts up with, and what they call a problem."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crypto.errors import CoffreError, Full, TooMany, Unavailable, Unreachable
from tests.crash.ledger import Ledger

T = TypeVar("T")

PAUSE = 0.02
# A server or keeper that was killed, or has no room, is nobody's lie: a person tries again.
PATIENCE = (Unavailable, Unreachable, Full, TooMany)

Act = Callable[[], Awaitable[None]]


async def work(ledger: Ledger, act: Act) -> None:
    """``act`` for ever. Anything but a cut is written down as a problem."""
    while True:
        try:
            await act()
        except CoffreError as error:
            if type(error) not in PATIENCE:
                ledger.write("problem", kind=type(error).__name__, text=str(error))
            await asyncio.sleep(PAUSE)
        await asyncio.sleep(PAUSE * random.random())


async def until_there(ledger: Ledger, opening: Callable[[], Awaitable[T]]) -> T:
    """What ``opening`` opens, as soon as there is somebody to open it with."""
    while True:
        try:
            return await opening()
        except CoffreError as error:
            if type(error) not in PATIENCE:
                ledger.write("problem", kind=type(error).__name__, text=f"While opening: {error}")
                sys.exit(1)
            await asyncio.sleep(PAUSE)
