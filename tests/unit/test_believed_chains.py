"""The keepers' word that a chain is complete, as a client counts it."""

import msgspec
import pytest

from crypto import labels
from crypto.errors import BadSignature, BrokenChain, NotProven
from crypto.identity_links import Chain
from crypto.signing import sign
from crypto.wire.keeper_api import IdentityHead
from crypto.wire.messages import ShownChain
from tests.support.people import Person, Service, fresh
from vault_client.trust import Word, believe_chain, believe_word

replace = msgspec.structs.replace
SERVICE = Service(k=3, n=4)
PERSON = Person(SERVICE)
EARLIER = SERVICE.directory.head
Person(SERVICE)
NEWEST = SERVICE.directory.head


def shown(*heads, chain=PERSON.chain, **changes):
    """The chain with one keeper's answer at each of ``heads``, which says ``changes`` otherwise."""
    ref = chain.ref
    answer = IdentityHead(
        identity=ref.identity, n=ref.n, leaf=ref.leaf, origin=SERVICE.directory.origin, head=NEWEST
    )
    answers = (
        sign(labels.IDHEAD, replace(answer, head=head, **changes), keys.cosigning)
        for head, keys in zip(heads, SERVICE.keepers, strict=False)
    )
    return ShownChain(chain=chain, heads=tuple(answers))


def test_keepers_may_answer_at_different_heads():
    """Three answers, each at a head of its own that is not before ours, make a chain complete; two do not."""
    later = replace(NEWEST, size=NEWEST.size + 1, root=fresh())
    known = believe_chain(SERVICE.root, shown(EARLIER, NEWEST, later), EARLIER)
    assert known.ref == PERSON.chain.ref
    with pytest.raises(NotProven):
        believe_chain(SERVICE.root, shown(EARLIER, NEWEST), EARLIER)
    with pytest.raises(NotProven):
        believe_chain(SERVICE.root, shown(EARLIER, NEWEST, later), NEWEST)


def test_two_heads_of_one_size_are_a_fork():
    """Two answers of one size with two roots are refused, and so is one that contradicts the head known here."""
    other = replace(NEWEST, root=fresh())
    for heads in ((NEWEST, NEWEST, other), (NEWEST, NEWEST, NEWEST, other), (other, NEWEST, NEWEST)):
        with pytest.raises(NotProven, match="contradict"):
            believe_chain(SERVICE.root, shown(*heads), EARLIER)
    assert believe_chain(SERVICE.root, shown(other, other, other), EARLIER)
    with pytest.raises(NotProven, match="contradict"):
        believe_chain(SERVICE.root, shown(other, other, other), NEWEST)


@pytest.mark.parametrize(
    "changes",
    [{"identity": fresh()}, {"n": 1}, {"leaf": fresh()}, {"origin": "elsewhere.example/coffre/directory"}],
    ids=lambda changes: next(iter(changes)),
)
def test_the_keepers_word_is_about_this_chain(changes):
    """What keepers say of another identity, another end of its chain or another directory makes nothing complete."""
    with pytest.raises(NotProven):
        believe_chain(SERVICE.root, shown(NEWEST, NEWEST, NEWEST, **changes), EARLIER)


def test_one_keepers_word_is_its_own_and_about_this_chain():
    """A word counts for the keeper that signed it, of just this chain, at the head asked for or later."""
    keeper, ref = SERVICE.root.keepers[0], PERSON.chain.ref
    (said,) = shown(NEWEST).heads
    for at in (EARLIER, NEWEST):
        assert believe_word(SERVICE.root, keeper, said, ref, at) == Word(envelope=said, head=NEWEST)
    with pytest.raises(BadSignature):
        believe_word(SERVICE.root, SERVICE.root.keepers[1], said, ref, EARLIER)
    for changes in ({"n": 1}, {"origin": "elsewhere.example/coffre/directory"}):
        with pytest.raises(NotProven):
            believe_word(SERVICE.root, keeper, shown(NEWEST, **changes).heads[0], ref, EARLIER)
    with pytest.raises(NotProven):
        believe_word(SERVICE.root, keeper, shown(EARLIER).heads[0], ref, NEWEST)


def test_the_keepers_word_is_about_the_whole_chain():
    """A chain that went on is complete as a whole, and is believed as it stood at the head asked for."""
    person = Person(SERVICE)
    before = SERVICE.directory.head
    person.new_reading_key()
    after = SERVICE.directory.head
    for at, n in ((before, 0), (after, 1)):
        known = believe_chain(SERVICE.root, shown(after, after, after, chain=person.chain), at)
        assert (known.ref.n, known.state.reading_key) == (n, n)
    first = person.chain.at(before.size).ref
    with pytest.raises(NotProven):
        believe_chain(
            SERVICE.root, shown(after, after, after, chain=person.chain, n=first.n, leaf=first.leaf), before
        )


def test_what_stands_behind_the_head_asked_for_is_checked_too():
    """A link that is out of place spoils the chain, also where only what stood before it is asked for."""
    person = Person(SERVICE)
    before = SERVICE.directory.head
    person.new_reading_key()
    first, second = person.links
    moved = replace(second, disclosure=replace(second.disclosure, slot_one=fresh()))
    with pytest.raises(BrokenChain):
        believe_chain(
            SERVICE.root, shown(*[SERVICE.directory.head] * 3, chain=Chain(links=(first, moved))), before
        )
