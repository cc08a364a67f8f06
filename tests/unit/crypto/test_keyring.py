"""Keyrings: sealed to every unlock key, opened by any of them, losing nothing."""

import msgspec
import pytest

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import CannotOpen, Malformed, NotPermitted
from crypto.merkle import EMPTY_ROOT
from crypto.sealed.keyring import (
    Box,
    CategorySeed,
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    SealedKeyring,
    VaultKeyring,
    check_first_keyring,
    check_identity_keyring,
    check_vault_keyring,
    open_keyring,
    seal_keyring,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from crypto.vault_links import Person, Rotate, person_commitment, scan_key_commitment
from tests.support import people
from tests.support.people import LOG, Service, fresh
from tests.support.vaults import Vault

KEYS = [UnsealingKey.generate() for _ in range(3)]
PERSON = Person(salt=fresh(), name="Camille Exemple")
VAULT, IDENTITY = labels.VAULT_KEYRING, labels.IDENTITY_KEYRING


def epoch(number: int) -> EpochKeys:
    """The secrets of one epoch."""
    return EpochKeys(
        epoch=number,
        secret=fresh(),
        scan_key=fresh(),
        log_key=fresh(),
        deposit_key=fresh(),
        category_keys=(CategorySeed(category="lab", seed=fresh()),),
    )


def keyring(*epochs: EpochKeys) -> VaultKeyring:
    """A vault's keyring."""
    return VaultKeyring(
        vault=None,
        epochs=epochs,
        person=PERSON,
        origin=LOG,
        head=Head(size=0, root=EMPTY_ROOT),
        link=None,
    )


RING = keyring(epoch(0), epoch(1))
READING = IdentityKeyring(reading_keys=(ReadingSeed(number=0, seed=fresh()),))
replace = msgspec.structs.replace


def public(seed: bytes) -> bytes:
    """The public half of a seed."""
    return UnsealingKey(SecretBytes(seed)).public


def rotation(keys: EpochKeys) -> Rotate:
    """The operation that starts the epoch of ``keys``."""
    return Rotate(
        epoch=keys.epoch,
        keyring=fresh(),
        scan_key=scan_key_commitment(keys.scan_key),
        log_key=public(keys.log_key),
        deposit_key=public(keys.deposit_key),
        category_keys=tuple(public(entry.seed) for entry in keys.category_keys),
    )


def test_every_unlock_key_opens_it():
    """A keyring sealed to three keys opens with each; its boxes stand in order of key hash."""
    for label, kind, ring in ((VAULT, VaultKeyring, RING), (IDENTITY, IdentityKeyring, READING)):
        sealed = seal_keyring(label, ring, [key.public for key in KEYS])
        assert all(open_keyring(label, kind, sealed, key) == ring for key in KEYS)
        names = [box.key for box in decode(sealed, SealedKeyring).boxes]
        assert names == sorted(key_hash(key.public) for key in KEYS)


def test_nobody_else_opens_it():
    """Another key, and a removed box, CannotOpen alike."""
    sealed = seal_keyring(VAULT, RING, [key.public for key in KEYS[:2]])
    messages = set()
    for key, data in ((UnsealingKey.generate(), sealed), (KEYS[2], sealed)):
        with pytest.raises(CannotOpen) as refusal:
            open_keyring(VAULT, VaultKeyring, data, key)
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_a_box_does_not_move():
    """A box under another label or another key's name, or spoiled, cannot be opened."""
    data = seal_keyring(VAULT, RING, [KEYS[0].public, KEYS[1].public])
    ring = decode(data, SealedKeyring)
    first, second = ring.boxes
    swapped = replace(ring, boxes=(replace(first, box=second.box), replace(second, box=first.box)))
    spoiled = replace(ring, boxes=tuple(replace(box, box=box.box[:-1] + b"\0\0") for box in ring.boxes))
    for changed in (swapped, spoiled):
        with pytest.raises(CannotOpen):
            open_keyring(VAULT, VaultKeyring, encode(changed), KEYS[0])
    with pytest.raises(CannotOpen):
        open_keyring(IDENTITY, IdentityKeyring, data, KEYS[0])
    assert open_keyring(VAULT, VaultKeyring, data, KEYS[0]) == RING


def test_other_content_is_refused():
    """What is no sealed keyring, and a box that holds another kind of keyring, are Malformed."""
    with pytest.raises(Malformed):
        open_keyring(VAULT, VaultKeyring, b"{}", KEYS[0])
    with pytest.raises(Malformed):
        open_keyring(VAULT, VaultKeyring, seal_keyring(VAULT, READING, [KEYS[0].public]), KEYS[0])


def test_boxes_stand_in_order():
    """Boxes in another order, and two for one key, cannot be opened; one key named twice gets one box."""
    sealed = decode(seal_keyring(VAULT, RING, [key.public for key in KEYS]), SealedKeyring)
    for boxes in (sealed.boxes[::-1], (sealed.boxes[0], *sealed.boxes), (*sealed.boxes, sealed.boxes[-1])):
        with pytest.raises(CannotOpen):
            open_keyring(VAULT, VaultKeyring, encode(replace(sealed, boxes=boxes)), KEYS[0])
    twice = seal_keyring(VAULT, RING, [KEYS[0].public, KEYS[0].public])
    assert len(decode(twice, SealedKeyring).boxes) == 1
    assert open_keyring(VAULT, VaultKeyring, twice, KEYS[0]) == RING


def test_a_keyring_has_a_box_for_each_of_many():
    """4,096 boxes are read, one more is not."""
    mine = decode(seal_keyring(VAULT, RING, [KEYS[0].public]), SealedKeyring).boxes[0]
    others = [Box(key=number.to_bytes(32, "big"), box=bytes(1136)) for number in range(4096)]
    assert mine.key > others[-1].key
    full = SealedKeyring(suite=labels.SUITE, boxes=(*others[:-1], mine))
    assert open_keyring(VAULT, VaultKeyring, encode(full), KEYS[0]) == RING
    with pytest.raises(Malformed):
        open_keyring(VAULT, VaultKeyring, encode(replace(full, boxes=(*others, mine))), KEYS[0])


@pytest.mark.parametrize(
    ("label", "ring"),
    [
        (VAULT, keyring(epoch(1))),
        (VAULT, keyring(epoch(0), epoch(2))),
        (VAULT, keyring(epoch(1), epoch(0))),
        (VAULT, keyring(epoch(0), epoch(0))),
        (VAULT, keyring(replace(epoch(0), category_keys=(CategorySeed(category="lab", seed=fresh()),) * 2))),
        (
            VAULT,
            keyring(
                epoch(0), replace(epoch(1), category_keys=(CategorySeed(category="lab", seed=fresh()),) * 2)
            ),
        ),
        (IDENTITY, IdentityKeyring(reading_keys=READING.reading_keys * 2)),
        (
            IDENTITY,
            IdentityKeyring(reading_keys=(ReadingSeed(number=1, seed=fresh()), *READING.reading_keys)),
        ),
    ],
    ids=[
        "no epoch 0",
        "a gap",
        "backwards",
        "twice",
        "a category twice",
        "a category twice in a later epoch",
        "a number twice",
        "numbers backwards",
    ],
)
def test_keys_stand_in_order(label, ring):
    """Epochs without 0, with gaps, out of order or twice, and reading keys out of order, cannot be opened."""
    data = seal_keyring(label, ring, [KEYS[0].public])
    with pytest.raises(CannotOpen):
        open_keyring(label, type(ring), data, KEYS[0])


def test_reading_keys_may_have_gaps():
    """Numbers need only rise."""
    ring = IdentityKeyring(reading_keys=(*READING.reading_keys, ReadingSeed(number=7, seed=fresh())))
    assert (
        open_keyring(IDENTITY, IdentityKeyring, seal_keyring(IDENTITY, ring, [KEYS[0].public]), KEYS[0])
        == ring
    )


VAULT_ID, LINK = fresh(), fresh()
FIRST, SECOND, THIRD = epoch(0), epoch(1), epoch(2)
AFTER = replace(keyring(FIRST, SECOND, THIRD), vault=VAULT_ID, link=LINK)


def test_a_rotation_drops_nothing():
    """The keyring of a next epoch, and one sealed again, are taken over as they are."""
    check_vault_keyring(keyring(FIRST, SECOND), AFTER, rotation(THIRD), vault=VAULT_ID, link=LINK)
    check_vault_keyring(AFTER, AFTER, rotation(THIRD), vault=VAULT_ID, link=LINK)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": (FIRST, THIRD)},
        {"epochs": (SECOND, FIRST, THIRD)},
        {"epochs": (replace(FIRST, scan_key=fresh()), SECOND, THIRD)},
        {"epochs": (FIRST, SECOND)},
        {"epochs": (FIRST, SECOND, replace(THIRD, scan_key=fresh()))},
        {"epochs": (FIRST, SECOND, replace(THIRD, log_key=fresh()))},
        {"epochs": (FIRST, SECOND, replace(THIRD, deposit_key=fresh()))},
        {"epochs": (FIRST, SECOND, replace(THIRD, category_keys=()))},
        {"vault": None},
        {"vault": fresh()},
        {"origin": "other"},
        {"person": None},
        {"link": fresh()},
    ],
    ids=[
        *("an epoch dropped", "epochs swapped", "an epoch changed", "the newest dropped"),
        *("other scan key", "other log key", "other deposit key", "no category keys"),
        *("no vault", "other vault", "other log", "no person", "other link"),
    ],
)
def test_another_vault_keyring_is_not_taken_over(changes):
    """What lacks an epoch, is of another vault, log or person, or does not fit the link's keys is NotPermitted."""
    with pytest.raises(NotPermitted):
        check_vault_keyring(
            keyring(FIRST, SECOND), replace(AFTER, **changes), rotation(THIRD), vault=VAULT_ID, link=LINK
        )


