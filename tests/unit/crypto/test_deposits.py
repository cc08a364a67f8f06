"""Deposit cards, manifests, and the boxes and wraps that come with them."""

import msgspec
import pytest

from crypto import labels, sealing
from crypto.deposits import DepositCard, accept_card, accept_deposit
from crypto.encoding import encode, pae
from crypto.errors import BadSignature, BrokenChain, CannotOpen, Malformed, NotPermitted, Stale
from crypto.padding import pad_record
from crypto.sealed.standing import (
    CategoryKey,
    SealedStanding,
    StandingKeys,
    StandingWrapper,
    open_card_secrets,
    open_document_key,
    open_share_a,
    open_standing_keys,
    open_standing_policy,
    seal_card_secrets,
    seal_standing_keys,
    seal_standing_policy,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from tests.support.deposits import DepositMaker
from tests.support.grants import GrantedDocument, GrantMaker
from tests.support.people import DAY, LOG, NOW, Person, Service, fresh
from tests.support.vaults import Vault

SERVICE = Service(3, 4)
PATIENT, DEPOSITOR, OTHER = Person(SERVICE), Person(SERVICE), Person(SERVICE)
SERVICE.certify(DEPOSITOR)
VAULT = Vault(SERVICE, [PATIENT])
MAKER = DepositMaker(VAULT, DEPOSITOR, 3, 4)
replace = msgspec.structs.replace


def accepted(maker: DepositMaker, body: DepositCard, now: int = NOW) -> DepositCard:
    """A card as its depositor believes it."""
    envelope = maker.vault.sign(labels.DEPOSIT_CARD, body)
    return accept_card(envelope, maker.vault.known, maker.depositor.known(), SERVICE.root, now)


def test_an_honest_card_is_believed():
    """The depositor believes the card and learns Kc and the categories, in the order of the keys."""
    card = accepted(MAKER, MAKER.card)
    secrets = open_card_secrets(DEPOSITOR.reading[card.reading_key], card)
    assert (card, secrets) == (MAKER.card, MAKER.secrets)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"vault": fresh()}, BrokenChain),
        ({"origin": "vault.example/coffre/log/1"}, BrokenChain),
        ({"signers": (OTHER.known().ref,)}, BadSignature),
        ({"depositor": OTHER.known().ref}, NotPermitted),
        ({"reading_key": 1}, NotPermitted),
        ({"deposit_key": b"\xff" * 1216}, Malformed),
        ({"category_keys": (b"\xff" * 1216,)}, Malformed),
        ({"k": 1, "n": 1}, NotPermitted),
        ({"keepers": MAKER.policy.keepers[::-1]}, NotPermitted),
        ({"keepers": (*MAKER.policy.keepers[:3], b"\xff" * 32)}, NotPermitted),
        ({"until": NOW + 90 * DAY + 1}, NotPermitted),
        ({"until": NOW}, NotPermitted),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
def test_an_unsound_card_is_refused(changes, error):
    """A card of another record, log, signer, depositor or key, with other keepers or for too long, is refused."""
    with pytest.raises(error):
        accepted(MAKER, replace(MAKER.card, **changes))


def test_the_shortest_card_is_believed():
    """A second is a time."""
    assert accepted(MAKER, replace(MAKER.card, until=NOW + 1)).until == NOW + 1


def test_a_deposit_is_bound_to_every_part_of_its_place():
    """Another log, record, card, document, version or content gives another binding, and so does another use."""
    place = MAKER.place(GrantedDocument.fresh())
    others = [place._replace(**{name: b"x"}) for name in place._fields[1:]]
    others.append(place._replace(origin="elsewhere.example/coffre/log/0"))
    bindings = {other.info(labels.DEPOSIT_KEY) for other in [place, *others]}
    assert len(bindings | {place.info(labels.STANDING_A)}) == 8


@pytest.mark.parametrize("now", [NOW - 1, NOW + 90 * DAY])
def test_a_card_has_its_time(now):
    """Before and after its time a card is Stale."""
    with pytest.raises(Stale):
        accepted(MAKER, MAKER.card, now)


def test_a_card_is_signed_as_a_card():
    """A card under another label is refused."""
    envelope = VAULT.sign(labels.GRANT_EVENT, MAKER.card)
    with pytest.raises(BadSignature):
        accept_card(envelope, VAULT.known, DEPOSITOR.known(), SERVICE.root, NOW)


def test_a_cards_secrets_stay_with_the_card():
    """The box opens for this card, record, depositor and key only, and names one category for each key."""
    key = DEPOSITOR.reading[0]
    changed = [
        replace(MAKER.card, card=fresh()),
        replace(MAKER.card, vault=fresh()),
        replace(MAKER.card, depositor=OTHER.known().ref),
        replace(MAKER.card, reading_key=1),
        replace(MAKER.card, category_keys=()),
    ]
    for card in changed:
        with pytest.raises(CannotOpen):
            open_card_secrets(key, card)
    with pytest.raises(CannotOpen):
        open_card_secrets(OTHER.reading[0], MAKER.card)


