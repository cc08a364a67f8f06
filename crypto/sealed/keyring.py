"""Keyrings: the private halves that a person's devices and kit must be able to get back.

A vault's keyring holds, for every epoch, the epoch secret, Kv, and the private log, deposit and category keys, what
opens the commitment to the person, and the log head and chain head from before the link that names it. An identity's
keyring holds the private reading keys in use. A sealed keyring is one HPKE box for each unlock key; its part hash
stands in the link that made it.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec

from crypto import labels, sealing
from crypto.descriptors import Label
from crypto.encoding import Body, Bytes32, Natural, Sealed, SecretBody, ShortText, Suite, decode, encode, pae
from crypto.errors import CannotOpen, NotPermitted
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from crypto.vault_links import Genesis, Person, Rotate, check_person, scan_key_commitment

MAX_SEALED = 1 << 24


class CategorySeed(SecretBody, frozen=True):
    """The private half of a category's key. The link shows only public keys, in the same order."""

    category: Label
    seed: Bytes32


class EpochKeys(SecretBody, frozen=True):
    """The secrets of one epoch of a vault. Private keys are 32-byte seeds."""

    epoch: Natural
    secret: Bytes32
    scan_key: Bytes32
    log_key: Bytes32
    deposit_key: Bytes32
    category_keys: Annotated[tuple[CategorySeed, ...], msgspec.Meta(max_length=32)]


class VaultKeyring(SecretBody, frozen=True):
    """What a vault's devices share. ``head`` and ``link`` are from before the link that names this keyring."""

    vault: Bytes32 | None
    epochs: Annotated[tuple[EpochKeys, ...], msgspec.Meta(min_length=1, max_length=4096)]
    person: Person | None
    origin: ShortText
    head: Head
    link: Bytes32 | None


class ReadingSeed(SecretBody, frozen=True):
    """The private half of reading key ``number``."""

    number: Natural
    seed: Bytes32


class IdentityKeyring(SecretBody, frozen=True):
    """The private halves of all reading keys in use."""

    reading_keys: Annotated[tuple[ReadingSeed, ...], msgspec.Meta(min_length=1, max_length=4096)]


Keyring = TypeVar("Keyring", VaultKeyring, IdentityKeyring)


class Box(Body, frozen=True):
    """A keyring sealed to one unlock key."""

    key: Bytes32
    box: Sealed


class SealedKeyring(Body, frozen=True):
    """A keyring as it is stored: one box for each unlock key, in order of key hash."""

    suite: Suite
    boxes: Annotated[tuple[Box, ...], msgspec.Meta(min_length=1, max_length=4096)]


def seal_keyring(label: str, keyring: VaultKeyring | IdentityKeyring, unlock_keys: Iterable[bytes]) -> bytes:
    """The encoded sealed keyring: an erasable part, whose hash the link names."""
    record, named = encode(keyring), {sealing.key_hash(key): key for key in unlock_keys}
    boxes = (
        Box(key=name, box=sealing.seal(key, pae(label, name), record)) for name, key in sorted(named.items())
    )
    return encode(SealedKeyring(suite=labels.SUITE, boxes=tuple(boxes)))


def open_keyring(label: str, kind: type[Keyring], data: bytes, unlock: UnsealingKey) -> Keyring:
    """Open the box for ``unlock``.

    Raises CannotOpen when there is none, when it does not open, and when boxes or keys are not in order: alike.
    """
    name = sealing.key_hash(unlock.public)
    sealed = decode(data, SealedKeyring, limit=MAX_SEALED)
    boxes = {box.key: box.box for box in sealed.boxes}
    if list(boxes) != sorted(boxes) or len(boxes) != len(sealed.boxes) or name not in boxes:
        raise CannotOpen("A keyring")
    keyring = decode(unlock.open(pae(label, name), boxes[name]), kind)
    if not _in_order(keyring):
        raise CannotOpen("A keyring")
    return keyring


def check_first_keyring(keyring: VaultKeyring, genesis: Genesis) -> None:
    """Check the keyring that ``genesis`` names.

    Raises NotPermitted unless it has just epoch 0, with the private halves of the genesis' public keys, is for its log,
    and says of the person what the genesis commits to.
    """
    if (keyring.vault, keyring.link, keyring.origin, len(keyring.epochs)) != (None, None, genesis.origin, 1):
        raise NotPermitted("The first keyring of a record is out of place. It was not believed.")
    check_person(keyring.person, genesis.person)
    check_epoch(keyring.epochs[0], genesis.keyring)


def check_vault_keyring(
    before: VaultKeyring, after: VaultKeyring, keys: Rotate, *, vault: bytes, link: bytes
) -> None:
    """Check the keyring that replaces ``before``: named by a link after ``link``, which left ``keys`` in force.

    Raises NotPermitted unless it holds every epoch of the old one unchanged and first, is of the same vault, log and
    person, ends with the epoch in force, and has the private halves of its public keys.
    """
    if after.epochs[: len(before.epochs)] != before.epochs:
        raise NotPermitted("A new keyring lacks keys of the old one. The old one was kept.")
    if (after.vault, after.origin, after.person, after.link) != (vault, before.origin, before.person, link):
        raise NotPermitted("A new keyring is of another record, or out of place. The old one was kept.")
    check_epoch(after.epochs[-1], keys)


def check_epoch(private: EpochKeys, public: Rotate) -> None:
    """Raises NotPermitted unless ``private`` are the private halves of the epoch that a link made ``public``."""
    seeds = (private.log_key, private.deposit_key, *(entry.seed for entry in private.category_keys))
    named = (public.epoch, public.scan_key, public.log_key, public.deposit_key, *public.category_keys)
    if (private.epoch, scan_key_commitment(private.scan_key), *map(_public, seeds)) != named:
        raise _other_halves()


def check_identity_keyring(
    before: IdentityKeyring, after: IdentityKeyring, reading_keys: Mapping[int, bytes]
) -> None:
    """Check the keyring that replaces ``before``: ``reading_keys`` are the public ones, by number.

    Raises NotPermitted unless it holds every key of the old one unchanged and first, and the private halves of the
    reading keys it numbers, the newest among them.
    """
    if after.reading_keys[: len(before.reading_keys)] != before.reading_keys:
        raise NotPermitted("A new keyring lacks keys of the old one. The old one was kept.")
    if after.reading_keys[-1].number != max(reading_keys) or any(
        _public(entry.seed) != reading_keys.get(entry.number) for entry in after.reading_keys
    ):
        raise _other_halves()


def _in_order(keyring: VaultKeyring | IdentityKeyring) -> bool:
    if isinstance(keyring, IdentityKeyring):
        numbers = [entry.number for entry in keyring.reading_keys]
        return numbers == sorted(set(numbers))
    categories = [[entry.category for entry in keys.category_keys] for keys in keyring.epochs]
    return [keys.epoch for keys in keyring.epochs] == list(range(len(keyring.epochs))) and all(
        len(set(names)) == len(names) for names in categories
    )


def _public(seed: bytes) -> bytes:
    return UnsealingKey(SecretBytes(seed)).public


def _other_halves() -> NotPermitted:
    return NotPermitted("A keyring has other keys than its link names. It was not believed.")
