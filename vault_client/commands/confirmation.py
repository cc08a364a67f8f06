"""Asking once more before what cannot be taken back. Where nobody can be asked, the yes is given beforehand."""

import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_client.commands.output import Usage, at_terminal
from vault_client.stop_signals import ended_at_once

# What people read
CONFIRM = "Type yes to go on: "
NOT_CONFIRMED = "It was not confirmed. Nothing was done."
NOBODY_TO_ASK = (
    "This needs a yes, and there is no terminal to ask for it at, or --json was given. Nothing was done. Add --yes if it "
    "is meant."
)


def add_yes(parser: ArgumentParser) -> None:
    """The option that answers beforehand."""
    parser.add_argument(
        "--yes",
        action="store_true",
        help="it is meant: do not ask. Needed where there is no terminal, and with --json",
    )


def check_answerable(arguments: Namespace) -> None:
    """Raises Usage, before anything is done, when there is neither a yes nor anybody to ask for it."""
    if not arguments.yes and (arguments.json or not at_terminal(sys.stdin, sys.stdout)):
        raise Usage(NOBODY_TO_ASK)


def confirm(arguments: Namespace, question: str) -> None:
    """Ask at the terminal, unless --yes answered beforehand. Raises NotPermitted unless it is a yes."""
    from crypto.encoding import acceptable
    from crypto.errors import NotPermitted

    check_answerable(arguments)
    if arguments.yes:
        return
    print(wrapped(acceptable(spoken(question)), sys.stdout))
    for _ in range(2):  # a word that is neither is asked for once more
        answer = asked(spoken(CONFIRM)).strip().lower()
        if answer in {"yes", spoken("yes")}:
            return
        if answer in {"", "no", spoken("no")}:
            break
    raise NotPermitted(NOT_CONFIRMED)


def asked(question: str) -> str:
    """The line typed once ``question`` stands on the terminal: what was typed before it answers nothing."""
    forget_typed()
    with ended_at_once():
        return input(question)


def forget_typed() -> None:
    """Forget what was typed and not yet read, where somebody types."""
    if sys.platform != "win32" and at_terminal(sys.stdin):
        import termios

        with suppress(OSError, termios.error):  # what is no device has nothing typed ahead
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
