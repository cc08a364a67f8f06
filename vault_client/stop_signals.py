"""Signals that ask a program to end: SIGTERM and SIGHUP end a command in order, just as Ctrl-C does.

Left to themselves they end the process on the spot, and what it had not finished stays where it was. Loads nothing
else: signals may come while the program itself is still being loaded.
"""

import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Have the signals do what Ctrl-C does; one that is ignored (``nohup``) stays so."""
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _as_ctrl_c)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def ended_at_once() -> Iterator[None]:
    """While somebody is being asked, Ctrl-C is raised at once: elsewhere it waits for the next ``await``."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored: it stays so
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def never_suspended() -> Iterator[None]:
    """Have Ctrl-Z do nothing: what stands on the terminal would stay there, and whatever comes next be beside it."""
    number = getattr(signal, "SIGTSTP", None)
    if number is None:
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


async def ended_between_callbacks(main: Coroutine[Any, Any, None]) -> None:
    """Await ``main``, and have the first Ctrl-C end it from a callback of the event loop; a second one ends at once.

    asyncio answers Ctrl-C wherever the program is, and so in the middle of its own callbacks: a future that one of
    them has just seen waiting is cancelled when it is given its result, and a traceback is printed.
    """
    import asyncio

    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored: it stays so
        await main
        return
    answer = before

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, answer)
        loop.call_soon_threadsafe(answer, number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        await main
    finally:
        signal.signal(signal.SIGINT, answer)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    # A shell switches Ctrl-C off for what it runs in the background; these signals still mean the end.
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(number, frame)
