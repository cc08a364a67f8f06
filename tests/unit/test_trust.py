"""What a device believes of heads, logged entries, people and pins; and what it refuses."""

import msgspec
import pytest

from crypto import labels
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.checkpoint import AHEAD, TEN_MINUTES, Checkpoint, cosign, sign_checkpoint
from crypto.errors import BadSignature, NotPermitted, NotProven, Stale
from crypto.identity_links import Reset
from crypto.merkle import EMPTY_ROOT
from crypto.signing import SigningKey, sign_encoded
from crypto.statements import Head
from crypto.trust_root import Accepted, Successor
from crypto.wire.messages import Logged
from tests.support.people import DAY, LOG, NOW, Person, Service, fresh
from tests.support.small_log import SmallLog, random_leaf
from vault_client.trust import (
    BelievedHead,
    Pin,
    Word,
    advance,
    agreeing,
    believe_logged,
    believe_note,
    certified_subject,
    chain_extends,
    check_met_again,
    check_pin,
    check_usable,
    empty_head,
    independent,
)

replace = msgspec.structs.replace
LOG_KEY = SigningKey.generate()
SERVICE = Service(k=3, n=4)
ROOT = replace(SERVICE.root, log_key=LOG_KEY.public.raw)


def cosigned(head, *times, key=LOG_KEY):
    """A head with the log's signature and one cosignature for each of ``times``."""
    lines = (
        cosign(head, keeper.name, keys.cosigning, time)
        for keeper, keys, time in zip(ROOT.keepers, SERVICE.keepers, times, strict=False)
    )
    return sign_checkpoint(head, key) + b"".join(lines)


HEAD = Checkpoint(LOG, 7, fresh())


def test_a_trust_root_is_usable_by_this_client_and_with_its_first_logs():
    """One that asks for a newer client, or puts other logs in the place of lost ones, is signed rightly and not used."""
    check_usable(Accepted(root=ROOT, ref=SERVICE.accepted.ref))
    lost = Successor(old_origin=LOG, last_head=Head(size=7, root=fresh()), new_origin=ROOT.log_origin(1))
    for changes, said in (
        ({"minimum_client": "999.0.0"}, "asks for version 999.0.0"),
        ({"successors": (lost,)}, "lost its logs"),
    ):
        with pytest.raises(NotPermitted, match=said):
            check_usable(Accepted(root=replace(ROOT, **changes), ref=SERVICE.accepted.ref))


def test_a_head_is_believed_with_a_quorum_of_its_time():
    """Three of four keepers within ten minutes of each other: the head counts, dated by the newest of them."""
    note = cosigned(HEAD, NOW - TEN_MINUTES, NOW, NOW - 5)
    believed = believe_note(ROOT, LOG, note, NOW)
    assert believed == BelievedHead(origin=LOG, head=Head(size=7, root=HEAD.root), time=NOW)


def test_a_head_without_a_quorum_is_not_believed():
    """Two keepers are too few, three are when one spoke too early, and a retired keeper does not count."""
    for times in ((NOW, NOW), (NOW - TEN_MINUTES - 1, NOW, NOW)):
        with pytest.raises(NotProven):
            believe_note(ROOT, LOG, cosigned(HEAD, *times), NOW)
    gone = replace(ROOT.keepers[0], retired_until=NOW + DAY)
    policies = (*ROOT.policies, msgspec.structs.replace(ROOT.policies[0], k=3, n=3))
    fewer = replace(ROOT, keepers=(gone, *ROOT.keepers[1:]), policies=policies)
    with pytest.raises(NotProven):
        believe_note(fewer, LOG, cosigned(HEAD, NOW, NOW, NOW), NOW)
    assert believe_note(fewer, LOG, cosigned(HEAD, NOW, NOW, NOW, NOW), NOW)


def test_a_head_by_another_key_is_not_believed():
    """The keepers' word does not stand in for the log's own signature."""
    with pytest.raises(BadSignature):
        believe_note(ROOT, LOG, cosigned(HEAD, NOW, NOW, NOW, key=SigningKey.generate()), NOW)


def test_a_head_is_as_old_as_the_newest_of_its_quorum():
    """Older cosignatures beside a new one do not make it stale, nor do earlier ones hide one from the future."""
    spread = cosigned(HEAD, NOW - TEN_MINUTES, NOW, NOW)
    assert believe_note(ROOT, LOG, spread, NOW + 1).time == NOW
    with pytest.raises(Stale):
        believe_note(ROOT, LOG, spread, NOW - AHEAD - 1)


