"""The vault chain, rule by rule: each broken alone is refused, beside an honest twin that passes."""

import hashlib

import msgspec
import pytest

from crypto import labels, vault_links
from crypto.encoding import decode, encode
from crypto.errors import BadSignature, BrokenChain, Malformed, NotPermitted
from crypto.identity_links import RevokeDevice
from crypto.signing import sign
from crypto.statements import Head
from crypto.vault_chain import (
    Named,
    VaultHead,
    VaultView,
    check_not_removed,
    follow,
    found,
    latest_directory,
    named,
)
from crypto.vault_links import (
    AddVersion,
    Adopt,
    Block,
    End,
    Grant,
    Mask,
    PolicyPart,
    ProfilePart,
    Reseal,
    Rotate,
    SnapshotPart,
    Tombstone,
    VaultOperation,
    check_person,
    export_digest,
    person_commitment,
    scan_key_commitment,
    vault_id,
)
from tests.support.people import Device, Person, Service, fresh
from tests.support.vaults import Epoch, Vault

replace = msgspec.structs.replace
SERVICE = Service()
ALICE, BOB, EVE = Person(SERVICE), Person(SERVICE), Person(SERVICE)


@pytest.fixture
def vault():
    """Alice's record with its genesis only."""
    return Vault(SERVICE, [ALICE])


@pytest.fixture
def shared():
    """A record of Alice and Bob, both of whom must sign."""
    return Vault(SERVICE, [ALICE, BOB], rule=2)


def version(**changes):
    """A new version of a new document."""
    step = AddVersion(
        doc=fresh(16),
        ver=fresh(16),
        ct_root=fresh(),
        length=5000,
        epoch=0,
        self_wrap=fresh(),
        descriptor=fresh(),
    )
    return replace(step, **changes)


def grant(**changes):
    """The first event of a new grant."""
    step = Grant(gid=fresh(), j=0, event=fresh(), recipient=fresh(), rekey=0, epoch=0)
    return replace(step, **changes)


def refused(vault, *operations, error=NotPermitted):
    """A link with these operations is refused."""
    with pytest.raises(error):
        follow(vault.view, vault.link(*operations), vault.known)


# Genesis


def test_an_honest_genesis_founds_a_record(vault):
    """The id is the hash of the genesis; holders, rule, log and keys are as it says."""
    changes = found(vault.signed_genesis, vault.known)
    head = changes.head
    assert head.vault == vault_id(encode(vault.genesis))
    assert (head.holders, head.rule, head.n) == ((ALICE.identity,), 1, 0)
    assert (head.origin, head.keys, head.link) == (
        vault.genesis.origin,
        vault.genesis.keyring,
        vault.signed_genesis.digest,
    )
    assert (changes.documents, changes.grants, changes.blocked) == ({}, {}, {})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"holders": (ALICE.identity, ALICE.identity)}, NotPermitted),
        ({"rule": 2}, NotPermitted),
        ({"holders": (BOB.identity,)}, BadSignature),
        ({"signers": (BOB.known().ref,)}, BadSignature),
    ],
    ids=[
        "one holder twice",
        "a rule nobody can meet",
        "signed by no holder",
        "another signer named",
    ],
)
def test_an_unsound_genesis_founds_nothing(vault, changes, error):
    """A genesis that contradicts itself or is signed by others is refused."""
    genesis = replace(vault.genesis, **changes)
    with pytest.raises(error):
        found(vault.sign(labels.GENESIS, genesis), vault.known)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"epoch": 1}, BrokenChain),
        ({"log_key": b"\xff" * 1216}, Malformed),
        ({"deposit_key": b"\xff" * 1216}, Malformed),
        ({"category_keys": (b"\xff" * 1216,)}, Malformed),
    ],
    ids=["epoch", "log key", "deposit key", "category key"],
)
def test_a_genesis_brings_sound_keys(vault, change, error):
    """The first epoch is 0 and its public keys are keys."""
    genesis = replace(vault.genesis, keyring=replace(vault.genesis.keyring, **change))
    with pytest.raises(error):
        found(vault.sign(labels.GENESIS, genesis), vault.known)
    if "epoch" not in change:
        rotation = replace(Epoch(1).step, **change)
        refused(vault, rotation, error=Malformed)


