"""Keyrings: sealed to every unlock key, opened by any of them, losing nothing."""

import msgspec
import pytest

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import CannotOpen, Malformed, NotPermitted
from crypto.merkle import EMPTY_ROOT
from crypto.sealed.keyring import (
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    SealedKeyring,
    VaultKeyring,
    check_nothing_dropped,
    open_keyring,
    seal_keyring,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from crypto.statements import Head
from tests.support.people import LOG, fresh

KEYS = [UnsealingKey.generate() for _ in range(3)]
VAULT, IDENTITY = labels.VAULT_KEYRING, labels.IDENTITY_KEYRING


def epoch(number: int) -> EpochKeys:
    """The secrets of one epoch."""
    return EpochKeys(
        epoch=number,
        secret=fresh(),
        scan_key=fresh(),
        log_key=fresh(),
        deposit_key=fresh(),
        category_keys=(fresh(),),
    )


def keyring(*epochs: EpochKeys) -> VaultKeyring:
    """A vault's keyring."""
    return VaultKeyring(vault=None, epochs=epochs, origin=LOG, head=Head(size=0, root=EMPTY_ROOT), link=None)


RING = keyring(epoch(0), epoch(1))
READING = IdentityKeyring(reading_keys=(ReadingSeed(number=0, seed=fresh()),))


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
    replace = msgspec.structs.replace
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


def test_a_rotation_drops_nothing():
    """A new keyring holds all earlier epochs, unchanged and first; any other is NotPermitted."""
    first, second, third = epoch(0), epoch(1), epoch(2)
    before = keyring(first, second)
    check_nothing_dropped(before, before)
    check_nothing_dropped(before, keyring(first, second, third))
    changed = msgspec.structs.replace(first, scan_key=fresh())
    for after in (
        keyring(first),
        keyring(second, third),
        keyring(second, first),
        keyring(changed, second, third),
    ):
        with pytest.raises(NotPermitted):
            check_nothing_dropped(before, after)


def test_keyrings_do_not_print():
    """No repr shows key material."""
    assert repr(RING) == "VaultKeyring(…)"
    assert repr(RING.epochs[0]) == "EpochKeys(…)"
    assert repr(READING) == "IdentityKeyring(…)"