def test_a_head_counts_from_five_minutes_ahead_to_ten_minutes_after():
    """At both ends of its time a head is believed, and one second beyond them it is stale."""
    note = cosigned(HEAD, NOW, NOW, NOW)
    for now in (NOW - AHEAD, NOW + TEN_MINUTES):
        assert believe_note(ROOT, LOG, note, now).time == NOW
    for now in (NOW - AHEAD - 1, NOW + TEN_MINUTES + 1):
        with pytest.raises(Stale):
            believe_note(ROOT, LOG, note, now)


def test_one_keeper_that_dates_ahead_spoils_nothing():
    """Of four cosignatures one is dated in the future: the head counts by the others. Where it is needed, it is stale."""
    for off in (AHEAD + 1, TEN_MINUTES, 9 * TEN_MINUTES):
        assert believe_note(ROOT, LOG, cosigned(HEAD, NOW + off, NOW, NOW - 9, NOW), NOW).time == NOW
    with pytest.raises(Stale):
        believe_note(ROOT, LOG, cosigned(HEAD, NOW + AHEAD + 1, NOW, NOW), NOW)
    with pytest.raises(NotProven):
        believe_note(ROOT, LOG, cosigned(HEAD, NOW + 9 * TEN_MINUTES, NOW, NOW), NOW)


def test_a_keeper_that_shows_another_directory_is_left_out():
    """As few as possible, whoever it is; of two against two nobody knows who lies, and our own head counts as true."""
    seven, other, nine = (Head(size=size, root=fresh()) for size in (7, 7, 9))

    def agree(*heads, at=empty_head(LOG).head):  # noqa: B008 - it is frozen
        words = {bytes([place]): Word(None, head) for place, head in enumerate(heads)}
        found = agreeing(words, at, 3)
        return None if found is None else [name[0] for name in found]

    assert agree(seven, seven, nine) == [0, 1, 2]
    assert agree(seven, seven, nine, nine) == [0, 1, 2, 3]
    assert agree(other, seven, seven, nine) == [1, 2, 3]
    assert agree(seven, other, seven) is None
    assert agree(seven, other, seven, other) is None
    assert agree(seven, seven, seven, nine, at=other) is None
    assert agree(seven, nine, nine, nine, at=other) == [1, 2, 3]
    assert agree(seven, seven) is None


# What is logged


class Entry:
    """One entry in a small log under a quorum of cosignatures, and what the server shows of it."""

    def __init__(self, time=NOW):
        self.envelope = sign_encoded(labels.VAULT_LINK, b"body", SigningKey.generate())
        part = ServerPart(body=self.envelope.digest, time=NOW, outcome="accepted", prev=FIRST)
        disclosure = Disclosure(index=2, slot_one=fresh(), slot_two=fresh(), salt=fresh(), part=part)
        self.leaf = disclosure.leaf(self.envelope)
        log = SmallLog(LOG, LOG_KEY)
        log.leaves = [random_leaf(), random_leaf(), self.leaf.to_bytes(), random_leaf()]
        self.head = log.checkpoint()
        receipt = log.receipt(2, cosigned(self.head, time, time, time), 4)
        self.logged = Logged(receipt=receipt, disclosure=disclosure)

    def believed(self, logged=None, outcome="accepted", envelope=None):
        """What a client makes of it."""
        shown, signed = logged or self.logged, envelope or self.envelope
        return believe_logged(ROOT, LOG, shown, signed, outcome=outcome, now=NOW)


def test_an_entry_is_believed_under_a_fresh_head():
    """The head and the leaf come out as they are in the log."""
    entry = Entry()
    head, leaf = entry.believed()
    assert (head.head, head.time, leaf) == (Head(size=4, root=entry.head.root), NOW, entry.leaf)
    with pytest.raises(Stale):
        Entry(NOW - TEN_MINUTES - 1).believed()


def test_an_entry_is_this_one_and_no_other():
    """Another index, another outcome or another signed body is refused."""
    entry = Entry()
    elsewhere = replace(entry.logged, disclosure=replace(entry.logged.disclosure, index=1))
    other = sign_encoded(labels.VAULT_LINK, b"other", SigningKey.generate())
    for changed in ({"logged": elsewhere}, {"outcome": "refused"}, {"envelope": other}):
        with pytest.raises(NotProven):
            entry.believed(**changed)


# Heads that follow each other