def test_the_bindings_are_those_of_the_format_page():
    """Card, standing keys and a keeper's policy open where they were sealed to what the page says, in its order."""
    card, reader = MAKER.card, DEPOSITOR.reading[0]
    info = pae(
        labels.CARD_BOX, card.origin.encode(), card.vault, card.card, card.depositor.identity, bytes(8)
    )
    box = sealing.seal(reader.public, info, pad_record(encode(MAKER.secrets)))
    assert open_card_secrets(reader, replace(card, box=box)) == MAKER.secrets
    again = seal_card_secrets(
        reader.public, MAKER.secrets, card.origin, card.vault, card.card, card.depositor.identity, 0
    )
    assert open_card_secrets(reader, replace(card, box=again)) == MAKER.secrets
    event = replace(GrantMaker(VAULT, DEPOSITOR, 3, 4).event(GrantedDocument.fresh()).body, j=5)
    entry = CategoryKey(epoch=0, place=0, category="Biologie", seed=MAKER.category.seed.reveal())
    numbers = (5).to_bytes(8, "big"), event.recipient.identity, bytes(8)
    info = pae(labels.STANDING_KEYS, event.origin.encode(), event.vault, event.gid, *numbers)
    box = sealing.seal(reader.public, info, pad_record(encode(StandingKeys(keys=(entry,)))))
    assert open_standing_keys(reader, event, box).keys == (entry,)
    document, keeper = GrantedDocument.fresh(), SERVICE.keepers[0].unsealing
    ids, root = (document.doc, document.ver, document.ct_root), fresh()
    name = sealing.key_hash(keeper.public)
    honest = next(
        open_standing_policy(keeper, blob, LOG, *ids)
        for blob in MAKER.standing(document)[1]
        if blob.keeper == name
    )
    info = pae(labels.STANDING_POLICY, LOG.encode(), *ids, name, root)
    box = sealing.seal(keeper.public, info, pad_record(encode(honest)))
    sealed = SealedStanding(keeper=name, trust_root=root, box=box)
    assert open_standing_policy(keeper, sealed, LOG, *ids) == honest


def test_a_deposit_is_believed_and_opened_by_the_patient():
    """The patient checks the manifest and opens the document key with the private half of the deposit key."""
    document = GrantedDocument.fresh()
    body, envelope = MAKER.deposit(document)
    found = accept_deposit(envelope, DEPOSITOR.known(), MAKER.signed_card, MAKER.card, SERVICE.root)
    assert found == body
    assert found.place == MAKER.place(document)
    key = open_document_key(VAULT.epoch.deposit_key, found.place, found.key_box)
    assert key.same_as(document.key)
    with pytest.raises(CannotOpen):
        open_document_key(VAULT.epoch.deposit_key, found.place._replace(ver=fresh(16)), found.key_box)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"card": fresh()}, BrokenChain),
        ({"vault": fresh()}, BrokenChain),
        ({"origin": "vault.example/coffre/log/1"}, BrokenChain),
        ({"signers": (OTHER.known().ref,)}, NotPermitted),
        ({"time": NOW - 1}, Stale),
        ({"time": NOW + 90 * DAY}, Stale),
        ({"suite": "coffre-2"}, Malformed),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
def test_an_unsound_deposit_is_refused(changes, error):
    """A manifest for another card, record or log, by somebody else, or outside the card's time, is refused."""
    _, envelope = MAKER.deposit(GrantedDocument.fresh(), **changes)
    with pytest.raises(error):
        accept_deposit(envelope, DEPOSITOR.known(), MAKER.signed_card, MAKER.card, SERVICE.root)


def test_only_the_cards_depositor_deposits():
    """A manifest signed by another's device, or shown with another's chain, is refused."""
    body, _ = MAKER.deposit(GrantedDocument.fresh())
    forged = sign(labels.DEPOSIT, body, OTHER.device.signing)
    with pytest.raises(BadSignature):
        accept_deposit(forged, DEPOSITOR.known(), MAKER.signed_card, MAKER.card, SERVICE.root)
    theirs = sign(labels.DEPOSIT, replace(body, signers=(OTHER.known().ref,)), OTHER.device.signing)
    with pytest.raises(NotPermitted):
        accept_deposit(theirs, OTHER.known(), MAKER.signed_card, MAKER.card, SERVICE.root)


def test_a_deposit_without_standing_readers_is_believed():
    """``standing`` may be absent."""
    _, envelope = MAKER.deposit(GrantedDocument.fresh(), standing=None)
    found = accept_deposit(envelope, DEPOSITOR.known(), MAKER.signed_card, MAKER.card, SERVICE.root)
    assert found.standing is None