def test_reading_keys_are_not_dropped():
    """An identity's new keyring holds the old keys first, and the private halves of the chain's, the newest too."""
    zero, one, two = (ReadingSeed(number=number, seed=fresh()) for number in range(3))
    public_keys = {each.number: public(each.seed) for each in (zero, one, two)}
    before = IdentityKeyring(reading_keys=(zero, one))
    check_identity_keyring(before, IdentityKeyring(reading_keys=(zero, one, two)), public_keys)
    for seeds in (
        (zero, one),
        (zero, two),
        (two,),
        (replace(zero, seed=fresh()), one, two),
        (zero, one, replace(two, seed=fresh())),
        (zero, one, two, ReadingSeed(number=3, seed=fresh())),
    ):
        with pytest.raises(NotPermitted):
            check_identity_keyring(before, IdentityKeyring(reading_keys=seeds), public_keys)


def test_keyrings_do_not_print():
    """No repr shows key material."""
    assert repr(RING) == "VaultKeyring(…)"
    assert repr(RING.epochs[0]) == "EpochKeys(…)"
    assert repr(READING) == "IdentityKeyring(…)"


def first_keyring(vault: Vault, person: Person | None = None) -> VaultKeyring:
    """The keyring of a record that has just been founded."""
    made = vault.epoch
    private = EpochKeys(
        epoch=0,
        secret=made.secret.reveal(),
        scan_key=made.scan_key.reveal(),
        log_key=made.log_key.seed.reveal(),
        deposit_key=made.deposit_key.seed.reveal(),
        category_keys=(),
    )
    return msgspec.structs.replace(keyring(private), person=person)


def test_the_first_keyring_is_that_of_the_genesis():
    """Just epoch 0 with the private halves that the genesis names, for its log, of nobody it does not commit to."""
    service = Service()
    vault = Vault(service, [people.Person(service)])
    honest = first_keyring(vault)
    check_first_keyring(honest, vault.genesis)
    committed = msgspec.structs.replace(vault.genesis, person=person_commitment(PERSON.salt, PERSON.name))
    check_first_keyring(first_keyring(vault, PERSON), committed)
    for change in (
        {"vault": vault.id},
        {"link": fresh()},
        {"origin": LOG + "1"},
        {"epochs": (*honest.epochs, epoch(1))},
        {"epochs": (epoch(0),)},
        {"epochs": (msgspec.structs.replace(honest.epochs[0], epoch=1),)},
        {"person": PERSON},
    ):
        with pytest.raises(NotPermitted):
            check_first_keyring(msgspec.structs.replace(honest, **change), vault.genesis)
