"""Showing one's card: a file to hand over, and the fingerprint to compare."""

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from vault_client.commands.output import Screen

if TYPE_CHECKING:
    from crypto.wire.cards import IdentityCard
    from vault_client.service import Service

# What people read
WRITTEN = "The card was written to {path}. It is no secret."
FINGERPRINT = "Fingerprint, to compare in person: {fingerprint}"


def show_card(arguments: Namespace, screen: Screen, service: "Service", card: "IdentityCard") -> None:
    """Write ``card`` to the file named, or else to stdout, where nothing else then stands."""
    from crypto.identity_links import identity_id
    from crypto.wire.cards import card_fingerprint, card_text
    from vault_client.commands.profiles import write_text
    from vault_client.commands.trust_line import note_trust, trust_sentences

    text = card_text(card)
    if arguments.output is not None:
        write_text(arguments.output, text)
        screen.aside(WRITTEN.format(path=arguments.output))
    else:
        screen.say(text)
    screen.result |= {
        "identity": identity_id(card.chain.links[0].envelope).hex(),
        "fingerprint": card_fingerprint(card),
        "card": json.loads(text),
    }
    screen.aside(FINGERPRINT.format(fingerprint=card_fingerprint(card)))
    note_trust(screen, service)
    for sentence in trust_sentences(service):
        screen.aside(sentence)