def test_a_genesis_is_signed_as_one(vault):
    """A genesis under another label, or by a stranger's device, founds nothing."""
    for envelope in (
        sign(labels.VAULT_LINK, vault.genesis, ALICE.device.signing),
        sign(labels.GENESIS, vault.genesis, EVE.device.signing),
    ):
        with pytest.raises(BadSignature):
            found(envelope, vault.known)


def test_as_many_holders_sign_as_the_rule_asks(shared):
    """With a rule of two, both sign; one alone, one named twice, or one and a stranger do not suffice."""
    assert found(shared.signed_genesis, shared.known).head.rule == 2
    alice, bob, eve = ALICE.known(), BOB.known(), EVE.known()
    for known, devices in (
        ([alice], [ALICE]),
        ([alice, alice], [ALICE]),
        ([alice, eve], [ALICE, EVE]),
        ([alice, bob], [ALICE]),
        ([alice, bob], [ALICE, EVE]),
    ):
        genesis = replace(shared.genesis, signers=tuple(entry.ref for entry in known))
        envelope = sign(labels.GENESIS, genesis, *(person.device.signing for person in devices))
        with pytest.raises(BadSignature):
            found(envelope, known)


# Links


@pytest.mark.parametrize(
    "changes",
    [{"vault": fresh()}, {"n": 2}, {"prev": fresh()}],
    ids=["vault", "number", "previous"],
)
def test_a_link_follows_the_newest(vault, changes):
    """Record, number and predecessor must be those of the next link."""
    operation = version()
    honest = follow(vault.view, vault.link(operation), vault.known)
    assert (honest.head.n, honest.head.link) == (1, vault.link(operation).digest)
    with pytest.raises(BrokenChain):
        follow(vault.view, vault.link(operation, **changes), vault.known)


def test_a_link_does_not_come_twice(vault):
    """What was followed does not follow again, and of two links after one only one does."""
    first, second = vault.link(version()), vault.link(version())
    vault.view = replace_head(vault, follow(vault.view, first, vault.known).head)
    for envelope in (first, second):
        with pytest.raises(BrokenChain):
            follow(vault.view, envelope, vault.known)


def replace_head(vault, head):
    """The view with a moved head."""
    return type(vault.view)(head=head, documents={}, grants={}, blocked={})


def test_a_link_is_signed_by_live_devices_of_holders(shared):
    """Strangers, missing holders, other references than those shown and other labels are refused."""
    body = shared.body(version())
    keys = [ALICE.device.signing, BOB.device.signing]
    assert follow(shared.view, sign(labels.VAULT_LINK, body, *keys), shared.known)
    for envelope in (
        sign(labels.VAULT_LINK, body, keys[0]),
        sign(labels.VAULT_LINK, body, keys[0], EVE.device.signing),
        sign(labels.VAULT_LINK, body, *keys, EVE.device.signing),
        sign(labels.VAULT_LINK, body, ALICE.kit.root, keys[1]),
        sign(labels.GENESIS, body, *keys),
    ):
        with pytest.raises(BadSignature):
            follow(shared.view, envelope, shared.known)
    with pytest.raises(BadSignature):
        follow(shared.view, sign(labels.VAULT_LINK, body, *keys), shared.known[::-1])
    older = replace(shared.known[0].ref, n=7)
    with pytest.raises(BadSignature):
        follow(
            shared.view,
            sign(labels.VAULT_LINK, replace(body, signers=(older, body.signers[1])), *keys),
            shared.known,
        )


