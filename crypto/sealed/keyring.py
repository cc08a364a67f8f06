"""Keyrings: the private halves that a person's devices and kit must be able to get back.

A vault's keyring holds, for every epoch, the epoch secret, Kv, and the private log, deposit and category keys, and the
log head and chain head from before the link that names it. An identity's keyring holds the private reading keys in
use. A sealed keyring is one HPKE box for each unlock key; its part hash stands in the link that made it.
"""

from collections.abc import Iterable
from typing import Annotated, TypeVar

import msgspec

from crypto import labels, sealing
from crypto.encoding import Body, Bytes32, Natural, Sealed, SecretBody, ShortText, Suite, decode, encode, pae
from crypto.errors import CannotOpen, NotPermitted
from crypto.sealed.unsealing import UnsealingKey
from crypto.statements import Head

T = TypeVar("T", bound=msgspec.Struct)


class EpochKeys(SecretBody, frozen=True):
    """The secrets of one epoch of a vault. Private keys are 32-byte seeds."""

    epoch: Natural
    secret: Bytes32
    scan_key: Bytes32
    log_key: Bytes32
    deposit_key: Bytes32
    category_keys: tuple[Bytes32, ...]


class VaultKeyring(SecretBody, frozen=True):
    """What a vault's devices share. ``head`` and ``link`` are from before the link that names this keyring."""

    vault: Bytes32 | None
    epochs: Annotated[tuple[EpochKeys, ...], msgspec.Meta(min_length=1, max_length=4096)]
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


class Box(Body, frozen=True):
    """A keyring sealed to one unlock key."""

    key: Bytes32
    box: Sealed


class SealedKeyring(Body, frozen=True):
    """A keyring as it is stored: one box for each unlock key, in order of key hash."""

    suite: Suite
    boxes: Annotated[tuple[Box, ...], msgspec.Meta(min_length=1, max_length=256)]


def seal_keyring(label: str, keyring: VaultKeyring | IdentityKeyring, unlock_keys: Iterable[bytes]) -> bytes:
    """The encoded sealed keyring: an erasable part, whose hash the link names."""
    record = encode(keyring)
    boxes = [
        Box(key=sealing.key_hash(key), box=sealing.seal(key, pae(label, sealing.key_hash(key)), record))
        for key in unlock_keys
    ]
    boxes.sort(key=lambda box: box.key)
    return encode(SealedKeyring(suite=labels.SUITE, boxes=tuple(boxes)))


def open_keyring(label: str, kind: type[T], data: bytes, unlock: UnsealingKey) -> T:
    """Open the box for ``unlock``. Raises CannotOpen when there is none or it does not open."""
    name = sealing.key_hash(unlock.public)
    sealed = decode(data, SealedKeyring, limit=1 << 24)
    for box in sealed.boxes:
        if box.key == name:
            return decode(unlock.open(pae(label, name), box.box), kind)
    raise CannotOpen("A keyring")


def check_nothing_dropped(before: VaultKeyring, after: VaultKeyring) -> None:
    """Raises NotPermitted unless ``after`` holds every epoch of ``before`` unchanged."""
    if after.epochs[: len(before.epochs)] != before.epochs:
        raise NotPermitted("A new keyring lacks keys of the old one. The old one was kept.")