def test_a_head_moves_forward_only():
    """To a later head that contains it; a smaller one, a fork or a path of another log moves nothing."""
    log = SmallLog(LOG, LOG_KEY)
    log.fill(9)
    early, late = (
        BelievedHead(origin=LOG, head=Head(size=size, root=log.checkpoint(size).root), time=NOW)
        for size in (4, 9)
    )
    path = log.extension(4).path
    assert advance(early, late, path) == late
    assert advance(empty_head(LOG), early, []) == early
    with pytest.raises(NotProven, match="older"):
        advance(late, early, path)
    for known, new, shown in (
        (early, late, path[:-1]),
        (early, replace(late, head=Head(size=9, root=fresh())), path),
        (early, replace(early, head=Head(size=4, root=fresh())), []),
    ):
        with pytest.raises(NotProven):
            advance(known, new, shown)


def test_of_one_head_the_newest_time_is_kept():
    """The same head with older cosignatures does not move the time back."""
    older = BelievedHead(origin=LOG, head=Head(size=4, root=fresh()), time=NOW)
    newer = replace(older, time=NOW + 1)
    assert advance(older, newer, []) == advance(newer, older, []) == newer


def test_a_log_that_has_not_begun_is_empty():
    """Its head has no leaves, their root, and no time."""
    assert empty_head(LOG) == BelievedHead(origin=LOG, head=Head(size=0, root=EMPTY_ROOT), time=0)


# People


@pytest.mark.parametrize(("apart", "expected"), [(4, True), (3, True), (2, False), (0, False)])
def test_a_log_binds_its_operator_by_independent_keepers(apart, expected):
    """As many as the policy needs must be independent, retired ones apart."""
    keepers = tuple(replace(keeper, independent=number < apart) for number, keeper in enumerate(ROOT.keepers))
    assert independent(replace(ROOT, keepers=keepers)) is expected


def test_a_grant_goes_to_somebody_certified():
    """Subject and name are the certificate's; without one, after it, or with a scheme never granted, nobody's."""
    person = Person(SERVICE)
    with pytest.raises(NotPermitted):
        certified_subject(ROOT, person.known(), NOW)
    SERVICE.certify(person, until=NOW + DAY)
    assert certified_subject(ROOT, person.known(), NOW) == ("demo:10001234567", "Dr Exemple")
    for root, now in ((ROOT, NOW + DAY), (ROOT, NOW - 1), (replace(ROOT, never_granted=("demo",)), NOW)):
        with pytest.raises(NotPermitted):
            certified_subject(root, person.known(), now)


def test_a_pin_holds_until_keys_are_recovered():
    """Who was never met, or has not changed root otherwise than by the old one, passes; a recovery stops."""
    known = Person(SERVICE).known()
    pin = Pin(identity=fresh(), root=fresh(), subject="demo:1", name="Dr Exemple", hard_stops=0, met=NOW)
    check_pin(None, known)
    check_pin(pin, known)
    stopped = replace(known, state=replace(known.state, hard_stops=(1,)))
    check_pin(replace(pin, hard_stops=1), stopped)
    for held, shown in ((pin, stopped), (replace(pin, hard_stops=2), stopped)):
        with pytest.raises(NotPermitted):
            check_pin(held, shown)


def test_a_card_of_before_a_recovery_is_no_new_meeting():
    """A card that holds the newest hard stop counts, also when the chain went on since; one that ends before it does not."""
    person = Person(SERVICE)
    SERVICE.certify(person)
    old = person.chain
    check_met_again(old, person.known())
    new_root = SigningKey.generate()
    person.add(Reset(key=new_root.public.raw), signers=[SERVICE.registrar, new_root])
    new = person.chain
    SERVICE.certify(person)
    known = person.known()
    assert len(known.state.hard_stops) == 1
    check_met_again(new, known)
    check_met_again(person.chain, known)
    with pytest.raises(NotPermitted):
        check_met_again(old, known)
    another = SigningKey.generate()
    person.add(Reset(key=another.public.raw), signers=[SERVICE.registrar, another])
    check_met_again(person.chain, person.known())
    with pytest.raises(NotPermitted):
        check_met_again(new, person.known())


def test_a_chain_goes_on_from_the_one_known():
    """The same chain and a longer one pass; a shorter one and another person's do not."""
    person = Person(SERVICE)
    short = person.chain
    SERVICE.certify(person)
    chain_extends(short, short)
    chain_extends(short, person.chain)
    for new in (short, Person(SERVICE).chain):
        with pytest.raises(NotProven):
            chain_extends(person.chain, new)