def test_a_removed_device_no_longer_writes():
    """A device signs links at the heads at which it is live, and at no later one."""
    carol, second = Person(SERVICE), Device()
    carol.add(second.added, signers=[carol.device.signing, second.signing])
    vault = Vault(SERVICE, [carol])
    body = vault.body(version())
    envelope = sign(labels.VAULT_LINK, body, second.signing)
    assert follow(vault.view, envelope, vault.known)
    carol.add(RevokeDevice(device=second.id))
    with pytest.raises(BadSignature):
        follow(
            vault.view,
            sign(labels.VAULT_LINK, replace(body, signers=(carol.known().ref,)), second.signing),
            [carol.known()],
        )


def test_the_largest_head_of_the_directory_is_kept():
    """The larger of two heads stays, whichever is named first; two roots of one size are refused."""
    seven, nine = Head(size=7, root=fresh()), Head(size=9, root=fresh())
    assert latest_directory(None, seven) == seven
    assert latest_directory(seven, seven) == seven
    assert latest_directory(seven, nine) == latest_directory(nine, seven) == nine
    with pytest.raises(BrokenChain):
        latest_directory(seven, Head(size=7, root=fresh()))


def test_a_link_moves_the_head_of_the_directory():
    """A link's head of the directory is kept when it is larger than the last, and where none was kept before."""
    vault = Vault(SERVICE, [ALICE])
    kept = vault.view.head.dir
    Person(SERVICE)
    for known in (kept, None):
        view = VaultView(replace(vault.view.head, dir=known), {}, {}, {})
        changes = follow(view, vault.link(version()), vault.known)
        assert changes.head.dir == SERVICE.directory.head != kept


def test_a_state_from_before_that_was_kept_is_still_read():
    """A head without the directory's is stored as it was then: the field is left out, and reads as none."""
    head = Vault(SERVICE, [ALICE]).view.head
    older = replace(head, dir=None)
    assert b'"dir"' in encode(head)
    assert b'"dir"' not in encode(older)
    for each in (head, older):
        assert decode(encode(each), VaultHead) == each


def test_a_removed_device_cannot_name_a_head_of_before():
    """At an older head than one already named every device that signs is still live at the newer one."""
    carol, second, third = Person(SERVICE), Device(), Device()
    carol.add(second.added, signers=[carol.device.signing, second.signing])
    carol.add(third.added, signers=[carol.device.signing, third.signing])
    vault = Vault(SERVICE, [carol])
    before, body = vault.known, vault.body(version())
    carol.add(RevokeDevice(device=second.id))
    head = replace(vault.view.head, dir=SERVICE.directory.head)
    view = VaultView(head, {}, {}, {}, later=[carol.known()])
    honest = sign(labels.VAULT_LINK, body, third.signing)
    assert follow(view, honest, before).head.dir == head.dir
    check_not_removed(honest, view.later)
    for keys in ((second.signing,), (second.signing, third.signing)):
        envelope = sign(labels.VAULT_LINK, body, *keys)
        assert follow(vault.view, envelope, before)
        with pytest.raises(BadSignature, match="removed"):
            follow(view, envelope, before)


# Documents


def test_versions_are_added_in_order(vault):
    """A document's versions are kept oldest first, with all that the link says."""
    first = version()
    second = version(doc=first.doc)
    vault.add(first, second)
    document = vault.view.documents[first.doc]
    assert [entry.ver for entry in document.versions] == [first.ver, second.ver]
    assert (document.versions[0].ct_root, document.versions[0].self_wrap) == (first.ct_root, first.self_wrap)
    third = version(doc=first.doc)
    vault.add(third)
    assert len(vault.view.documents[first.doc].versions) == 3


def test_an_operation_goes_on_from_the_one_before_in_its_link(vault):
    """What a link did to a document counts for the rest of the link, not what was there before it."""
    first = version()
    vault.add(first)
    vault.add(version(doc=first.doc), version(doc=first.doc))
    assert len(vault.view.documents[first.doc].versions) == 3
    refused(vault, Tombstone(doc=first.doc), version(doc=first.doc))
    refused(vault, Tombstone(doc=first.doc), Tombstone(doc=first.doc))
    refused(vault, Tombstone(doc=first.doc), Mask(doc=first.doc, masked=True))


