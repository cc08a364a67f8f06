"""What a reader checks of a grant's events, rule by rule, each beside an honest twin that passes."""

import hashlib
from itertools import combinations

import msgspec
import pytest

from crypto import labels
from crypto.encoding import encode
from crypto.errors import BadSignature, BrokenChain, Malformed, NotPermitted
from crypto.grants import (
    END_OF_TIME,
    Row,
    Rows,
    SealedPolicy,
    accept,
    check_blob,
    check_policy,
    rows_root,
    split_rows,
    subset_name,
    subsets_of,
)
from crypto.merkle import EMPTY_ROOT
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import sign
from crypto.statements import Head, RootRef
from crypto.trust_root import Policy, Successor
from crypto.vault_links import vault_id
from tests.support.grants import GrantedDocument, GrantMaker, policy_over
from tests.support.people import LOG, NOW, KeeperKeys, Person, Service, fresh
from tests.support.vaults import Vault

replace = msgspec.structs.replace
SERVICE = Service(k=3, n=4)
PATIENT, OTHER = Person(SERVICE), Person(SERVICE)
VAULT = Vault(SERVICE, [PATIENT])
BOX = bytes(1200)


@pytest.fixture
def reader():
    """A recipient whose keys may move during a test."""
    return Person(SERVICE)


@pytest.fixture
def maker(reader):
    """A grant to the reader, without events yet."""
    return GrantMaker(VAULT, reader, 3, 4)


def document():
    """Something to grant."""
    return GrantedDocument.fresh()


def resigned(made, **changes):
    """An event's envelope with changes, signed again by the patient."""
    return VAULT.sign(labels.GRANT_EVENT, replace(made.body, **changes))


# Event 0


def test_an_honest_first_event_is_believed(maker):
    """The state holds record, holders, rule and the recipient's box."""
    made = maker.event(document())
    state = maker.accept(None, made.envelope)
    assert (state.vault, state.holders, state.rule) == (VAULT.id, (PATIENT.identity,), 1)
    assert (state.digest, state.event, state.a_box) == (made.envelope.digest, made.body, made.body.a_box)


