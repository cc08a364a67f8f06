"""The trust root: believed once, then followed link by link, each rule broken alone."""

import hashlib
from contextlib import suppress
from itertools import combinations_with_replacement

import msgspec
import pytest

from crypto import labels
from crypto.access_log import parse_leaf
from crypto.encoding import encode, pae
from crypto.errors import BadSignature, BrokenChain, Malformed, NotPermitted, Stale, TooLarge
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.statements import Head, RootRef
from crypto.trust_root import (
    InstanceCard,
    Policy,
    Registrar,
    Successor,
    card_text,
    check_client,
    check_expiry,
    policy_of,
    read_card,
)
from crypto.trust_root_chain import advance, first, missing_signatures
from tests.support.people import HOST, NOW, KeeperKeys, Service, fresh

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
    "a registrar's key that is none": {
        "registrars": (Registrar(key=bytes(32), schemes=("demo",), retired_since=None),)
    },
    "one registrar twice": {"registrars": (*ROOT.registrars, replace(ROOT.registrars[0], schemes=("app",)))},
    "one host twice": {"hosts": (HOST, "other.example", HOST)},
    "one policy twice": {"policies": ROOT.policies * 2},
    "a root key more, twice": {"root_keys": (*ROOT.root_keys, ROOT.root_keys[0])},
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


def test_a_number_of_keepers_has_one_policy():
    """One of one, three of four, four of five, five of seven; no other number has any."""
    made = {n: policy_of(n) for n in (1, 4, 5, 7)}
    assert made == {n: Policy(k=k, n=n) for n, k in ((1, 1), (4, 3), (5, 4), (7, 5))}
    for count in (0, 2, 3, 6, 8):
        with pytest.raises(NotPermitted, match=f"number of keepers: {count}"):
            policy_of(count)


def test_only_the_policies_of_the_suite_are_sound():
    """Of all policies for one to eight keepers a trust root may hold 1 of 1, 3 of 4, 4 of 5 and 5 of 7 only."""
    sound = set()
    for k, n in combinations_with_replacement(range(1, 9), 2):
        with suppress(Malformed):
            first(signed(replace(ROOT, policies=(Policy(k=k, n=n),))), card=None)
            sound.add((k, n))
    assert sound == {(1, 1), (3, 4), (4, 5), (5, 7)}


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


def test_it_is_said_how_many_must_still_sign():
    """By the keys of the version before and by its own; a stranger's signature, and what takes something back, is refused."""
    new = SigningKey.generate()
    keys = (*ROOT.root_keys, new.public.raw)
    body = following(root_keys=keys, threshold=3)
    for signers, missing in (((KEYS[0],), (1, 2)), (KEYS, (0, 1)), ((new,), (2, 2)), ((*KEYS, new), (0, 0))):
        assert missing_signatures(SERVICE.accepted, signed(body, *signers)) == missing
    with pytest.raises(BadSignature):
        missing_signatures(SERVICE.accepted, signed(body, *KEYS, SigningKey.generate()))
    with pytest.raises(BrokenChain):
        missing_signatures(SERVICE.accepted, signed(replace(body, version=3)))
    with pytest.raises(NotPermitted):
        missing_signatures(SERVICE.accepted, signed(replace(body, keepers=ROOT.keepers[1:])))
    with pytest.raises(Malformed):
        missing_signatures(SERVICE.accepted, signed(replace(body, policies=(Policy(k=1, n=2),))))


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
    """The directory has its key, the shards theirs, each under the log's name; any other origin is NotPermitted."""
    for origin, key in ((f"{HOST}/coffre/directory", ROOT.directory_key), (ROOT.log_origin(7), ROOT.log_key)):
        assert (ROOT.log_key_of(origin).name, ROOT.log_key_of(origin).key.raw) == (origin, key)
    assert ROOT.log_origin(7) == f"{HOST}/coffre/log/7"
    for other in (
        "evil.example/coffre/log/7",
        "vault.example/coffre/directory2",
        "vault.example/coffre/directory/1",
        "vault.example.evil/coffre/log/0",
        "vault.example/other",
        *(f"{HOST}/coffre/log/{shard}" for shard in ("", "07", "-7", "7/", "7\n", "x", "٧", "1" * 11)),
        "",
    ):
        with pytest.raises(NotPermitted):
            ROOT.log_key_of(other)


