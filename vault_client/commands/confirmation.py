"""Asking once more before what cannot be taken back, when somebody is there to answer."""

import sys
from argparse import ArgumentParser, Namespace

from vault_client.commands.output import at_terminal
from vault_client.stop_signals import ended_at_once

# What people read
CONFIRM = "{question} Type yes to go on: "
NOT_CONFIRMED = "It was not confirmed. Nothing was done."


def add_yes(parser: ArgumentParser) -> None:
    """The option that answers beforehand."""
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def confirm(arguments: Namespace, question: str) -> None:
    """Ask at the terminal; without one, or with --json or --yes, go on. Raises NotPermitted unless it is a yes."""
    from crypto.errors import NotPermitted

    if arguments.yes or arguments.json or not at_terminal(sys.stdin, sys.stdout):
        return
    with ended_at_once():
        answer = input(CONFIRM.format(question=question))
    if answer.strip().lower() != "yes":
        raise NotPermitted(NOT_CONFIRMED)