def test_standing_is_for_a_category_of_the_card_and_its_keepers():
    """Another category, or a policy that the trust root does not allow, is refused."""
    standing, _, _ = MAKER.standing(GrantedDocument.fresh())
    wrong = [
        replace(standing, category=fresh()),
        replace(standing, policy=replace(standing.policy, keepers=standing.policy.keepers[::-1])),
        replace(standing, policy=replace(standing.policy, blobs=())),
    ]
    for changed in wrong:
        _, envelope = MAKER.deposit(GrantedDocument.fresh(), standing=changed)
        with pytest.raises(NotPermitted):
            accept_deposit(envelope, DEPOSITOR.known(), MAKER.signed_card, MAKER.card, SERVICE.root)


def test_a_standing_reader_opens_with_all_shares():
    """A from the category key and every B_T from the keepers give the document key; one share less does not."""
    document = GrantedDocument.fresh()
    standing, blobs, shares = MAKER.standing(document)
    place, ids = MAKER.place(document), (document.doc, document.ver, document.ct_root)
    share_a = open_share_a(MAKER.category, place, standing.a_box)
    wrapper = StandingWrapper(share_a, place, standing.category)
    assert wrapper.unwrap(standing.wrap, shares, *ids).same_as(document.key)
    for wrong in (shares[:-1], shares[::-1]):
        with pytest.raises(CannotOpen):
            wrapper.unwrap(standing.wrap, wrong, *ids)
    with pytest.raises(CannotOpen):
        StandingWrapper(share_a, place._replace(card=fresh()), standing.category).unwrap(
            standing.wrap, shares, *ids
        )
    with pytest.raises(CannotOpen):
        open_share_a(MAKER.category, place._replace(doc=fresh(16)), standing.a_box)
    keepers = {sealing.key_hash(keys.unsealing.public): keys.unsealing for keys in SERVICE.keepers}
    held = set()
    for blob in blobs:
        policy = open_standing_policy(keepers[blob.keeper], blob, place.origin, *ids)
        assert policy.category == standing.category
        held |= {seed.subset for seed in policy.seeds}
        with pytest.raises(CannotOpen):
            open_standing_policy(keepers[blob.keeper], blob, place.origin, *ids[:2], fresh())
        moved = replace(blob, trust_root=fresh())
        with pytest.raises(CannotOpen):
            open_standing_policy(keepers[blob.keeper], moved, place.origin, *ids)
    assert len(held) == len(shares) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "elsewhere.example/coffre/log/0"},
        {"doc": fresh(16)},
        {"ver": fresh(16)},
        {"ct_root": fresh()},
    ],
)
def test_a_keepers_policy_that_contradicts_its_binding_is_refused(change):
    """What was sealed for one deposit and speaks of another cannot be opened."""
    document, key = GrantedDocument.fresh(), SERVICE.keepers[0].unsealing
    place, ids = MAKER.place(document), (document.doc, document.ver, document.ct_root)
    root, name = SERVICE.accepted.ref.digest, sealing.key_hash(key.public)
    blob = next(blob for blob in MAKER.standing(document)[1] if blob.keeper == name)
    honest = open_standing_policy(key, blob, place.origin, *ids)
    assert (
        open_standing_policy(key, seal_standing_policy(honest, key.public, root), place.origin, *ids)
        == honest
    )
    info = pae(labels.STANDING_POLICY, place.origin.encode(), *ids, name, root)
    box = sealing.seal(key.public, info, pad_record(encode(replace(honest, **change))))
    with pytest.raises(CannotOpen):
        open_standing_policy(key, replace(blob, box=box), place.origin, *ids)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_deposits_keys_have_32_bytes(length):
    """A box that opens and holds something else than a key is refused."""
    place = MAKER.place(GrantedDocument.fresh())
    for key, label, open_box in (
        (MAKER.category, labels.STANDING_A, open_share_a),
        (VAULT.epoch.deposit_key, labels.DEPOSIT_KEY, open_document_key),
    ):
        assert open_box(key, place, sealing.seal(key.public, place.info(label), fresh(32)))
        with pytest.raises(CannotOpen):
            open_box(key, place, sealing.seal(key.public, place.info(label), bytes(length)))


def test_category_keys_reach_a_standing_reader_by_an_event():
    """The event's box opens for its recipient, bound to the event, and prints no key."""
    event = GrantMaker(VAULT, DEPOSITOR, 3, 4).event(GrantedDocument.fresh()).body
    entry = CategoryKey(epoch=0, place=0, category="Biologie", seed=MAKER.category.seed.reveal())
    keys = StandingKeys(keys=(entry,))
    box = seal_standing_keys(DEPOSITOR.reading[0].public, event, keys)
    opened = open_standing_keys(DEPOSITOR.reading[0], event, box)
    assert UnsealingKey(SecretBytes(opened.keys[0].seed)).public == MAKER.category.public
    assert repr(opened) == "StandingKeys(…)"
    for changed in (replace(event, j=1), replace(event, gid=fresh()), replace(event, vault=fresh())):
        with pytest.raises(CannotOpen):
            open_standing_keys(DEPOSITOR.reading[0], changed, box)