@pytest.mark.parametrize(
    "changes",
    [
        {"j": 1},
        {"rekey": 1},
        {"prev": fresh()},
        {"genesis": None},
        {"vault": fresh()},
        {"origin": "vault.example/coffre/log/1"},
        {"genesis": encode(replace(VAULT.genesis, random=fresh()))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_first_event_stands_at_the_beginning(maker, changes):
    """Event 0 has number and rekey 0, no predecessor, and shows the genesis of just its record and log."""
    made = maker.event(document())
    with pytest.raises(BrokenChain):
        maker.accept(None, resigned(made, **changes))


def test_the_genesis_shown_is_of_this_suite(maker):
    """A record founded under another suite is refused, though its id is the hash of that genesis."""
    genesis = encode(replace(VAULT.genesis, suite="coffre-2"))
    made = maker.event(document())
    with pytest.raises(Malformed):
        maker.accept(None, resigned(made, genesis=genesis, vault=vault_id(genesis)))


def test_a_grant_ends_before_the_year_10000(maker):
    """An expiry that no calendar can show is NotPermitted: who received it could not show any of their grants."""
    made = maker.event(document())
    maker.accept(None, resigned(made, expiry=END_OF_TIME - 1))
    for expiry in (END_OF_TIME, 2**53 - 1):
        with pytest.raises(NotPermitted):
            maker.accept(None, resigned(made, expiry=expiry))


def test_a_new_event_names_live_keepers(maker, reader):
    """A retired keeper stands in events of before its retirement; one made under the trust root that says so is refused."""
    made = maker.event(document())
    later = replace(made.body.view, trust_root=RootRef(version=2, digest=fresh()))
    new = resigned(made, view=later)
    listed = replace(SERVICE.root, version=2)
    retired = replace(
        listed, keepers=(replace(SERVICE.root.keepers[0], retired_until=NOW), *SERVICE.root.keepers[1:])
    )
    for envelope, root in ((made.envelope, retired), (new, listed), (new, SERVICE.root)):
        assert accept(None, envelope, VAULT.known, reader.known(), root).digest == envelope.digest
    with pytest.raises(NotPermitted, match="retired"):
        accept(None, new, VAULT.known, reader.known(), retired)


def test_only_holders_grant(maker):
    """An event signed by a stranger, by the recipient, or under another label is refused."""
    made = maker.event(document())
    for person in (OTHER, maker.recipient):
        forged = replace(made.body, signers=(person.known().ref,))
        with pytest.raises(BadSignature):
            accept(
                None,
                sign(labels.GRANT_EVENT, forged, person.device.signing),
                [person.known()],
                maker.recipient.known(),
                SERVICE.root,
            )
        with pytest.raises(BadSignature):
            maker.accept(None, sign(labels.GRANT_EVENT, made.body, person.device.signing))
    with pytest.raises(BadSignature):
        maker.accept(None, sign(labels.VAULT_LINK, made.body, PATIENT.device.signing))
    with pytest.raises(BadSignature):
        maker.accept(None, resigned(made, signers=(OTHER.known().ref,)))


def test_as_many_holders_grant_as_the_genesis_asks(reader):
    """Where two holders must sign, one does not suffice, in event 0 and later."""
    vault = Vault(SERVICE, [PATIENT, OTHER], rule=2)
    maker = GrantMaker(vault, reader, 3, 4)
    previous = None
    for _ in range(2):
        made = maker.event(document())
        alone = replace(made.body, signers=made.body.signers[:1])
        with pytest.raises(BadSignature):
            accept(
                previous,
                sign(labels.GRANT_EVENT, alone, PATIENT.device.signing),
                [PATIENT.known()],
                reader.known(),
                SERVICE.root,
            )
        previous = maker.accept(previous, made.envelope)
    assert previous.rule == 2


def test_a_grant_is_for_who_reads_it(maker):
    """An event for another identity, or for another state of this one, is NotPermitted."""
    made = maker.event(document())
    ref = made.body.recipient
    for recipient in (OTHER.known().ref, replace(ref, n=ref.n + 1), replace(ref, leaf=fresh())):
        with pytest.raises(NotPermitted):
            maker.accept(None, resigned(made, recipient=recipient))


def test_a_grant_is_for_the_newest_reading_key(maker, reader):
    """The reading key named is the recipient's newest at the event's head: an older or later one is NotPermitted."""
    reader.new_reading_key()
    made = maker.event(document())
    assert maker.accept(None, made.envelope).event.reading_key == 1
    for number in (0, 2):
        with pytest.raises(NotPermitted):
            maker.accept(None, resigned(made, reading_key=number))


@pytest.mark.parametrize(
    "changes",
    [{"a_box": None}, {"rows": Rows(root=EMPTY_ROOT, count=0)}],
    ids=["no box", "no rows"],
)
def test_a_rekey_brings_keys_and_rows(maker, changes):
    """Event 0 and every rekey without a box for the recipient, or with no rows, is NotPermitted."""
    made = maker.event(document())
    with pytest.raises(NotPermitted):
        maker.accept(None, resigned(made, **changes))
    state = maker.accept(None, made.envelope)
    later = maker.event(document(), rekey=True)
    with pytest.raises(NotPermitted):
        maker.accept(state, resigned(later, **changes))
    assert maker.accept(state, later.envelope).event.rekey == 1


# Later events


def test_events_add_up(maker):
    """Later events follow by number and digest, keep the box until a rekey, and then have their own."""
    first = maker.event(document())
    state = maker.accept(None, first.envelope)
    second = maker.event(document(), document())
    state = maker.accept(state, second.envelope)
    assert state.a_box == first.body.a_box
    empty = maker.event()
    state = maker.accept(state, empty.envelope)
    third = maker.event(document(), rekey=True)
    state = maker.accept(state, third.envelope)
    assert state.a_box == third.body.a_box != first.body.a_box
    assert (state.event.j, state.event.rekey) == (3, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"j": 0},
        {"j": 2},
        {"prev": fresh()},
        {"prev": None},
        {"vault": fresh()},
        {"gid": fresh()},
        {"origin": "vault.example/coffre/log/1"},
        {"genesis": encode(VAULT.genesis)},
        {"rekey": 2},
    ],
    ids=[
        "an old number",
        "a number left out",
        "another before it",
        "none before it",
        "another record",
        "another grant",
        "another log",
        "the genesis again",
        "a rekey left out",
    ],
)
def test_a_later_event_follows(maker, changes):
    """Number, digest, record, grant, log and rekey go on from the event before, and the genesis is not shown again."""
    state = maker.accept(None, maker.event(document()).envelope)
    made = maker.event(document())
    assert maker.accept(state, made.envelope)
    with pytest.raises(BrokenChain):
        maker.accept(state, resigned(made, **changes))


def test_a_grant_keeps_its_recipient(maker):
    """An event for another recipient is BrokenChain, even when shown to that recipient."""
    state = maker.accept(None, maker.event(document()).envelope)
    made = maker.event(document())
    envelope = resigned(made, recipient=OTHER.known().ref)
    with pytest.raises(BrokenChain):
        accept(state, envelope, VAULT.known, OTHER.known(), SERVICE.root)


def test_an_event_without_a_rekey_brings_no_box(maker):
    """A new box without a new rekey is NotPermitted: the old one stays the only one."""
    state = maker.accept(None, maker.event(document()).envelope)
    made = maker.event(document())
    with pytest.raises(NotPermitted):
        maker.accept(state, resigned(made, a_box=BOX))


def test_a_new_reading_key_makes_a_rekey_due(maker, reader):
    """After a change of the reading key an event without a rekey is NotPermitted; with one it is believed."""
    state = maker.accept(None, maker.event(document()).envelope)
    reader.new_reading_key()
    made = maker.event(document())
    with pytest.raises(NotPermitted):
        maker.accept(state, made.envelope)
    maker.j, maker.prev = 0, state.digest
    assert maker.accept(state, maker.event(document(), rekey=True).envelope).event.reading_key == 1


def test_new_keepers_make_a_rekey_due(maker):
    """After a change of keepers an event without a rekey is NotPermitted; with one it is believed."""
    state = maker.accept(None, maker.event(document()).envelope)
    newcomer = KeeperKeys().named("keeper-9")
    root = replace(SERVICE.root, keepers=(*SERVICE.root.keepers[:3], newcomer))
    keepers = tuple(sorted(keeper.key_hash for keeper in root.keepers))
    made = maker.event(document())
    changed = resigned(made, policy=replace(made.body.policy, keepers=keepers))
    with pytest.raises(NotPermitted):
        accept(state, changed, VAULT.known, maker.recipient.known(), root)
    due = resigned(made, policy=replace(made.body.policy, keepers=keepers), rekey=1, a_box=BOX)
    assert accept(state, due, VAULT.known, maker.recipient.known(), root).event.rekey == 1


def test_a_new_epoch_makes_a_rekey_due(maker):
    """After a change of the record's log key an event without a rekey is NotPermitted; with one it is believed."""
    state = maker.accept(None, maker.event(document()).envelope)
    made = maker.event(document())
    log_key = UnsealingKey.generate().public
    with pytest.raises(NotPermitted):
        maker.accept(state, resigned(made, log_key=log_key))
    assert maker.accept(state, resigned(made, log_key=log_key, rekey=1, a_box=BOX)).event.rekey == 1


@pytest.mark.parametrize(
    "changes",
    [{"excluded": (b"\1" * 32,) * 2}, {"acts": ("list", "list")}, {"purposes": ("TREAT", "TREAT")}],
    ids=lambda change: next(iter(change)),
)
def test_nothing_is_named_twice(maker, changes):
    """An event that names an exclusion, an act or a purpose twice is NotPermitted."""
    made = maker.event(document())
    with pytest.raises(NotPermitted):
        maker.accept(None, resigned(made, **changes))


def test_a_grant_may_stand_in_the_log_that_took_the_place_of_the_founding(maker):
    """Event 0 names the log of the genesis or its successor by the trust root; any other is BrokenChain."""
    new = "vault.example/coffre/log/7"
    head = Head(size=0, root=EMPTY_ROOT)
    root = replace(SERVICE.root, successors=(Successor(old_origin=LOG, last_head=head, new_origin=new),))
    made = maker.event(document())
    known = VAULT.known, maker.recipient.known()
    assert accept(None, resigned(made, origin=new), *known, root).event.origin == new
    assert accept(None, made.envelope, *known, root).event.origin == LOG
    with pytest.raises(BrokenChain):
        accept(None, resigned(made, origin=new), *known, SERVICE.root)


# Policies


def policies():
    """The honest policy, and what is wrong with each of the others."""
    honest = replace(policy_over(SERVICE, 3, 4), blobs=(fresh(),) * 4)
    keepers = honest.keepers
    return honest, {
        "a number not allowed here": replace(
            honest, k=1, n=1, keepers=keepers[:1], blobs=(fresh(),), subsets=((0,),)
        ),
        "fewer must answer": replace(honest, k=2),
        "fewer must answer, with their subsets": replace(honest, k=2, subsets=subsets_of(2, 4)),
        "a keeper left out": replace(honest, keepers=keepers[:3]),
        "a keeper too many": replace(honest, keepers=(*keepers, fresh())),
        "keepers out of order": replace(honest, keepers=keepers[::-1]),
        "one keeper twice": replace(honest, keepers=tuple(sorted((*keepers[:3], keepers[0])))),
        "an unknown keeper": replace(honest, keepers=tuple(sorted((*keepers[:3], fresh())))),
        "a blob too few": replace(honest, blobs=honest.blobs[:3]),
        "a blob too many": replace(honest, blobs=(*honest.blobs, fresh())),
        "a subset too few": replace(honest, subsets=honest.subsets[:-1]),
        "subsets out of order": replace(honest, subsets=honest.subsets[::-1]),
        "a smaller subset": replace(honest, subsets=((0,), *honest.subsets[1:])),
        "no subsets": replace(honest, subsets=()),
    }


HONEST_POLICY, WRONG_POLICIES = policies()


@pytest.mark.parametrize("policy", WRONG_POLICIES.values(), ids=WRONG_POLICIES.keys())
def test_a_policy_is_one_of_the_trust_roots(maker, policy):
    """Numbers, keepers, subsets and blobs other than the trust root's and the suite's are NotPermitted."""
    check_policy(HONEST_POLICY, SERVICE.root)
    with pytest.raises(NotPermitted):
        check_policy(policy, SERVICE.root)
    made = maker.event(document())
    with pytest.raises(NotPermitted):
        maker.accept(None, resigned(made, policy=policy))


def test_a_retired_keeper_is_still_known_and_a_removed_one_is_not():
    """What was granted before a keeper retired is believed; a keeper the trust root does not name is NotPermitted."""
    first, *others = SERVICE.root.keepers
    retired = replace(SERVICE.root, keepers=(replace(first, retired_until=1), *others))
    check_policy(HONEST_POLICY, retired)
    with pytest.raises(NotPermitted):
        check_policy(HONEST_POLICY, replace(SERVICE.root, keepers=tuple(others)))


def test_an_event_names_keepers_that_were_live_when_it_was_made(maker):
    """A keeper that retired in the trust root of the event is NotPermitted; one that retired in a later one is not."""
    made = maker.event(document())
    known = VAULT.known, maker.recipient.known()
    first, *others = SERVICE.root.keepers
    retired = replace(SERVICE.root, keepers=(replace(first, retired_until=1), *others))
    with pytest.raises(NotPermitted):
        accept(None, made.envelope, *known, retired)
    assert accept(None, made.envelope, *known, SERVICE.root)
    assert accept(None, made.envelope, *known, replace(retired, version=2))


def test_a_policy_is_of_this_suite():
    """Numbers that the trust root allows and the suite does not know are NotPermitted."""
    root = replace(SERVICE.root, policies=(Policy(k=2, n=4),))
    with pytest.raises(NotPermitted):
        check_policy(replace(HONEST_POLICY, k=2, subsets=subsets_of(2, 4)), root)


def test_each_blob_is_its_keepers(maker):
    """The blob of each keeper is the one signed for it: another keeper's, a stranger's or a changed one is not."""
    made = maker.event(document())
    policy = made.body.policy
    for blob in made.blobs:
        check_blob(policy, blob)
    first, second = made.blobs[:2]
    for wrong in (
        replace(first, box=second.box),
        replace(first, keeper=second.keeper),
        replace(first, keeper=fresh()),
        replace(first, box=first.box[:-1] + bytes([first.box[-1] ^ 1])),
    ):
        with pytest.raises(NotPermitted):
            check_blob(policy, wrong)
    unnamed = SealedPolicy(keeper=first.keeper, j=0, trust_root=fresh(), box=first.box)
    with pytest.raises(NotPermitted):
        check_blob(replace(policy, blobs=()), unnamed)


def test_subsets_are_every_set_that_any_k_keepers_meet():
    """There are n over n-k+1 of them, in order, and their names differ by their keepers."""
    for k, n, count in ((1, 1, 1), (3, 4, 6), (4, 5, 10), (5, 7, 35)):
        subsets = subsets_of(k, n)
        assert len(subsets) == count
        assert list(subsets) == sorted(combinations(range(n), n - k + 1))
    names = {subset_name(HONEST_POLICY, subset) for subset in subsets_of(3, 4)}
    assert len(names) == 6
    joined = HONEST_POLICY.keepers[0] + HONEST_POLICY.keepers[2]
    assert subset_name(HONEST_POLICY, (0, 2)) == hashlib.sha256(joined).digest()


# Rows


def rows(*ids):
    """Encoded rows with these document ids, in this order."""
    return [
        Row(doc=bytes([doc]) * 16, ver=bytes(16), ct_root=fresh(), wrap=fresh(48)).to_bytes() for doc in ids
    ]


def test_rows_come_apart():
    """112-byte rows under their root come back in order; none at all under the root of nothing."""
    encoded = rows(1, 2, 3)
    named = Rows(root=rows_root(encoded), count=3)
    assert [row.to_bytes() for row in split_rows(b"".join(encoded), named)] == encoded
    assert list(split_rows(b"", Rows(root=EMPTY_ROOT, count=0))) == []


def test_other_rows_are_refused():
    """A row changed, left out, added, exchanged or cut, and another count: Malformed."""
    encoded = rows(1, 2, 3)
    named = Rows(root=rows_root(encoded), count=3)
    joined = b"".join(encoded)
    for data in (
        joined[:-1],
        joined + b"\0",
        joined[112:],
        joined + encoded[0],
        b"",
        joined[112:] + joined[:112],
    ):
        with pytest.raises(Malformed):
            split_rows(data, named)
    for at in (0, 20, 50, 111, 200, 335):
        with pytest.raises(Malformed):
            split_rows(joined[:at] + bytes([joined[at] ^ 1]) + joined[at + 1 :], named)
    for count in (0, 2, 4, 2**40):
        with pytest.raises(Malformed):
            split_rows(joined, replace(named, count=count))


def test_rows_have_a_limit(monkeypatch):
    """As many rows as an event may have come apart; one more is refused, though signed so."""
    encoded = rows(1, 2, 3)
    named = Rows(root=rows_root(encoded), count=3)
    monkeypatch.setattr("crypto.grants.MAX_ROWS", 3)
    assert len(list(split_rows(b"".join(encoded), named))) == 3
    monkeypatch.setattr("crypto.grants.MAX_ROWS", 2)
    with pytest.raises(Malformed):
        split_rows(b"".join(encoded), named)


def test_rows_stand_in_order_of_documents_and_versions():
    """Versions that differ in their last byte are two; what follows a version tells none apart."""
    low, high = bytes(32), bytes(31) + b"\1"
    for first, second, fits in ((low, high, True), (high, low, False), (low, low, False)):
        for ct_roots in ((b"\0", b"\1"), (b"\1", b"\0")):
            encoded = [name + ct_root * 80 for name, ct_root in zip((first, second), ct_roots, strict=True)]
            named = Rows(root=rows_root(encoded), count=2)
            if fits:
                assert [row.ver for row in split_rows(b"".join(encoded), named)] == [first[16:], second[16:]]
            else:
                with pytest.raises(Malformed):
                    split_rows(b"".join(encoded), named)


@pytest.mark.parametrize("ids", [(2, 1), (1, 1), (1, 3, 2)], ids=str)
def test_rows_stand_in_order(ids):
    """Signed rows that do not rise strictly by document and version are Malformed: no document has two rows."""
    encoded = rows(*ids)
    with pytest.raises(Malformed):
        split_rows(b"".join(encoded), Rows(root=rows_root(encoded), count=len(encoded)))
