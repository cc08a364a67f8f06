"""Signals that ask a program to end: SIGTERM and SIGHUP end a command in order, just as Ctrl-C does.

Left to themselves they end the process on the spot, and what it had not finished stays where it was. Loads nothing
else: signals may come while the program itself is still being loaded.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    # A shell switches Ctrl-C off for what it runs in the background; these signals still mean the end.
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(number, frame)
