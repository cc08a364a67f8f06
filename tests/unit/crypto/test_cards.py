"""What people hand each other: a card as text, and the fingerprint they compare."""

import base64

import pytest

from crypto import labels
from crypto.encoding import encode
from crypto.errors import Malformed, TooLarge
from crypto.wire import cards
from crypto.wire.cards import IdentityCard, card_fingerprint, card_text, fingerprint, read_identity_card
from tests.support.people import Person, Service

PERSON = Person(Service())
CARD = IdentityCard(suite=labels.SUITE, url="https://vault.example", chain=PERSON.chain)


def test_a_card_comes_back():
    """It is read from its text, with white space around it; another text is Malformed."""
    assert card_text(CARD) == encode(CARD).decode()
    assert read_identity_card(f"\n{card_text(CARD)} \n") == CARD
    for text in ("", "{}", card_text(CARD)[:-1], card_text(CARD) * 2):
        with pytest.raises(Malformed):
            read_identity_card(text)


def test_a_card_has_a_limit(monkeypatch):
    """A text of the limit is read, one byte less is too small for it."""
    size = len(card_text(CARD))
    monkeypatch.setattr(cards, "MAX_CARD", size)
    assert read_identity_card(card_text(CARD)) == CARD
    monkeypatch.setattr(cards, "MAX_CARD", size - 1)
    with pytest.raises(TooLarge):
        read_identity_card(card_text(CARD))


def test_a_fingerprint_is_160_bits_in_groups_of_four():
    """Eight groups of four letters and digits: the first twenty bytes of the id, and nothing after them."""
    identity = bytes(range(32))
    shown = fingerprint(identity)
    assert [len(group) for group in shown.split("-")] == [4] * 8
    assert base64.b32decode(shown.replace("-", "")) == identity[:20]
    assert fingerprint(identity[:20] + bytes(12)) == shown
    assert fingerprint(b"\xff" + identity[1:]) != shown
    assert card_fingerprint(CARD) == fingerprint(PERSON.identity)