def test_a_version_comes_once(vault):
    """The same version id under one document is refused, in one link and in a later one."""
    step = version()
    refused(vault, step, step)
    vault.add(step)
    refused(vault, replace(step, ct_root=fresh()))
    vault.add(version(doc=step.doc))


def test_a_version_is_of_the_present_epoch(vault):
    """Another epoch than the present is refused: before a rotation the next, after it the old one."""
    refused(vault, version(epoch=1))
    vault.add(version(epoch=0))
    vault.rotate()
    refused(vault, version(epoch=0))
    vault.add(version(epoch=1))


def test_a_deposit_is_adopted_as_a_version(vault):
    """An adopted deposit is a version like another, under the same rules."""
    step = version()
    adopted = Adopt(
        doc=step.doc, ver=step.ver, ct_root=step.ct_root, length=1, epoch=0,
        self_wrap=fresh(), descriptor=fresh(), manifest=fresh(), index=4,
    )  # fmt: skip
    vault.add(adopted)
    assert vault.view.documents[step.doc].versions[0].ver == step.ver
    refused(vault, adopted)
    refused(vault, replace(adopted, ver=fresh(16), epoch=1))


def test_a_deleted_document_stays_deleted(vault):
    """After its tombstone a document takes no version, mask or second tombstone; before, it takes all."""
    step = version()
    vault.add(step)
    vault.add(Mask(doc=step.doc, masked=True), version(doc=step.doc), Tombstone(doc=step.doc))
    assert vault.view.documents[step.doc].deleted
    for after in (version(doc=step.doc), Mask(doc=step.doc, masked=False), Tombstone(doc=step.doc)):
        refused(vault, after)
    other = version()
    refused(vault, other, Tombstone(doc=other.doc), version(doc=other.doc))


def test_masks_go_on_and_off(vault):
    """A mask is set and taken off; an unknown document is neither masked nor deleted."""
    step = version()
    vault.add(step, Mask(doc=step.doc, masked=True))
    assert vault.view.documents[step.doc].masked
    vault.add(Mask(doc=step.doc, masked=False))
    assert not vault.view.documents[step.doc].masked
    refused(vault, Mask(doc=fresh(16), masked=True))
    refused(vault, Tombstone(doc=fresh(16)))


# Grants


def test_a_grant_grows_event_by_event(vault):
    """Events follow each other by one, rekeys by at most one, and the first epoch is remembered."""
    first = grant()
    vault.add(first)
    vault.add(replace(first, j=1, event=fresh()))
    vault.rotate()
    vault.add(replace(first, j=2, event=fresh(), rekey=1, epoch=1))
    entry = vault.view.grants[first.gid]
    assert (entry.j, entry.rekey, entry.epoch_first, entry.epoch, entry.ended) == (2, 1, 0, 1, False)


@pytest.mark.parametrize("change", [{"j": 1}, {"rekey": 1}, {"epoch": 1}], ids=["event", "rekey", "epoch"])
def test_a_grant_starts_at_its_beginning(vault, change):
    """A grant begins with event 0 and rekey 0, in the present epoch."""
    follow(vault.view, vault.link(grant()), vault.known)
    refused(vault, grant(**change))


@pytest.mark.parametrize(
    "change",
    [{"j": 0}, {"j": 2}, {"rekey": 2}, {"recipient": fresh()}, {"epoch": 1}],
    ids=["the same event", "an event left out", "a rekey left out", "another recipient", "an epoch to come"],
)
def test_a_grants_events_follow(vault, change):
    """The next event has the next number, the same recipient, the same or next rekey, and the present epoch."""
    first = grant()
    vault.add(first)
    after = replace(first, j=1, event=fresh())
    follow(vault.view, vault.link(after), vault.known)
    follow(vault.view, vault.link(replace(after, rekey=1)), vault.known)
    refused(vault, replace(after, **change))


