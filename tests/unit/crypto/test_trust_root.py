"""The trust root: believed once, then followed link by link, each rule broken alone."""

import msgspec
import pytest

from crypto import labels
from crypto.errors import BadSignature, BrokenChain, Malformed, NotPermitted, Stale
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.statements import RootRef
from crypto.trust_root import (
    InstanceCard,
    Policy,
    Registrar,
    advance,
    card_text,
    check_expiry,
    first,
    read_card,
)
from tests.support.people import NOW, KeeperKeys, Service, fresh

SERVICE = Service(k=3, n=4)
ROOT, KEYS = SERVICE.root, SERVICE.root_keys
REF = SERVICE.accepted.ref
replace = msgspec.structs.replace


def signed(root, *keys):
    """A trust root signed by the given root keys, by default all."""
    return sign(labels.TRUST_ROOT, root, *(keys or KEYS))


def following(**changes):
    """Version 2 as it should be, with changes."""
    return replace(ROOT, version=2, previous=REF.digest, **changes)


def other_keepers(**changes):
    """The keepers with the first one changed."""
    return (replace(ROOT.keepers[0], **changes), *ROOT.keepers[1:])


def test_the_first_is_believed_by_its_card():
    """With the card of just this trust root it is believed; the reference names it."""
    assert first(SERVICE.signed_root, card=REF) == SERVICE.accepted


def test_the_first_is_believed_on_first_use():
    """Without a card it is believed as it is."""
    assert first(SERVICE.signed_root, card=None) == SERVICE.accepted


@pytest.mark.parametrize(
    "card",
    [RootRef(version=2, digest=REF.digest), RootRef(version=1, digest=fresh())],
    ids=["version", "digest"],
)
def test_another_than_the_cards_is_refused(card):
    """A trust root of another version or digest than the card's is NotPermitted, though well signed."""
    with pytest.raises(NotPermitted):
        first(SERVICE.signed_root, card=card)


UNSOUND = {
    "another suite": {"suite": "coffre-2"},
    "a first version that follows something": {"previous": fresh()},
    "a threshold above the number of keys": {"threshold": 3},
    "one root key twice": {"root_keys": (ROOT.root_keys[0],) * 2},
    "a log key that is none": {"log_key": bytes(32)},
    "a directory key that is none": {"directory_key": bytes(31) + b"\x80"},
    "a keeper's cosigning key that is none": {"keepers": other_keepers(cosigning_key=bytes(32))},
    "a keeper's sealing key that is none": {"keepers": other_keepers(sealing_key=b"\xff" * 1216)},
    "a keeper whose name cannot stand in a note": {"keepers": other_keepers(name="keeper one")},
    "one sealing key for two keepers": {"keepers": other_keepers(sealing_key=ROOT.keepers[1].sealing_key)},
    "one cosigning key for two keepers": {
        "keepers": other_keepers(cosigning_key=ROOT.keepers[1].cosigning_key)
    },
    "a registrar's key that is none": {"registrars": (Registrar(key=bytes(32), schemes=("demo",)),)},
    "one registrar twice": {"registrars": ROOT.registrars * 2},
    "a policy of another suite": {"policies": (Policy(k=1, n=2),)},
    "no majority": {"policies": (Policy(k=3, n=4), Policy(k=2, n=4))},
}