def succeeds(old, new):
    """A log in another's place."""
    return Successor(old_origin=old, last_head=Head(size=5, root=fresh()), new_origin=new)


LOG, DIRECTORY, THERE = ROOT.log_origin(0), ROOT.directory_origin, "other.example:8443"
MOVED = {
    "hosts": (THERE, HOST),
    "successors": (
        succeeds(DIRECTORY, f"{THERE}/coffre/directory/1"),
        succeeds(LOG, f"{HOST}/coffre/log/9"),
        succeeds(f"{HOST}/coffre/log/9", f"{THERE}/coffre/log/0"),
    ),
}


def test_a_log_may_be_taken_over():
    """The newest origin follows successors, the directory too; its old origin is no log of the service any more."""
    moved = advance(SERVICE.accepted, [signed(following(**MOVED))]).root
    assert moved.newest_origin(LOG) == f"{THERE}/coffre/log/0"
    assert moved.newest_origin(ROOT.log_origin(1)) == ROOT.log_origin(1)
    assert moved.directory_origin == f"{THERE}/coffre/directory/1"
    assert moved.log_key_of(moved.directory_origin).key.raw == ROOT.directory_key
    assert moved.log_key_of(LOG).key.raw == ROOT.log_key
    with pytest.raises(NotPermitted):
        moved.log_key_of(DIRECTORY)


def test_the_directory_may_go_to_another_host_than_the_first():
    """Hosts that stay as they were need not begin with the one where the directory stands now."""
    changes = {
        "hosts": (HOST, THERE),
        "successors": (succeeds(DIRECTORY, f"{THERE}/coffre/directory/1"),),
    }
    moved = advance(SERVICE.accepted, [signed(following(**changes))]).root
    assert moved.directory_origin == f"{THERE}/coffre/directory/1"


def test_a_log_that_takes_over_begins_with_its_successor():
    """Its leaf 0 is the hash of the whole record, a leaf of version 1 that is like any other to whoever reads it."""
    entry = succeeds(LOG, ROOT.log_origin(1))
    hashed = hashlib.sha256(pae(labels.SUCCESSOR, encode(entry))).digest()
    assert entry.leaf.to_bytes() == b"\1" + hashed + bytes(64)
    assert parse_leaf(entry.leaf.to_bytes()) == entry.leaf
    assert replace(entry, last_head=Head(size=6, root=fresh())).leaf != entry.leaf


SUCCESSORS = {
    "of one log twice": (succeeds(LOG, ROOT.log_origin(1)), succeeds(LOG, ROOT.log_origin(2))),
    "of two logs in one": (
        succeeds(LOG, ROOT.log_origin(2)),
        succeeds(ROOT.log_origin(1), ROOT.log_origin(2)),
    ),
    "in a circle": (succeeds(LOG, ROOT.log_origin(1)), succeeds(ROOT.log_origin(1), LOG)),
    "of itself": (succeeds(LOG, LOG),),
    "on another host": (succeeds(LOG, f"{THERE}/coffre/log/0"),),
    "of a log as directory": (succeeds(DIRECTORY, ROOT.log_origin(1)),),
    "of a directory as log": (succeeds(LOG, f"{DIRECTORY}/1"),),
    "of a directory without number": (succeeds(f"{THERE}/coffre/directory", DIRECTORY),),
    "of two first directories": (
        succeeds(DIRECTORY, f"{DIRECTORY}/1"),
        succeeds(f"{THERE}/coffre/directory", f"{DIRECTORY}/2"),
    ),
    "with leading zero": (succeeds(LOG, f"{HOST}/coffre/log/01"),),
    "of what is no directory": (succeeds(f"{HOST}/coffre/elsewhere", f"{DIRECTORY}/1"),),
    "of what is no log": (succeeds(f"{HOST}/coffre/log/", LOG),),
}