def test_a_rekey_does_not_go_back(vault):
    """After rekey 1 an event of rekey 0 is refused."""
    first = grant()
    vault.add(first, replace(first, j=1, event=fresh(), rekey=1))
    refused(vault, replace(first, j=2, event=fresh(), rekey=0))
    vault.add(replace(first, j=2, event=fresh(), rekey=1))


def test_a_rotation_makes_a_rekey_due(vault):
    """After a new epoch an event needs a rekey from it: neither the old epoch nor the old rekey will do."""
    first = grant()
    vault.add(first)
    vault.rotate()
    after = replace(first, j=1, event=fresh())
    refused(vault, after)
    refused(vault, replace(after, rekey=1))
    refused(vault, replace(after, epoch=1))
    refused(vault, grant(epoch=0))
    vault.add(replace(after, rekey=1, epoch=1))
    vault.add(grant(epoch=1))


def test_a_rotation_counts_within_its_link(vault):
    """A grant after a rotation in one link is of the new epoch; before it, of the old one."""
    follow(vault.view, vault.link(grant(), Epoch(1).step, grant(epoch=1)), vault.known)
    refused(vault, Epoch(1).step, grant(epoch=0))
    refused(vault, grant(epoch=1), Epoch(1).step)


def test_an_ended_grant_stays_ended(vault):
    """A grant ends once and is never taken up again, in the same link or later; an unknown one does not end."""
    first = grant()
    refused(vault, End(gid=first.gid))
    refused(vault, first, End(gid=first.gid), End(gid=first.gid))
    refused(vault, first, End(gid=first.gid), replace(first, j=1))
    vault.add(first)
    refused(vault, End(gid=first.gid), End(gid=first.gid))
    vault.add(End(gid=first.gid))
    assert vault.view.grants[first.gid].ended
    refused(vault, End(gid=first.gid))
    refused(vault, replace(first, j=1, event=fresh()))
    refused(vault, first)
    short = grant()
    vault.add(short, End(gid=short.gid))
    assert vault.view.grants[short.gid].ended


def test_nothing_is_granted_to_who_is_blocked(vault):
    """A blocked identity gets neither a new grant nor a further event, until it is unblocked."""
    first = grant()
    vault.add(first)
    vault.add(Block(identity=first.recipient, blocked=True))
    after = replace(first, j=1, event=fresh())
    refused(vault, after)
    refused(vault, grant(recipient=first.recipient))
    vault.add(
        End(gid=first.gid), Block(identity=first.recipient, blocked=False), grant(recipient=first.recipient)
    )
    refused(vault, Block(identity=first.recipient, blocked=True), grant(recipient=first.recipient))
    assert vault.view.blocked == {first.recipient: False}


# Keys


def test_epochs_are_numbered_in_order(vault):
    """The next epoch follows the present one: not itself, not one left out."""
    refused(vault, Epoch(0).step)
    refused(vault, Epoch(2).step)
    step = Epoch(1).step
    vault.add(step)
    assert vault.view.head.keys == step
    refused(vault, Epoch(1).step)


def test_a_reseal_changes_the_keyring_only(vault):
    """A keyring sealed again keeps epoch and public keys."""
    before, ring = vault.view.head.keys, fresh()
    vault.add(Reseal(keyring=ring))
    assert vault.view.head.keys == replace(before, keyring=ring)


@pytest.mark.parametrize("first", ["rotate", "reseal"])
@pytest.mark.parametrize("second", ["rotate", "reseal"])
def test_a_link_changes_the_keyring_once(vault, first, second):
    """Two rotations, two reseals, or one of each in a link are refused; each alone passes."""
    steps = {"rotate": Epoch(1).step, "reseal": Reseal(keyring=fresh())}
    again = {"rotate": Epoch(2 if first == "rotate" else 1).step, "reseal": Reseal(keyring=fresh())}
    refused(vault, steps[first], again[second])
    refused(vault, steps[first], version(), again[second])
    vault.add(steps[first])
    vault.add(again[second])


