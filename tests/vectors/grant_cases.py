"""Vectors of the events of grant.md, and of access-request.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels, sealing
from crypto.encoding import Body, encode
from crypto.grants import GrantEvent, Listing, Row, Rows, rows_root
from crypto.identity_links import Delegate
from crypto.padding import pad_record
from crypto.requests import AccessRequest, Purpose, RequestedDocument, purpose_info
from crypto.sealed import shares
from crypto.sealed.wrapping import seal_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from tests.vectors.case import Case
from tests.vectors.fixed import (
    CT_ROOT,
    DAY,
    DOC,
    GID,
    LOG,
    NOW,
    REGISTRAR,
    REGISTRAR_NAMES,
    VER,
    Identity,
    Record,
    certificate,
    fixed,
    policy,
    signing,
    text_of,
    trust_root,
    unsealing,
    view,
)


def grants() -> Iterator[Case]:
    """Events of grant.md, and access-request.md."""
    patient, reader = Identity("patient"), Identity("reader", start=3)
    reader.add(certificate(), signers=[REGISTRAR])
    record = Record(patient)
    epoch = SecretBytes(fixed("epoch"))
    row = Row(doc=DOC, ver=VER, ct_root=CT_ROOT, wrap=fixed("wrap", 48)).to_bytes()
    box = fixed("not a box", 1200)
    listing = Listing(
        doc=fixed("listing", 16), ver=fixed("listing ver", 16), ct_root=CT_ROOT, length=400, wrap=row[64:]
    )
    first = GrantEvent(
        suite=labels.SUITE,
        vault=record.id,
        genesis=encode(record.genesis),
        origin=LOG,
        gid=GID,
        j=0,
        prev=None,
        recipient=reader.known().ref,
        reading_key=0,
        excluded=(),
        rekey=0,
        a_box=box,
        standing=None,
        rows=Rows(root=rows_root([row]), count=1),
        listing=listing,
        policy=msgspec.structs.replace(policy(3, 4), blobs=tuple(fixed(f"blob {n}") for n in range(4))),
        log_key=unsealing("log 0").public,
        purposes=("TREAT",),
        acts=("release", "list"),
        expiry=NOW + 30 * DAY,
        signers=(patient.known().ref,),
        view=view(100),
    )
    replace = msgspec.structs.replace

    def events(name: str, what: str, *made: Body, outcome: str = "ok") -> Case:
        inputs = {
            "events": [text_of(record.sign(labels.GRANT_EVENT, each)) for each in made],
            "signer": text_of(patient.chain),
            "recipient": text_of(reader.chain),
            "trust_root": text_of(trust_root()),
            "registrars": REGISTRAR_NAMES,
            "reading_seed": reader.reading.seed.reveal().hex(),
        }
        return Case(f"grant-event/{name}", what, inputs, outcome, once=outcome in {"ok", "cannot-open"})

    a, kg = shares.share_a(epoch, GID, 0), shares.grant_key(epoch, GID)
    real = replace(first, a_box=seal_a_box(reader.reading.public, first, a, kg))
    prev = record.sign(labels.GRANT_EVENT, real).digest
    second = replace(real, j=1, prev=prev, genesis=None, a_box=None)
    rekeyed = replace(second, rekey=1)
    a1 = shares.share_a(epoch, GID, 1)
    rekeyed = replace(rekeyed, a_box=seal_a_box(reader.reading.public, rekeyed, a1, kg))
    yield events("first", "event 0 at 3 of 4, and its box", real)
    yield events("second", "an event that adds to it", real, second)
    yield events("rekeyed", "an event that starts a rekey", real, rekeyed)
    yield events("not-a-box", "a box that does not open", first, outcome="cannot-open")
    one = fixed("another founding")
    wrong: dict[str, tuple[str, str, GrantEvent]] = {
        "other-suite": ("another suite", "malformed", replace(first, suite="coffre-2")),
        "other-founding": ("the founding of another record", "broken-chain", replace(first, vault=one)),
        "other-origin": (
            "another log than the genesis names",
            "broken-chain",
            replace(first, origin=LOG + "1"),
        ),
        "no-founding": ("no genesis", "broken-chain", replace(first, genesis=None)),
        "starts-late": ("a first event with number 1", "broken-chain", replace(first, j=1)),
        "somebody-else": (
            "for somebody else",
            "not-permitted",
            replace(first, recipient=patient.known().ref),
        ),
        "other-reading-key": ("for another reading key", "not-permitted", replace(first, reading_key=1)),
        "without-box": ("a rekey without its box", "not-permitted", replace(first, a_box=None)),
        "without-rows": (
            "a rekey without rows",
            "not-permitted",
            replace(first, rows=Rows(root=rows_root([]), count=0)),
        ),
        "unknown-keepers": (
            "keepers that the trust root does not name",
            "not-permitted",
            replace(first, policy=replace(first.policy, keepers=(one, *first.policy.keepers[1:]))),
        ),
        "subset-missing": (
            "a set of keepers left out",
            "not-permitted",
            replace(first, policy=replace(first.policy, subsets=first.policy.subsets[1:])),
        ),
        "other-signer": (
            "names another signer",
            "bad-signature",
            replace(first, signers=(reader.known().ref,)),
        ),
    }
    for name, (what, outcome, event) in wrong.items():
        yield events(name, what, event, outcome=outcome)
    base = record.sign(labels.GRANT_EVENT, first).digest
    after = replace(first, j=1, prev=base, genesis=None, a_box=None)
    later: dict[str, tuple[str, str, GrantEvent]] = {
        "other-prev": ("follows another event", "broken-chain", replace(after, prev=one)),
        "event-skipped": ("an event left out", "broken-chain", replace(after, j=2)),
        "rekey-skipped": ("a rekey left out", "broken-chain", replace(after, rekey=2, a_box=box)),
        "founding-again": ("the genesis again", "broken-chain", replace(after, genesis=first.genesis)),
        "keepers-changed": (
            "other keepers without a rekey",
            "not-permitted",
            replace(after, policy=replace(policy(1, 1), blobs=(one,))),
        ),
        "box-again": ("a box without a rekey", "not-permitted", replace(after, a_box=box)),
    }
    for name, (what, outcome, event) in later.items():
        yield events(name, what, first, event, outcome=outcome)

    inputs = {"event": text_of(real), "reading_seed": reader.reading.seed.reveal().hex()}
    yield Case("a-box/opens", "an event's box", inputs, once=True)
    moved = inputs | {"event": text_of(replace(real, rekey=1))}
    yield Case("a-box/other-rekey", "moved to another rekey", moved, "cannot-open", once=True)
    yield from requests(reader, patient, base)


def requests(reader: Identity, patient: Identity, ghead: bytes) -> Iterator[Case]:
    """access-request.md."""
    nonce = fixed("nonce", 16)
    document = RequestedDocument(doc=DOC, ver=VER, ct_root=CT_ROOT, rekey=0, deposit=None)
    dummy = AccessRequest(
        suite=labels.SUITE,
        origin=LOG,
        gid=GID,
        ghead=ghead,
        documents=(document,),
        act="release",
        identity=reader.identity,
        device=reader.device.public.key_id,
        team=None,
        time=NOW,
        nonce=nonce,
        slot_two=fixed("slot two"),
        purpose=fixed("not a box", 1200),
        view=view(100),
    )
    replace = msgspec.structs.replace

    def case(
        name: str,
        what: str,
        body: AccessRequest,
        outcome: str = "ok",
        *,
        key: str = "device of reader",
        **more: Any,
    ) -> Case:
        made = sign(labels.ACCESS_REQUEST, body, signing(key))
        inputs = {"request": text_of(made), "reader": text_of(reader.chain), "team": None}
        inputs["registrars"] = REGISTRAR_NAMES  # type: ignore[assignment]
        return Case(f"access-request/{name}", what, inputs | more, outcome)

    why = Purpose(code="TREAT", role="", organisation="", name="Dr Exemple", reason="")
    log_key, info = unsealing("log 0"), purpose_info(LOG, GID, nonce)
    box = sealing.seal(log_key.public, info, pad_record(encode(why)))
    inputs = {"seed": log_key.seed.reveal().hex(), "info": info.hex(), "box": box.hex()}
    yield Case("box/purpose", "a purpose, sealed to the log key", inputs, once=True)
    yield case("one-document", "a request for one document", dummy)
    twice = replace(dummy, documents=(document, document))
    yield case("document-twice", "a version twice", twice, "malformed")
    yield case("no-document", "no document", replace(dummy, documents=()), "malformed")
    yield case("other-suite", "another suite", replace(dummy, suite="coffre-2"), "malformed")
    yield case("other-device", "signed by another device", dummy, "bad-signature", key="device of patient")
    claimed = replace(dummy, device=patient.device.public.key_id)
    yield case(
        "not-live", "a device that is not the reader's", claimed, "bad-signature", key="device of patient"
    )
    stranger = replace(dummy, identity=patient.identity)
    yield case("other-reader", "the chain of somebody else", stranger, "bad-signature")
    team = replace(dummy, team=patient.identity)
    yield case("team-not-shown", "a team whose chain is not shown", team, "not-permitted")
    shown = text_of(patient.chain)
    yield case("no-member", "a team of which the reader is no member", team, "not-permitted", team=shown)
    until = Delegate(identity=reader.identity, purposes=("TREAT",), until=NOW + 1)
    shown = text_of(Identity("delegating").add(until).chain)
    acting = replace(dummy, team=Identity("delegating").identity)
    yield case("delegate", "a delegate, to the last second", acting, team=shown)
    late = replace(acting, time=NOW + 1)
    yield case("delegation-over", "a second later", late, "not-permitted", team=shown)
