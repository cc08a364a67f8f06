"""Erasures: which entries one may name, who signs it, and which directory its signers are judged by; each rule broken alone."""

import msgspec
import pytest

from crypto import labels
from crypto.erasures import MAX_ENTRIES, Erasure, check_erasure, latest_named, read_erasure
from crypto.errors import BadSignature, Malformed, NotPermitted
from crypto.identity_links import RevokeDevice
from crypto.signing import sign
from crypto.statements import Head
from crypto.vault_links import SnapshotPart
from tests.support.people import LOG, Device, Person, Service, fresh
from tests.support.vaults import Vault

replace = msgspec.structs.replace
SERVICE = Service()
ALICE, BOB = Person(SERVICE), Person(SERVICE)
SEEN = Head(size=9, root=fresh())


@pytest.fixture
def vault():
    """A record of Alice and Bob, both of whom must sign."""
    return Vault(SERVICE, [ALICE, BOB], rule=2)


def body(of, *entries, **changes):
    """An erasure by all who must sign, seen under a log of nine entries."""
    erasure = Erasure(
        suite=labels.SUITE,
        vault=of.id,
        origin=LOG,
        entries=entries or (3, 7, 8),
        signers=tuple(known.ref for known in of.known),
        view=replace(SERVICE.view, seen=SEEN),
    )
    return replace(erasure, **changes)


def checked(vault, erasure, *, signers=None, later=None):
    """The erasure, signed by all who must, judged where they stand now."""
    known = vault.known if signers is None else signers
    return check_erasure(vault.sign(labels.ERASURE, erasure), vault.view.head, known, later or known)


def test_an_erasure_by_the_holders_is_read(vault):
    """Its entries stand below the head that was seen, in order, to the last of them; one is enough."""
    for erasure in (body(vault), body(vault, 8), body(vault, 0, 1)):
        assert checked(vault, erasure) == erasure
        assert read_erasure(vault.sign(labels.ERASURE, erasure)) == erasure


@pytest.mark.parametrize(
    "entries",
    [(7, 3), (3, 3), (3, 7, 5), (5, 3, 7), (3, 9), (9,), (10,), (9, 3), ()],
    ids=str,
)
def test_entries_stand_in_order_each_once_and_below_the_head(vault, entries):
    """Out of order, twice, not yet in the log that was seen, or none: refused before any signature is looked at."""
    envelope = vault.sign(labels.ERASURE, body(vault, entries=entries))
    with pytest.raises(Malformed):
        read_erasure(envelope)
    with pytest.raises(Malformed):
        check_erasure(envelope, vault.view.head, vault.known, vault.known)


def test_so_many_entries_are_named_at_most(vault):
    """4,096, and not one more."""
    seen = replace(SERVICE.view, seen=Head(size=MAX_ENTRIES + 1, root=fresh()))
    assert MAX_ENTRIES == 4096
    assert checked(vault, body(vault, *range(MAX_ENTRIES), view=seen))
    with pytest.raises(Malformed):
        checked(vault, body(vault, *range(MAX_ENTRIES + 1), view=seen))


def test_an_erasure_is_of_this_record_and_log(vault):
    """One of another record, or of another log, erases nothing here."""
    for changes in ({"vault": fresh()}, {"origin": "vault.example/coffre/log/1"}):
        with pytest.raises(NotPermitted, match="another record or log"):
            checked(vault, body(vault, **changes))


def test_an_erasure_is_signed_as_links_are(vault):
    """By as many holders as must, under its own label, and by just those it names."""
    alone, both = vault.known[:1], vault.known
    erasure = body(vault)
    with pytest.raises(BadSignature, match="enough holders"):
        checked(vault, replace(erasure, signers=(alone[0].ref,)), signers=alone)
    with pytest.raises(BadSignature, match="other signers"):
        checked(vault, erasure, signers=both[::-1])
    for envelope in (
        sign(labels.ERASURE, erasure, ALICE.device.signing),
        vault.sign(labels.VAULT_LINK, erasure),
    ):
        with pytest.raises(BadSignature):
            check_erasure(envelope, vault.view.head, both, both)


def test_a_removed_device_erases_nothing():
    """It names a head from before its removal, and is judged by the later one that the record has named."""
    carol, second = Person(SERVICE), Device()
    carol.add(second.added, signers=[carol.device.signing, second.signing])
    vault = Vault(SERVICE, [carol])
    before, erasure = vault.known, body(vault)
    carol.add(RevokeDevice(device=second.id))
    later = [carol.known()]
    envelope = sign(labels.ERASURE, erasure, second.signing)
    assert check_erasure(envelope, vault.view.head, before, before) == erasure
    with pytest.raises(BadSignature, match="removed"):
        check_erasure(envelope, vault.view.head, before, later)
    assert check_erasure(sign(labels.ERASURE, erasure, carol.device.signing), vault.view.head, before, later)


def test_signers_are_judged_by_the_largest_directory_that_was_named():
    """Of the erasure's own head and those of the founding and the links before it, whichever is the largest."""
    service = Service()
    vault = Vault(service, [Person(service)])
    founding, first = vault.signed_genesis, vault.link(SnapshotPart(part=fresh()))
    Person(service)
    second = vault.link(SnapshotPart(part=fresh()))
    small, big = vault.genesis.view.dir, service.directory.head
    least = Head(size=0, root=fresh())
    assert latest_named([], least) == least
    assert latest_named([founding], least) == latest_named([first], least) == small
    assert latest_named([founding, first, second], small) == big
    assert latest_named([second, first, founding], least) == big
    assert latest_named([founding], big) == big
    assert big.size > small.size
