"""Standing access: opening deposits that arrive while the patient is away.

    A, seed_T = fresh random secrets of one deposit
    B_T  = HMAC(seed_T, PAE("share-b-standing", doc, ver, ct_root))
    PRK  = HKDF-Extract(H(PAE("kek-standing", suite, vault, card, category)), A)
    KEK, wrap: as for a grant's rows (``crypto.sealed.wrapping``)

A is sealed to a category key, whose private half standing readers were given in a grant event; each keeper's seeds are
sealed to that keeper. So a reader needs the category key, a grant in force that names it, and the log, as ever.
"""

from typing import Annotated

import msgspec

from crypto import labels, sealing
from crypto.deposits import DepositCard, Deposited, card_info
from crypto.derivation import Mac
from crypto.descriptors import Label
from crypto.encoding import (
    Body,
    Bytes16,
    Bytes32,
    Natural,
    Sealed,
    SecretBody,
    ShortText,
    decode,
    encode,
    number,
    pae,
    version_parts,
)
from crypto.errors import CannotOpen
from crypto.grants import GrantEvent
from crypto.padding import pad_record, unpad_record
from crypto.sealed.policy_blob import Seed
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import SharedWrapper
from crypto.secret_bytes import SecretBytes


class CardSecrets(SecretBody, frozen=True):
    """What a card seals to its depositor: Kc, and what each category key is for, in the order of the card."""

    locator_key: Bytes32
    categories: Annotated[tuple[Label, ...], msgspec.Meta(max_length=32)]


class CategoryKey(SecretBody, frozen=True):
    """The private half of one category key of an epoch."""

    epoch: Natural
    place: Natural
    category: Label
    seed: Bytes32


class StandingKeys(SecretBody, frozen=True):
    """What a grant event seals to a standing reader."""

    keys: Annotated[tuple[CategoryKey, ...], msgspec.Meta(min_length=1, max_length=32)]


class StandingPolicy(SecretBody, frozen=True):
    """What one keeper enforces for one deposit: only a grant whose policy names ``category`` opens it."""

    origin: ShortText
    category: Bytes32
    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1, max_length=64)]


class SealedStanding(Body, frozen=True):
    """One keeper's ``StandingPolicy`` as the server keeps it."""

    keeper: Bytes32
    trust_root: Bytes32
    box: Sealed


def seal_card_secrets(
    reading_key: bytes, secrets: CardSecrets, origin: str, vault: bytes, card: bytes, depositor: bytes, r: int
) -> bytes:
    """The ``box`` of a card: ``secrets``, padded, sealed to reading key number ``r`` of ``depositor``."""
    info = card_info(origin, vault, card, depositor, r)
    return sealing.seal(reading_key, info, pad_record(encode(secrets)))


def open_card_secrets(key: UnsealingKey, card: DepositCard) -> CardSecrets:
    """Kc and the categories of a card. Raises CannotOpen unless there is one for each category key."""
    info = card_info(card.origin, card.vault, card.card, card.depositor.identity, card.reading_key)
    secrets = decode(unpad_record(key.open(info, card.box)), CardSecrets)
    if len(secrets.categories) != len(card.category_keys):
        raise CannotOpen("A deposit card")
    return secrets


def seal_standing_keys(reading_key: bytes, event: GrantEvent, keys: StandingKeys) -> bytes:
    """The ``standing`` of ``event`` (its own is not read): category keys sealed to the recipient's reading key."""
    return sealing.seal(reading_key, _keys_info(event), pad_record(encode(keys)))


def open_standing_keys(key: UnsealingKey, event: GrantEvent, box: bytes) -> StandingKeys:
    """The category keys of a standing reader. Raises CannotOpen."""
    return decode(unpad_record(key.open(_keys_info(event), box)), StandingKeys)


def seal_standing_policy(policy: StandingPolicy, keeper_key: bytes, trust_root: bytes) -> SealedStanding:
    """Seal ``policy`` to a keeper's sealing key, under the trust root with digest ``trust_root``."""
    keeper = sealing.key_hash(keeper_key)
    info = _policy_info(policy.origin, policy.doc, policy.ver, policy.ct_root, keeper, trust_root)
    return SealedStanding(
        keeper=keeper,
        trust_root=trust_root,
        box=sealing.seal(keeper_key, info, pad_record(encode(policy))),
    )


def open_standing_policy(
    key: UnsealingKey, sealed: SealedStanding, origin: str, doc: bytes, ver: bytes, ct_root: bytes
) -> StandingPolicy:
    """Open a keeper's policy for a deposit. Raises CannotOpen when it is for another document or log."""
    info = _policy_info(origin, doc, ver, ct_root, sealing.key_hash(key.public), sealed.trust_root)
    policy = decode(unpad_record(key.open(info, sealed.box)), StandingPolicy)
    if (policy.origin, policy.doc, policy.ver, policy.ct_root) != (origin, doc, ver, ct_root):
        raise CannotOpen("A keeper's policy")
    return policy


def standing_share(seed: SecretBytes, doc: bytes, ver: bytes, ct_root: bytes) -> bytes:
    """B_T of one deposit."""
    return Mac(seed.reveal(), pae(labels.SHARE_B_STANDING)).of(version_parts(doc, ver, ct_root))


class StandingWrapper(SharedWrapper):
    """Wraps and unwraps the document key of one deposit for the readers of a category (by its key's hash)."""

    __slots__ = ()

    def __init__(self, share_a: SecretBytes, place: Deposited, category: bytes) -> None:
        context = pae(labels.KEK_STANDING, labels.SUITE.encode(), place.vault, place.card, category)
        super().__init__(share_a, context)


def seal_share_a(category_key: bytes, place: Deposited, share_a: SecretBytes) -> bytes:
    """The ``a_box`` of a deposit: A sealed to a category key."""
    return sealing.seal(category_key, place.info(labels.STANDING_A), share_a.reveal())


def open_share_a(key: UnsealingKey, place: Deposited, a_box: bytes) -> SecretBytes:
    """A of a deposit, by the private half of its category. Raises CannotOpen."""
    return _secret(key.open(place.info(labels.STANDING_A), a_box))


def open_document_key(key: UnsealingKey, place: Deposited, key_box: bytes) -> SecretBytes:
    """The document key of a deposit, by the private half of the deposit key. Raises CannotOpen."""
    return _secret(key.open(place.info(labels.DEPOSIT_KEY), key_box))


def _secret(opened: bytes) -> SecretBytes:
    if len(opened) != 32:
        raise CannotOpen("A deposit's key")
    return SecretBytes(opened)


def _keys_info(event: GrantEvent) -> bytes:
    return pae(
        labels.STANDING_KEYS,
        event.origin.encode(),
        event.vault,
        event.gid,
        number(event.j),
        event.recipient.identity,
        number(event.reading_key),
    )


def _policy_info(
    origin: str, doc: bytes, ver: bytes, ct_root: bytes, keeper: bytes, trust_root: bytes
) -> bytes:
    return pae(labels.STANDING_POLICY, origin.encode(), doc, ver, ct_root, keeper, trust_root)
