"""What is done with vectors of encodings, keys, boxes and content."""

import hashlib
from collections.abc import Callable

from crypto import encoding, padding, pieces, sealing, signing
from crypto.descriptors import (
    descriptor_context,
    descriptor_key,
    document_context,
    listing_context,
    read_descriptor,
    read_listing,
)
from crypto.encoding import decode, encode
from crypto.sealed import content
from crypto.sealed.recovery import Kit
from crypto.sealed.wrapping import SelfWrapper
from crypto.signing import Envelope, SigningKey
from crypto.trust_root import read_card
from crypto.wire.cards import card_fingerprint, read_identity_card
from tests.strategies import all_kinds
from tests.vectors.reading import Values, body, opener, plain, raw, secret


def canonical_json(i: Values) -> Values:
    """Read a body of a kind."""
    kinds = {kind.__name__: kind for kind in all_kinds()}
    read = decode(raw(i["hex"]) if "hex" in i else i["text"].encode(), kinds[i["kind"]])
    return {"value": plain(read)}


def pae(i: Values) -> Values:
    """Join parts."""
    return {"joined": encoding.pae(i["label"], *map(raw, i["parts"])).hex()}


def sign(i: Values) -> Values:
    """Sign a body."""
    keys = [SigningKey(secret(seed)) for seed in i["seeds"]]
    made = signing.sign_encoded(i["type"], i["body"].encode(), *keys)
    return {"envelope": encode(made).decode(), "digest": made.digest.hex()}


def envelope(i: Values) -> Values:
    """Verify an envelope under some keys."""
    read = body(i["envelope"], Envelope)
    signers = signing.verify(read, i["type"], signing.verify_keys(*map(raw, i["keys"])))
    return {"signers": sorted(key.hex() for key in signers), "digest": read.digest.hex()}


def pad(i: Values) -> Values:
    """Pad a record."""
    return {"padded": padding.pad_record(raw(i["record"])).hex()}


def unpad(i: Values) -> Values:
    """Take a record out of its padding."""
    return {"record": padding.unpad_record(raw(i["padded"])).hex()}


def padded_length(i: Values) -> Values:
    """The padded lengths of documents."""
    return {"padded": [padding.padded_length(length) for length in i["lengths"]]}


def sealing_key(i: Values) -> Values:
    """The public key of a seed."""
    return {"public": opener(i["seed"]).public.hex()}


def box(i: Values) -> Values:
    """Open a box."""
    return {"plaintext": opener(i["seed"]).open(raw(i["info"]), raw(i["box"])).hex()}


def kit(i: Values) -> Values:
    """The keys of a paper kit."""
    read = Kit.from_text(i["text"])
    keys = {"root": read.root.public.raw.hex(), "unlock": sealing.key_hash(read.unlock.public).hex()}
    return keys | {"text": read.to_text()}


def card(i: Values) -> Values:
    """Read an instance card or an identity card."""
    if "chain" in i["text"]:
        return {"fingerprint": card_fingerprint(read_identity_card(i["text"]))}
    return {"value": plain(read_card(i["text"]))}


def content_(i: Values) -> Values:
    """Seal a padded document under a given salt; the document is a pattern repeated to a length."""
    context = document_context(raw(i["vault"]), raw(i["doc"]), raw(i["ver"]))
    pattern = raw(i["pattern"])
    document = (pattern * (i["length"] // len(pattern) + 1))[: i["length"]]
    padded = document.ljust(padding.padded_length(len(document)), b"\0")
    sealed = content._seal(secret(i["key"]), context, raw(i["salt"]), padded)
    opened = content.open_document(secret(i["key"]), context, sealed, i["length"])
    return {
        "header": sealed[: pieces.HEADER].hex(),
        "ciphertext_sha256": hashlib.sha256(sealed).hexdigest(),
        "length": len(sealed),
        "ct_root": pieces.ct_root(sealed).hex(),
        "opens": opened == document,
    }


def content_open(i: Values) -> Values:
    """Open small content whole."""
    opened = content.open(secret(i["key"]), raw(i["context"]), raw(i["ciphertext"]))
    return {"plaintext": opened.hex()}


def descriptor(i: Values) -> Values:
    """Open a descriptor with the document key."""
    context = descriptor_context(raw(i["vault"]), raw(i["doc"]), raw(i["ver"]))
    key = descriptor_key(secret(i["document_key"]), context)
    return {"value": plain(read_descriptor(content.open(key, context, raw(i["ciphertext"]))))}


def listing(i: Values) -> Values:
    """Open a listing."""
    context = listing_context(raw(i["vault"]), raw(i["gid"]), raw(i["doc"]), raw(i["ver"]))
    return {"value": plain(read_listing(content.open(secret(i["key"]), context, raw(i["ciphertext"]))))}


def self_wrap(i: Values) -> Values:
    """Unwrap a document key with the epoch secret."""
    wrapper = SelfWrapper(secret(i["epoch"]), raw(i["vault"]))
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    return {"document_key": wrapper.unwrap(raw(i["wrap"]), *ids).reveal().hex()}


RUNS: dict[str, Callable[[Values], Values]] = {
    "canonical-json": canonical_json,
    "pae": pae,
    "sign": sign,
    "envelope": envelope,
    "pad": pad,
    "unpad": unpad,
    "padded-length": padded_length,
    "sealing-key": sealing_key,
    "box": box,
    "kit": kit,
    "card": card,
    "content": content_,
    "content-open": content_open,
    "descriptor": descriptor,
    "listing": listing,
    "self-wrap": self_wrap,
}
