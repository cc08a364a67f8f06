"""Document keys under a recipient's and the keepers' halves, and under the patient's own."""

import hashlib
import hmac

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import labels
from crypto.derivation import derive
from crypto.encoding import number, pae
from crypto.errors import CannotOpen
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, SelfWrapper, a_box_info, open_a_box
from crypto.sealing import seal
from crypto.secret_bytes import SecretBytes
from crypto.statements import IdentityRef
from tests.support.grants import GrantedDocument, GrantMaker
from tests.support.people import Person, Service, fresh
from tests.support.vaults import Vault

A, KEY = SecretBytes(b"\1" * 32), SecretBytes(b"\2" * 32)
CONTEXT = {"vault": b"v" * 32, "gid": b"g" * 32, "rekey": 3, "recipient": b"r" * 32, "reading_key": 5}
ENTRY = GrantedDocument(KEY, b"d" * 16, b"e" * 16, b"c" * 32)
SHARES = [bytes([place]) * 32 for place in range(6)]


def wrapped() -> bytes:
    """The honest wrap."""
    return GrantWrapper(A, **CONTEXT).wrap(KEY, SHARES, ENTRY.doc, ENTRY.ver, ENTRY.ct_root)


def unwrapped(wrap: bytes, *, share_a=A, shares=SHARES, context=CONTEXT, **ids) -> SecretBytes:
    """Unwrap with one thing changed."""
    ids = {"doc": ENTRY.doc, "ver": ENTRY.ver, "ct_root": ENTRY.ct_root} | ids
    return GrantWrapper(share_a, **context).unwrap(wrap, shares, **ids)


def test_a_wrap_is_the_formula():
    """The wrap is 48 bytes, computed as docs/format/grant.md writes it."""
    prk = hmac.digest(
        hashlib.sha256(
            pae(labels.KEK, b"coffre-1", b"v" * 32, b"g" * 32, number(3), b"r" * 32, number(5))
        ).digest(),
        A.reveal(),
        "sha256",
    )
    parts = (ENTRY.doc, ENTRY.ver, ENTRY.ct_root, b"".join(SHARES))
    kek = hmac.digest(prk, pae(labels.KEK_DOCUMENT, *parts), "sha256")
    assert wrapped() == AESGCM(kek).encrypt(bytes(12), KEY.reveal(), None)
    assert len(wrapped()) == 48


def test_a_wrap_opens_with_all_shares():
    """With A and every share, in order, the document key comes back."""
    assert unwrapped(wrapped()).same_as(KEY)


@pytest.mark.parametrize("missing", range(len(SHARES)))
def test_a_wrap_needs_every_share(missing):
    """Without any one share, or with it changed, CannotOpen."""
    for shares in (
        SHARES[:missing] + SHARES[missing + 1 :],
        [*SHARES[:missing], fresh(), *SHARES[missing + 1 :]],
        [*SHARES, SHARES[missing]],
    ):
        with pytest.raises(CannotOpen):
            unwrapped(wrapped(), shares=shares)


@pytest.mark.parametrize(
    "shares", [[], SHARES[::-1], SHARES[:1] * 6], ids=["none", "another order", "one repeated"]
)
def test_a_wrap_needs_the_shares_in_order(shares):
    """None, the right ones in another order, or one for all: CannotOpen."""
    with pytest.raises(CannotOpen):
        unwrapped(wrapped(), shares=shares)


@pytest.mark.parametrize("field", CONTEXT)
def test_a_wrap_is_bound_to_its_grant(field):
    """Another vault, grant, rekey, recipient or reading key: CannotOpen."""
    other = CONTEXT[field] + 1 if isinstance(CONTEXT[field], int) else fresh()
    with pytest.raises(CannotOpen):
        unwrapped(wrapped(), context=CONTEXT | {field: other})


@pytest.mark.parametrize("field", ["doc", "ver", "ct_root"])
def test_a_wrap_is_bound_to_its_document(field):
    """Another document, version or ciphertext root: CannotOpen, with the grant's wrap and with the patient's own."""
    other = {field: fresh(len(getattr(ENTRY, field)))}
    with pytest.raises(CannotOpen):
        unwrapped(wrapped(), **other)
    own = SelfWrapper(A, b"v" * 32)
    ids = {"doc": ENTRY.doc, "ver": ENTRY.ver, "ct_root": ENTRY.ct_root}
    assert own.unwrap(own.wrap(KEY, **ids), **ids).same_as(KEY)
    with pytest.raises(CannotOpen):
        own.unwrap(own.wrap(KEY, **ids), **ids | other)


def test_a_wrap_needs_the_recipients_half():
    """With another A, CannotOpen; and a spoiled or cut wrap cannot be opened either."""
    with pytest.raises(CannotOpen):
        unwrapped(wrapped(), share_a=SecretBytes.random())
    wrap = wrapped()
    flipped = [wrap[:at] + bytes([wrap[at] ^ 1]) + wrap[at + 1 :] for at in range(48)]
    for spoiled in (b"", wrap[:-1], wrap + b"\0", *flipped):
        with pytest.raises(CannotOpen):
            unwrapped(spoiled)


def test_the_patients_own_wrap_is_the_formula():
    """wrap_self is 48 bytes under the epoch secret and the vault, as the protocol writes it."""
    ids = (ENTRY.doc, ENTRY.ver, ENTRY.ct_root)
    key = derive(A.reveal(), pae(labels.SELF_WRAP, b"v" * 32, *ids))
    wrap = SelfWrapper(A, b"v" * 32).wrap(KEY, *ids)
    assert wrap == AESGCM(key).encrypt(bytes(12), KEY.reveal(), None)
    for other in (SelfWrapper(SecretBytes.random(), b"v" * 32), SelfWrapper(A, fresh())):
        with pytest.raises(CannotOpen):
            other.unwrap(wrap, *ids)
        assert repr(other) == "SelfWrapper(…)"
    assert repr(GrantWrapper(A, **CONTEXT)) == "GrantWrapper(…)"


@pytest.fixture(scope="module")
def made():
    """An event with its maker."""
    service = Service()
    maker = GrantMaker(Vault(service, [Person(service)]), Person(service))
    return maker, maker.event(GrantedDocument.fresh())


def test_the_recipients_box_holds_a_and_kg(made):
    """The recipient's reading key opens A and Kg; another key cannot."""
    maker, event = made
    share_a, grant_key = open_a_box(maker.recipient.reading[0], event.body, event.body.a_box)
    assert share_a.same_as(maker.share_a)
    assert grant_key.same_as(maker.grant_key)
    with pytest.raises(CannotOpen):
        open_a_box(UnsealingKey.generate(), event.body, event.body.a_box)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "vault.example/coffre/log/1"},
        {"vault": fresh()},
        {"gid": fresh()},
        {"rekey": 1},
        {"reading_key": 1},
        {"recipient": IdentityRef(identity=fresh(), n=0, leaf=fresh())},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_recipients_box_is_bound_to_its_grant(made, change):
    """A box taken into another log, vault, grant, rekey, recipient or reading key cannot be opened."""
    maker, event = made
    moved = msgspec.structs.replace(event.body, **change)
    with pytest.raises(CannotOpen):
        open_a_box(maker.recipient.reading[0], moved, event.body.a_box)


def test_a_box_of_another_length_is_refused(made):
    """A box that opens, but holds 63 or 65 bytes, cannot be opened."""
    maker, event = made
    reading = maker.recipient.reading[0]
    for length in (63, 65):
        with pytest.raises(CannotOpen):
            open_a_box(reading, event.body, seal(reading.public, a_box_info(event.body), bytes(length)))