@pytest.mark.parametrize("kind", [PolicyPart, ProfilePart, SnapshotPart])
def test_named_parts_change_nothing(vault, kind):
    """A policy, a profile and a snapshot are taken in, however often, and move the head only."""
    vault.add(version())
    before = vault.view
    changes = vault.add(kind(part=fresh()), kind(part=fresh()))
    assert (changes.documents, changes.grants, changes.blocked) == ({}, {}, {})
    head = replace(vault.view.head, n=before.head.n, link=before.head.link)
    assert (head, vault.view.head.n) == (before.head, before.head.n + 1)


def test_a_link_is_applied_whole_or_not_at_all(vault):
    """When a later operation is refused, the view that was passed in holds nothing of the earlier ones."""
    vault.add(version())
    before = (vault.view.head, dict(vault.view.documents), dict(vault.view.grants), dict(vault.view.blocked))
    refused(vault, version(), grant(), Block(identity=fresh(), blocked=True), End(gid=fresh()))
    view = vault.view
    assert (view.head, dict(view.documents), dict(view.grants), dict(view.blocked)) == before


def test_commitments_hide_and_bind():
    """The commitments to a person and to Kv change with what they hold; the person's with its salt too."""
    salt = fresh()
    assert person_commitment(salt, "a") == person_commitment(salt, "a")
    assert (
        len({person_commitment(salt, "a"), person_commitment(salt, "b"), person_commitment(fresh(), "a")})
        == 3
    )
    assert scan_key_commitment(salt) == scan_key_commitment(salt) != scan_key_commitment(fresh())


def test_a_named_person_opens_the_commitment():
    """Name and salt must be those committed to; nobody named is nothing to check."""
    person = vault_links.Person(salt=fresh(), name="Camille Exemple")
    commitment = person_commitment(person.salt, person.name)
    check_person(person, commitment)
    check_person(None, commitment)
    for other in (replace(person, name="Camille"), replace(person, salt=fresh())):
        with pytest.raises(NotPermitted):
            check_person(other, commitment)
    assert "Camille" not in repr(person)


def test_an_export_is_named_by_its_manifest():
    """The digest is of the manifest's bytes, under a label of its own."""
    digest = hashlib.sha256(b"DSSEv1 15 coffre-1/export 4 {..}").digest()
    assert export_digest(b"{..}") == digest != export_digest(b"{...}")


def test_a_link_names_what_its_operations_touch(vault):
    """Documents, grants and identities by which the server looks up the state; keys and parts name nothing."""
    steps = [version(), replace(version(), doc=fresh(16)), grant(), grant()]
    operations = (
        *steps,
        Tombstone(doc=(gone := fresh(16))),
        Mask(doc=(masked := fresh(16)), masked=True),
        End(gid=(ended := fresh())),
        Block(identity=(blocked := fresh()), blocked=True),
        Reseal(keyring=fresh()),
        PolicyPart(part=fresh()),
    )
    adopted = Adopt(**{**msgspec.structs.asdict(version()), "manifest": fresh(), "index": 0})
    assert named((*operations, adopted)) == Named(
        documents={steps[0].doc, steps[1].doc, gone, masked, adopted.doc},
        grants={steps[2].gid, steps[3].gid, ended},
        identities={steps[2].recipient, steps[3].recipient, blocked},
    )


def test_every_operation_has_a_test():
    """The operations named in this file are all there are, so that a new one cannot come without its rules."""
    named = {AddVersion, Adopt, Tombstone, Mask, Grant, End, Block, Rotate, Reseal}
    named |= {PolicyPart, ProfilePart, SnapshotPart}
    assert set(VaultOperation.__subclasses__()) == named