@pytest.mark.parametrize("entries", SUCCESSORS.values(), ids=SUCCESSORS.keys())
def test_an_impossible_successor_is_refused(entries):
    """A log is taken over once, by one new log of its kind on a host of the service, and never in a circle."""
    with pytest.raises(Malformed):
        first(signed(replace(ROOT, successors=entries)), card=None)


@pytest.mark.parametrize("host", [HOST, "localhost:8765", "127.0.0.1:1", "a" * 253, "xn--caf-dma.example"])
def test_a_host_is_a_name_and_a_port(host):
    """Names, addresses and ports in use are believed."""
    assert first(signed(replace(ROOT, hosts=(host,))), card=None).root.hosts == (host,)


@pytest.mark.parametrize(
    "host",
    [
        "A.example",
        "a/b",
        "a:",
        "a:0",
        "a:08",
        "a:123456",
        ":80",
        "::1",
        "[::1]:80",
        "é",
        "a b",
        "a\n",
        "a" * 254,
    ],
)
def test_another_host_is_refused(host):
    """What could not stand in a log's name, or could stand there in two ways, is Malformed or not even encoded."""
    with pytest.raises(Malformed):
        first(signed(replace(ROOT, hosts=(host,))), card=None)


FIRST_REGISTRAR = ROOT.registrars[0]
SECOND_REGISTRAR = Registrar(key=SigningKey.generate().public.raw, schemes=("app", "rpps"), retired_since=NOW)
LONG_SINCE = advance(
    SERVICE.accepted,
    [
        signed(
            following(
                registrars=(FIRST_REGISTRAR, SECOND_REGISTRAR),
                keepers=other_keepers(retired_until=NOW),
                **MOVED,
            )
        )
    ],
)
TAKEN_BACK = {
    "a registrar": {"registrars": (FIRST_REGISTRAR,)},
    "a scheme": {"registrars": (FIRST_REGISTRAR, replace(SECOND_REGISTRAR, schemes=("rpps", "x")))},
    "the end of a registrar": {
        "registrars": (FIRST_REGISTRAR, replace(SECOND_REGISTRAR, retired_since=None))
    },
    "when a registrar ended": {
        "registrars": (FIRST_REGISTRAR, replace(SECOND_REGISTRAR, retired_since=NOW - 1))
    },
    "a log's successor": {"successors": MOVED["successors"][:2]},
    "the directory's successor": {"successors": MOVED["successors"][1:]},
    "what a successor says": {
        "successors": (
            *MOVED["successors"][:2],
            replace(MOVED["successors"][2], last_head=Head(size=6, root=fresh())),
        )
    },
    "the first host": {"hosts": (HOST, THERE)},
    "a keeper": {"keepers": LONG_SINCE.root.keepers[:-1]},
    "a retired keeper": {"keepers": LONG_SINCE.root.keepers[1:]},
    "a keeper's sealing key": {
        "keepers": other_keepers(sealing_key=UnsealingKey.generate().public, retired_until=NOW)
    },
    "a keeper's cosigning key": {
        "keepers": other_keepers(cosigning_key=SigningKey.generate().public.raw, retired_until=NOW)
    },
    "a keeper's retirement": {"keepers": ROOT.keepers},
    "how long a retired keeper answers": {"keepers": other_keepers(retired_until=NOW - 1)},
}


def test_a_version_may_add():
    """Registrars, schemes, the end of a registrar, hosts, successors and a keeper's new keys may be added."""
    registrars = (
        replace(SECOND_REGISTRAR, schemes=("new", *SECOND_REGISTRAR.schemes)),
        replace(FIRST_REGISTRAR, retired_since=NOW),
        Registrar(key=SigningKey.generate().public.raw, schemes=("demo",), retired_since=None),
    )
    renewed = KeeperKeys().named(ROOT.keepers[0].name)
    body = replace(
        LONG_SINCE.root,
        version=3,
        previous=LONG_SINCE.ref.digest,
        registrars=registrars,
        hosts=(*LONG_SINCE.root.hosts, "third.example"),
        successors=(
            succeeds(f"{THERE}/coffre/directory/1", f"{THERE}/coffre/directory/2"),
            *MOVED["successors"],
        ),
        keepers=(
            replace(LONG_SINCE.root.keepers[0], retired_until=NOW + 1, url="https://moved.example"),
            *ROOT.keepers[1:],
            renewed,
        ),
    )
    newest = advance(LONG_SINCE, [signed(body)]).root
    assert newest.directory_origin == f"{THERE}/coffre/directory/2"


