"""Asking somebody at the terminal for a yes, in every program alike. Where nobody can be asked, it is given beforehand."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from languages.catalogue import spoken

# What people read
CONFIRM = "Type yes to go on: "
NOT_TYPED = "The question was not answered. Nothing was done."
NOBODY_TO_ASK = (
    "This needs a yes, and there is no terminal to ask for it at, or --json was given. Nothing was done. Add --yes if it "
    "is meant."
)


class NobodyToAskError(Exception):
    """A yes is needed, and there is nobody to ask for it. Exit code 2, as for whatever else lacks in what was typed."""


def add_yes(parser: ArgumentParser) -> None:
    """The option that answers beforehand."""
    parser.add_argument(
        "--yes",
        action="store_true",
        help="it is meant: do not ask. Needed where there is no terminal, and with --json",
    )


def check_answerable(*, yes: bool, as_json: bool) -> None:
    """Raises NobodyToAskError, before anything is done, when there is neither a yes nor anybody to ask for it."""
    if not yes and (as_json or not at_terminal(sys.stdin, sys.stdout)):
        raise NobodyToAskError(NOBODY_TO_ASK)


def typed(question: str) -> str:
    """The line typed once ``question`` stands on the terminal: what was typed before it answers nothing."""
    forget_typed()
    return input(question)


def agreed(ask: Callable[[str], str] = typed) -> bool:
    """Whether whoever is asked says yes. Raises EOFError when they end the input instead."""
    for _ in range(2):  # a word that is neither is asked for once more
        answer = ask(spoken(CONFIRM)).strip().lower()
        if answer in {"yes", spoken("yes")}:
            return True
        if answer in {"", "no", spoken("no")}:
            break
    return False


def at_terminal(*streams: TextIO | None) -> bool:
    """Whether somebody is at each of ``streams``; one that is closed is None."""
    return all(stream is not None and stream.isatty() for stream in streams)


def forget_typed() -> None:
    """Forget what was typed and not yet read, where somebody types."""
    if sys.platform != "win32" and at_terminal(sys.stdin):
        import termios

        with suppress(OSError, termios.error):  # what is no device has nothing typed ahead
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
