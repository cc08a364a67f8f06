"""Asking once more before what cannot be taken back. Where nobody can be asked, the yes is given beforehand."""

import sys
from argparse import ArgumentParser, Namespace

from languages.catalogue import spoken
from vault_client.commands.output import Usage, at_terminal, wrapped
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
    with ended_at_once():
        answer = input(spoken(CONFIRM))
    if answer.strip().lower() not in {"yes", spoken("yes")}:
        raise NotPermitted(NOT_CONFIRMED)
