"""Vectors of log-entries.md, checkpoint.md and receipt.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels, sealing
from crypto.access_log import FIRST, Disclosure, Opening, ServerPart, commitment, opening_info, previous
from crypto.checkpoint import Checkpoint, cosign, sign_checkpoint
from crypto.merkle import inclusion_path, leaf_hash, root_of
from crypto.receipt import Receipt
from crypto.signing import sign
from crypto.trust_root import Successor
from tests.vectors.case import Case
from tests.vectors.fixed import (
    GID,
    HEAD,
    LOG,
    NOW,
    VAULT,
    fixed,
    hexed,
    signing,
    text_of,
    unsealing,
)


def logs() -> Iterator[Case]:
    """log-entries.md, checkpoint.md, receipt.md."""
    inputs: dict[str, Any] = hexed(key=fixed("k"), name=GID, nonce=fixed("nonce", 16))
    yield Case("slots/of-a-key", "locator, tags, directory slot", inputs | {"origin": LOG, "number": 300})
    envelope = sign(labels.IDHEAD, HEAD, signing("one"))
    salt2, before = fixed("salt2"), fixed("C before")
    part = ServerPart(body=envelope.digest, time=NOW, outcome="granted", prev=previous(salt2, before))
    disclosure = Disclosure(
        index=4, slot_one=fixed("one"), slot_two=fixed("two"), salt=fixed("salt"), part=part
    )
    shown = {"envelope": text_of(envelope), "disclosure": text_of(disclosure)}
    yield Case("leaf/granted", "a leaf and its hash", shown)
    first = msgspec.structs.replace(
        disclosure, part=msgspec.structs.replace(part, prev=FIRST, outcome="accepted")
    )
    yield Case("leaf/first", "the first of a vault", shown | {"disclosure": text_of(first)})
    other = text_of(sign(labels.LOGIN, HEAD, signing("one")))
    yield Case("leaf/other-body", "SP names another body", shown | {"envelope": other}, "not-proven")
    made = disclosure.leaf(envelope).to_bytes()
    yield Case("parsed-leaf/version-1", "a leaf taken apart", {"leaf": made.hex()})
    reserved = {"leaf": (b"\2" + made[1:]).hex()}
    yield Case("parsed-leaf/version-2", "the reserved version, which has no slots", reserved)
    unknown_version = {"leaf": (b"\3" + made[1:]).hex()}
    yield Case("parsed-leaf/version-3", "a version that is none", unknown_version, "malformed")
    yield Case("parsed-leaf/short", "a byte missing", {"leaf": made[:-1].hex()}, "malformed")

    successor = {"successor": text_of(Successor(old_origin=LOG, last_head=HEAD, new_origin=LOG + "1"))}
    yield Case("successor-leaf/log", "leaf 0 of a log that takes another's place", successor)

    c = commitment(disclosure.salt, envelope, part)
    opening = Opening(salt=disclosure.salt, salt2=salt2, previous=before, envelope=envelope, part=part)
    key = unsealing("log 0")
    box = sealing.seal(key.public, opening_info(LOG, c), opening.to_record())
    inputs = hexed(seed=key.seed.reveal(), commitment=c, box=box) | {"origin": LOG}
    yield Case("opening/opens", "an opening", inputs, once=True)
    elsewhere = inputs | {"origin": LOG + "1"}
    yield Case("opening/other-log", "in another log", elsewhere, "cannot-open", once=True)
    yield Case(
        "opening/other-leaf", "of another leaf", inputs | hexed(commitment=VAULT), "cannot-open", once=True
    )

    leaves = [made, *(b"\1" + fixed(f"leaf {n}", 96) for n in range(1, 5))]
    hashes = [leaf_hash(each) for each in leaves]
    log, keeper = signing("log"), signing("keeper 0")
    note = sign_checkpoint(Checkpoint(LOG, 5, root_of(hashes)), log)
    cosigned = note + cosign(Checkpoint(LOG, 5, root_of(hashes)), "keeper-0.example", keeper, NOW)
    good = {"note": cosigned.decode(), "origin": LOG, "log_key": log.public.raw.hex()}
    good["cosigners"] = {"keeper-0.example": keeper.public.raw.hex()}  # type: ignore[assignment]
    yield Case("checkpoint/cosigned", "a head with one cosignature", good)
    unknown = good | {"log_key": keeper.public.raw.hex()}
    yield Case("checkpoint/other-log-key", "not signed by this log", unknown, "bad-signature")
    grown = good | {"note": cosigned.decode().replace("\n5\n", "\n6\n", 1)}
    yield Case("checkpoint/other-size", "the size changed", grown, "bad-signature")
    extended = good | {"note": cosigned.decode().replace("\n\n", "\nmore\n\n", 1)}
    yield Case("checkpoint/extension-line", "a line more, unsigned", extended, "bad-signature")

    path = inclusion_path(2, 5, lambda level, at: root_of(hashes[at << level : (at + 1) << level]))
    text = Receipt(index=2, path=tuple(path), note=cosigned).encode().decode()
    shown = {"receipt": text, "leaf": leaves[2].hex(), "origin": LOG, "log_key": good["log_key"]}
    yield Case("receipt/third-of-five", "a leaf and its proof", shown)
    yield Case("receipt/other-leaf", "another leaf", shown | {"leaf": made.hex()}, "not-proven")
    moved = shown | {"receipt": text.replace("index 2", "index 3")}
    yield Case("receipt/other-index", "another index", moved, "not-proven")
    spelled = shown | {"receipt": text.replace("index 2", "index 02")}
    yield Case("receipt/leading-zero", "a number with a leading zero", spelled, "malformed")
