"""What people show each other: an identity's card, as a file or QR code's target."""

import base64

from crypto.encoding import Body, ShortText, Suite, decode_text, encode
from crypto.identity_links import Chain

MAX_CARD = 1 << 22


class IdentityCard(Body, frozen=True):
    """Where an identity is at home (``url``), and its chain. The chain proves itself; the card is not signed."""

    suite: Suite
    url: ShortText
    chain: Chain


def card_text(card: IdentityCard) -> str:
    """A card as the text of its file."""
    return encode(card).decode()


def read_identity_card(text: str) -> IdentityCard:
    """Read a card's file. Raises Malformed or TooLarge; nothing in it is believed yet."""
    return decode_text(text, IdentityCard, limit=MAX_CARD)


def fingerprint(identity: bytes) -> str:
    """An identity's id for people to compare: 160 bits as eight groups of letters and digits.

    The id is the hash of the chain's first link, so equal fingerprints mean equal root keys.
    """
    text = base64.b32encode(identity[:20]).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def card_fingerprint(card: IdentityCard) -> str:
    """The fingerprint of the identity on a card."""
    return fingerprint(card.chain.identity)
