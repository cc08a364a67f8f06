"""Deposits: documents sealed to a record by somebody who cannot read it.

A holder signs a *deposit card* for one depositor. A *deposit* is content, a descriptor and this signed manifest: the
document key is sealed to the deposit key of the card's epoch, and its leaf carries a locator under the card's key, so
that a deposit the server hides is found all the same. ``standing`` lets readers that the patient chose beforehand open
it while the patient is away: through keepers and log, as ever. The patient adopts a deposit by a link of the record.

The format page is docs/format/deposit.md. The halves that open are ``crypto.sealed.standing`` and ``UnsealingKey``.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from crypto import labels, sealing
from crypto.durations import DAY
from crypto.encoding import (
    Body,
    Bytes16,
    Bytes32,
    Bytes48,
    Natural,
    Positive,
    Sealed,
    SealingKey,
    ShortText,
    Suite,
    decode,
    number,
    pae,
)
from crypto.errors import BrokenChain, NotPermitted, Stale
from crypto.grants import ReleasePolicy, check_founding, check_keepers, check_policy
from crypto.identity_chain import Known
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, verify
from crypto.statements import IdentityRef, View
from crypto.trust_root import TrustRoot
from crypto.vault_chain import check_signers
from crypto.vault_links import Signers

LONGEST_CARD = 90 * DAY


class DepositCard(Body, frozen=True):
    """What a depositor needs to seal to a record, from ``since`` until ``until`` (seconds since 1970).

    ``category_keys``: of ``epoch``, in its order; what each is for stands in ``box``, with the card's locator key,
    sealed to reading key ``reading_key`` of the depositor.
    """

    suite: Suite
    vault: Bytes32
    genesis: bytes
    origin: ShortText
    card: Bytes32
    depositor: IdentityRef
    reading_key: Natural
    epoch: Natural
    deposit_key: SealingKey
    category_keys: Annotated[tuple[SealingKey, ...], msgspec.Meta(max_length=32)]
    k: Positive
    n: Positive
    keepers: tuple[Bytes32, ...]
    box: Sealed
    since: Natural
    until: Natural
    signers: Signers
    view: View


class Deposited(NamedTuple):
    """Where a deposit belongs: log, record, the digest of the card used, and the document version."""

    origin: str
    vault: bytes
    card: bytes
    doc: bytes
    ver: bytes
    ct_root: bytes

    def info(self, label: str) -> bytes:
        """The binding of what is sealed for this deposit, for the use that ``label`` names."""
        return pae(label, self.origin.encode(), *self[1:])


class Standing(Body, frozen=True):
    """How standing readers open a deposit: A sealed to a category key (named by its hash), B split among keepers."""

    category: Bytes32
    a_box: Sealed
    policy: ReleasePolicy
    wrap: Bytes48


class Deposit(Body, frozen=True):
    """The manifest of one deposit, signed by a device of the depositor. ``card``: the digest of the card used."""

    suite: Suite
    vault: Bytes32
    origin: ShortText
    card: Bytes32
    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    length: Natural
    descriptor: Bytes32
    key_box: Sealed
    standing: Standing | None
    slot_two: Bytes32
    time: Natural
    signers: Annotated[tuple[IdentityRef, ...], msgspec.Meta(min_length=1, max_length=1)]
    view: View

    @property
    def place(self) -> Deposited:
        """Where it belongs."""
        return Deposited(self.origin, self.vault, self.card, self.doc, self.ver, self.ct_root)


def accept_card(
    envelope: Envelope, signers: Sequence[Known], depositor: Known, root: TrustRoot, now: int
) -> DepositCard:
    """Believe a card shown to ``depositor`` at ``now``, or raise.

    Checks the founding it shows, that enough holders signed by devices live at its ``dir``, that it is for
    ``depositor`` and the newest reading key there, that its keys are sound and its keepers allowed, and its time.
    """
    card = decode(envelope.body, DepositCard)
    holders, rule = check_founding(card.genesis, card.vault, card.origin, root)
    check_signers(envelope, labels.DEPOSIT_CARD, card.signers, signers, holders, rule)
    if (card.depositor, card.reading_key) != (depositor.ref, depositor.state.reading_key):
        raise NotPermitted("A deposit card is for somebody else, or for an old reading key. It was not used.")
    for key in (card.deposit_key, *card.category_keys):
        sealing.check_public_key(key)
    check_keepers(card.k, card.n, card.keepers, root)
    if not 0 < card.until - card.since <= LONGEST_CARD:
        raise NotPermitted("A deposit card is for too long a time. It was not used.")
    if not card.since <= now < card.until:
        raise Stale("A deposit card is not of this time. Nothing was sent. Ask the patient for a new one.")
    return card


def accept_deposit(
    envelope: Envelope, author: Known, card_envelope: Envelope, card: DepositCard, root: TrustRoot
) -> Deposit:
    """Believe the manifest of a deposit made with ``card``, or raise.

    Checks that it names card, record and log, that a device of the card's depositor, live at its ``dir``, signed it,
    that it was made in the card's time, and that standing readers open it by a category key of the card and keepers
    that the trust root allows. ``author``: the depositor's chain folded at the manifest's ``dir``.
    """
    deposit = decode(envelope.body, Deposit)
    if (deposit.card, deposit.vault, deposit.origin) != (card_envelope.digest, card.vault, card.origin):
        raise BrokenChain("A deposit was made for another record, or with another card. It was not believed.")
    if deposit.signers != (author.ref,) or author.ref.identity != card.depositor.identity:
        raise NotPermitted("A deposit is by somebody else than its card is for. It was not believed.")
    verify(envelope, labels.DEPOSIT, author.state.device_keys())
    if not card.since <= deposit.time < card.until:
        raise Stale("A deposit was made outside its card's time. It was not believed.")
    standing = deposit.standing
    if standing is not None:
        check_policy(standing.policy, root)
        if standing.category not in {sealing.key_hash(key) for key in card.category_keys}:
            raise NotPermitted(
                "A deposit is for a category that its card does not name. It was not believed."
            )
    return deposit


def seal_document_key(deposit_key: bytes, place: Deposited, document_key: SecretBytes) -> bytes:
    """The ``key_box``: a document key sealed to the deposit key of a card."""
    return sealing.seal(deposit_key, place.info(labels.DEPOSIT_KEY), document_key.reveal())


def card_info(origin: str, vault: bytes, card: bytes, depositor: bytes, reading_key: int) -> bytes:
    """The binding of what a card seals to its depositor."""
    return pae(labels.CARD_BOX, origin.encode(), vault, card, depositor, number(reading_key))
