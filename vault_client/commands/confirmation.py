"""Asking once more before what cannot be taken back (``languages.asking``), in a command of the client."""

import sys
from argparse import Namespace

from languages import asking
from languages.asking import NobodyToAskError
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_client.commands.output import Usage
from vault_client.stop_signals import ended_at_once

# What people read
NOT_CONFIRMED = "It was not confirmed. Nothing was done."


def check_answerable(arguments: Namespace) -> None:
    """Raises Usage, before anything is done, when there is neither a yes nor anybody to ask for it."""
    try:
        asking.check_answerable(yes=arguments.yes, as_json=arguments.json)
    except NobodyToAskError as error:
        raise Usage(str(error)) from None


def confirm(arguments: Namespace, question: str) -> None:
    """Ask at the terminal, unless --yes answered beforehand. Raises NotPermitted unless it is a yes."""
    from crypto.encoding import acceptable
    from crypto.errors import NotPermitted

    check_answerable(arguments)
    if arguments.yes:
        return
    print(wrapped(acceptable(spoken(question)), sys.stdout))
    if not asking.agreed(asked):
        raise NotPermitted(NOT_CONFIRMED)


def asked(question: str) -> str:
    """The line typed once ``question`` stands on the terminal; Ctrl-C ends it at once."""
    with ended_at_once():
        return asking.typed(question)
