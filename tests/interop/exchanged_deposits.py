"""Deposits: cards, manifests and what is sealed with them, made by either and opened by the other."""

from crypto import labels
from crypto.deposits import DepositCard, accept_card, accept_deposit
from crypto.encoding import decode, encode
from crypto.sealed.standing import (
    CardSecrets,
    CategoryKey,
    StandingKeys,
    StandingPolicy,
    StandingWrapper,
    open_card_secrets,
    open_document_key,
    open_share_a,
    open_standing_keys,
    open_standing_policy,
    seal_standing_keys,
    standing_share,
)
from crypto.sealing import key_hash
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from tests.interop import deposits_second, sealing_second, wraps_second
from tests.interop import records_second as second
from tests.interop.exchange_world import QUORUM, read_first, read_second, seed_of
from tests.support.deposits import DepositMaker
from tests.support.grants import GrantedDocument
from tests.support.people import LOG, NOW, fresh

MAKER = DepositMaker(QUORUM.vault, QUORUM.reader, 3, 4)


def deposit() -> None:
    """Card and manifest, their boxes, and the wrap for standing readers."""
    _card()
    document = GrantedDocument.fresh()
    body, envelope = MAKER.deposit(document)
    author, root = QUORUM.reader.known(), QUORUM.service.root
    device = QUORUM.reader.device.signing
    value, _ = second.open_envelope(read_second(envelope), "deposit", "Deposit", [device.public.raw], 1 << 20)
    seed = QUORUM.vault.epoch.deposit_key.seed.reveal()
    info = deposits_second.info("deposit-key", value)
    assert sealing_second.unseal(seed, info, value["key_box"]) == document.key.reveal()
    value["key_box"] = sealing_second.seal(MAKER.card.deposit_key, info, document.key.reveal())
    remade = read_first(second.sign("deposit", "Deposit", value, seed_of(device)))
    found = accept_deposit(remade, author, MAKER.signed_card, MAKER.card, root)
    opened = open_document_key(QUORUM.vault.epoch.deposit_key, body.place, found.key_box)
    assert opened.same_as(document.key)
    _standing(document)


def _card() -> None:
    card, reading = second.decode("DepositCard", encode(MAKER.card)), QUORUM.reader.reading[0]
    info = deposits_second.card_info(card)
    record = second.unpad(sealing_second.unseal(reading.seed.reveal(), info, card["box"]))
    assert decode(record, CardSecrets) == MAKER.secrets
    card["box"] = sealing_second.seal(reading.public, info, second.pad(record))
    remade = decode(second.encode("DepositCard", card), DepositCard)
    signed = QUORUM.vault.sign(labels.DEPOSIT_CARD, remade)
    believed = accept_card(signed, QUORUM.vault.known, QUORUM.reader.known(), QUORUM.service.root, NOW)
    assert open_card_secrets(reading, believed) == MAKER.secrets
    assert sign(labels.DEPOSIT_CARD, remade, QUORUM.patient.device.signing).type == "coffre-1/deposit-card"


def _standing(document: GrantedDocument) -> None:
    made, blobs, shares = MAKER.standing(document)
    value = second.decode("Standing", encode(made))
    ids = (document.doc, document.ver, document.ct_root)
    place = MAKER.place(document)
    named = place._asdict()
    info = deposits_second.info("standing-a", named)
    share_a = sealing_second.unseal(MAKER.category.seed.reveal(), info, value["a_box"])
    kek = deposits_second.kek(named, value["category"], share_a, shares)
    assert wraps_second.unwrap(kek, value["wrap"]) == document.key.reveal()
    box = sealing_second.seal(MAKER.category.public, info, share_a)
    ours = StandingWrapper(open_share_a(MAKER.category, place, box), place, made.category)
    theirs = wraps_second.wrap(kek, document.key.reveal())
    assert ours.unwrap(theirs, shares, *ids).same_as(document.key)
    keepers = {key_hash(keys.unsealing.public): keys.unsealing for keys in QUORUM.service.keepers}
    for blob in blobs:
        sealed = second.decode("SealedStanding", encode(blob))
        key = keepers[blob.keeper]
        bound = deposits_second.policy_info(LOG, *ids, sealed["keeper"], sealed["trust_root"])
        record = second.unpad(sealing_second.unseal(key.seed.reveal(), bound, sealed["box"]))
        for entry in second.decode("StandingPolicy", record)["seeds"]:
            share = deposits_second.share_b(entry["seed"], *ids)
            assert share == standing_share(SecretBytes(entry["seed"]), *ids)
            assert share in shares
        remade = sealing_second.seal(key.public, bound, second.pad(record))
        again = type(blob)(keeper=blob.keeper, trust_root=blob.trust_root, box=remade)
        assert open_standing_policy(key, again, LOG, *ids) == decode(record, StandingPolicy)
    _keys()


def _keys() -> None:
    event, reading = QUORUM.made.body, QUORUM.reader.reading[0]
    keys = StandingKeys(keys=(CategoryKey(epoch=0, place=0, category="Biologie", seed=fresh()),))
    info = deposits_second.keys_info(QUORUM.event)
    box = seal_standing_keys(reading.public, event, keys)
    record = second.unpad(sealing_second.unseal(reading.seed.reveal(), info, box))
    assert decode(record, StandingKeys) == keys
    remade = sealing_second.seal(reading.public, info, second.pad(record))
    assert open_standing_keys(reading, event, remade) == keys
