"""Showing one's card: a file to hand over, and the fingerprint to compare."""

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vault_client.commands.output import Screen
from vault_client.commands.profiles import add_output, add_profile

if TYPE_CHECKING:
    from crypto.wire.cards import IdentityCard
    from vault_client.commands import Command, Subcommands
    from vault_client.service import Service

# What people read
WRITTEN = "The card was written to {path}. It is no secret."
HOW_TO_WRITE = "To write the card to a file: coffre {noun} card -o FILE"
THERE = "{path} exists already and is not a card of yours. It was not touched. Name another file."
FINGERPRINT = "Fingerprint, to compare in person: {fingerprint}"


def add_card(commands: "Subcommands", run: "Command", purpose: str) -> None:
    """The command ``card`` of a noun."""
    parser = add_profile(commands("card", run, purpose))
    add_output(parser, "the file to write, or one's older card", required=False)


def show_card(arguments: Namespace, screen: Screen, service: "Service", card: "IdentityCard") -> None:
    """Show the fingerprint of ``card``, and write it to the file named.

    Raises Conflict when something else than an older card of the same person is there.
    """
    from crypto.wire.cards import card_fingerprint, card_text
    from vault_client.commands.profiles import write_text
    from vault_client.commands.trust_line import show_trust

    text = card_text(card)
    if arguments.output is not None:
        _check_place(arguments.output, card_fingerprint(card))
        write_text(arguments.output, text)
        screen.say(WRITTEN.format(path=arguments.output))
    else:
        screen.say(HOW_TO_WRITE.format(noun=arguments.noun))
    screen.result |= {
        "identity": card.chain.identity.hex(),
        "fingerprint": card_fingerprint(card),
        "card": json.loads(text),
    }
    screen.say(FINGERPRINT.format(fingerprint=card_fingerprint(card)))
    show_trust(screen, service)


def _check_place(path: Path, fingerprint: str) -> None:
    from crypto.errors import Conflict, Malformed
    from crypto.wire.cards import card_fingerprint
    from vault_client.commands.profiles import identity_card

    if not path.exists():
        return
    try:
        is_own = card_fingerprint(identity_card(path)) == fingerprint
    except Malformed:
        is_own = False
    if not is_own:
        raise Conflict(THERE.format(path=path))
