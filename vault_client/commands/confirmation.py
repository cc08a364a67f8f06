"""Asking once more before what cannot be taken back, when somebody is there to answer."""

import sys
from argparse import ArgumentParser, Namespace

# What people read
CONFIRM = "{question} Type yes to go on: "
NOT_CONFIRMED = "It was not confirmed. Nothing was done."


def add_yes(parser: ArgumentParser) -> None:
    """The option that answers beforehand."""
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def confirm(arguments: Namespace, question: str) -> None:
    """Ask at the terminal; without one, or with --json or --yes, go on. Raises NotPermitted unless it is a yes."""
    from crypto.errors import NotPermitted

    if arguments.yes or arguments.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if input(CONFIRM.format(question=question)).strip().lower() != "yes":
        raise NotPermitted(NOT_CONFIRMED)