@pytest.mark.parametrize("changes", UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_one_is_refused(changes):
    """A body that contradicts itself or this suite is refused, as a first version and as a following one."""
    with pytest.raises((Malformed, BadSignature)):
        first(signed(replace(ROOT, **changes)), card=None)
    if "previous" not in changes:
        with pytest.raises((Malformed, BadSignature)):
            advance(SERVICE.accepted, [signed(following(**changes))])


def test_a_later_version_names_its_predecessor():
    """As a first one, version 2 is believed with a previous digest and refused without."""
    assert first(signed(following()), card=None).ref.version == 2
    with pytest.raises(Malformed):
        first(signed(replace(ROOT, version=2)), card=None)


def test_too_few_signatures_are_refused():
    """One of two needed signatures is too few, however it is repeated; two are enough."""
    with pytest.raises(BadSignature):
        first(signed(ROOT, KEYS[0]), card=None)
    with pytest.raises(BadSignature):
        first(signed(ROOT, KEYS[0], KEYS[0]), card=None)
    with pytest.raises(BadSignature):
        first(signed(ROOT, KEYS[0], SigningKey.generate()), card=None)
    assert first(signed(ROOT), card=None)


def test_another_type_of_body_is_refused():
    """The same body signed as something else is no trust root."""
    with pytest.raises(BadSignature):
        first(sign_encoded(labels.GENESIS, SERVICE.signed_root.body, *KEYS), card=None)


def test_new_keys_need_both_thresholds():
    """Version 2 with other root keys needs two old and two new signatures; either alone is too few."""
    new = (SigningKey.generate(), SigningKey.generate())
    body = following(root_keys=tuple(key.public.raw for key in new))
    both = signed(body, *KEYS, *new)
    assert advance(SERVICE.accepted, [both]).root == body
    assert first(both, card=None).root == body
    for signers in (KEYS, new, (KEYS[0], *new), (*KEYS, new[0]), (*KEYS, *new, SigningKey.generate())):
        with pytest.raises(BadSignature):
            advance(SERVICE.accepted, [signed(body, *signers)])


def test_a_lower_threshold_needs_the_old_one():
    """A version that asks for one key only is not believed by that key alone."""
    body = following(threshold=1)
    with pytest.raises(BadSignature):
        advance(SERVICE.accepted, [signed(body, KEYS[0])])
    assert advance(SERVICE.accepted, [signed(body)]).root.threshold == 1


@pytest.mark.parametrize(
    "changes",
    [{"version": 3}, {"version": 1}, {"previous": fresh()}],
    ids=["a version left out", "the same version", "another predecessor"],
)
def test_one_that_does_not_follow_is_refused(changes):
    """A version left out, repeated, or after something else is BrokenChain; the known one is kept."""
    with pytest.raises(BrokenChain):
        advance(SERVICE.accepted, [signed(replace(following(), **changes))])


def test_a_chain_is_followed_to_its_end():
    """Several versions are followed in order; in another order, or with a bad one among them, none is believed."""
    two = signed(following(expiry=ROOT.expiry + 1))
    three = signed(replace(ROOT, version=3, previous=two.digest))
    accepted = advance(SERVICE.accepted, [two, three])
    assert accepted.ref.digest == three.digest
    assert advance(SERVICE.accepted, []) == SERVICE.accepted
    with pytest.raises(BrokenChain):
        advance(SERVICE.accepted, [three, two])
    with pytest.raises(BrokenChain):
        advance(accepted, [three])


def test_it_expires():
    """Up to the second before its expiry it is believed; from then on Stale."""
    check_expiry(SERVICE.accepted, ROOT.expiry - 1)
    check_expiry(SERVICE.accepted, NOW)
    with pytest.raises(Stale):
        check_expiry(SERVICE.accepted, ROOT.expiry)


def test_logs_have_their_keys():
    """The directory has its key, the shards theirs; a log of another host is NotPermitted."""
    assert ROOT.log_key_of("vault.example/coffre/directory") == ROOT.directory_key
    assert ROOT.log_key_of("vault.example/coffre/log/7") == ROOT.log_key
    for other in (
        "evil.example/coffre/log/7",
        "vault.example/coffre/directory2",
        "vault.example.evil/coffre/log/0",
        "vault.example/other",
        "",
    ):
        with pytest.raises(NotPermitted):
            ROOT.log_key_of(other)


def test_retired_keepers_are_not_live():
    """New grants may name only the keepers that are not retired."""
    retired = replace(ROOT, keepers=other_keepers(retired_until=NOW))
    assert retired.live_keepers == ROOT.keepers[1:]
    assert ROOT.live_keepers == ROOT.keepers


def test_a_keeper_is_named_by_its_sealing_key():
    """The name in grants is the hash of the sealing key."""
    keys = KeeperKeys(unsealing=UnsealingKey.generate())
    assert keys.named("a").key_hash == keys.named("b").key_hash != KeeperKeys().named("a").key_hash


def test_a_card_comes_back():
    """An instance card is read from its text, with white space around it; another text is Malformed."""
    card = InstanceCard(suite=labels.SUITE, url="https://vault.example", root=REF)
    assert read_card(f"\n{card_text(card)} \n") == card
    for text in ("", "{}", card_text(card).replace("coffre-1", "coffre-1\\u0020"), card_text(card) * 2):
        with pytest.raises(Malformed):
            read_card(text)