@pytest.mark.parametrize("changes", TAKEN_BACK.values(), ids=TAKEN_BACK.keys())
def test_a_version_takes_nothing_back(changes):
    """What was believed of registrars, keepers and logs stays: a following version that changes it is NotPermitted."""
    body = replace(LONG_SINCE.root, version=3, previous=LONG_SINCE.ref.digest)
    assert advance(LONG_SINCE, [signed(body)])
    with pytest.raises(NotPermitted):
        advance(LONG_SINCE, [signed(replace(body, **changes))])


def test_a_keeper_stays_retired_however_long_ago():
    """A retirement in the first second of all counts like any other: nobody comes back to new grants by it."""
    old = advance(SERVICE.accepted, [signed(following(keepers=other_keepers(retired_until=1)))])
    body = replace(old.root, version=3, previous=old.ref.digest)
    assert advance(old, [signed(body)])
    with pytest.raises(NotPermitted):
        advance(old, [signed(replace(body, keepers=ROOT.keepers))])


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": (THERE, HOST)},
        {"hosts": ("third.example", THERE, HOST), "successors": MOVED["successors"]},
        {"successors": (succeeds(f"{THERE}/coffre/directory", f"{DIRECTORY}/1"),)},
    ],
    ids=["without a successor", "not where the directory went", "another service's directory"],
)
def test_the_directory_stays_unless_a_successor_moves_it(changes):
    """The first host, and with it the directory, changes only as a successor of the directory says."""
    with pytest.raises(NotPermitted):
        advance(SERVICE.accepted, [signed(following(**changes))])


@pytest.mark.parametrize(
    ("least", "own", "suffices"),
    [
        ("0.1.0", "0.1.0", True),
        ("0.9.0", "0.10.0", True),
        ("1.0.0", "0.99.99", False),
        ("0.1.1", "0.1.0", False),
    ],
)
def test_an_old_client_is_refused(least, own, suffices):
    """Versions are compared number by number; an older client than the least is NotPermitted and told to update."""
    accepted = first(signed(replace(ROOT, minimum_client=least)), card=None)
    if suffices:
        check_client(accepted, own)
        return
    with pytest.raises(NotPermitted, match="Update"):
        check_client(accepted, own)


@pytest.mark.parametrize(
    "least", ["1", "1.0", "1.0.0.0", "01.0.0", "1.0.0a", "1.0.1000000", "-1.0.0", "1..0"]
)
def test_a_client_version_is_three_numbers(least):
    """Any other spelling of the least version is Malformed."""
    with pytest.raises(Malformed):
        first(signed(replace(ROOT, minimum_client=least)), card=None)


def test_retired_keepers_are_not_live():
    """New grants may name only the keepers that are not retired."""
    retired = replace(ROOT, keepers=other_keepers(retired_until=NOW))
    assert retired.live_keepers == ROOT.keepers[1:]
    assert retired.answering_keepers(NOW) == ROOT.keepers[1:]
    assert retired.answering_keepers(NOW - 1) == retired.keepers
    assert ROOT.live_keepers == ROOT.keepers


def test_the_policy_is_the_strictest_for_the_live_keepers():
    """Of the policies for so many keepers as are live the one that asks most; none where keepers are too few."""
    loose, strict, other = Policy(k=2, n=4), Policy(k=3, n=4), Policy(k=4, n=5)
    assert replace(ROOT, policies=(loose, strict, other)).policy == strict
    assert replace(ROOT, policies=(strict, loose)).policy == strict
    fewer = replace(
        ROOT, keepers=other_keepers(retired_until=NOW), policies=(loose, strict, Policy(k=1, n=1))
    )
    with pytest.raises(NotPermitted):
        _ = fewer.policy


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
    with pytest.raises(Malformed):
        read_card("x" * 4096)
    with pytest.raises(TooLarge):
        read_card("x" * 4097)
