"""What is done with vectors of leaves, openings, checkpoints and receipts."""

from collections.abc import Callable

from crypto.access_log import Disclosure, Opening, commitment, opening_info, parse_leaf, previous
from crypto.checkpoint import CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.encoding import encode
from crypto.locators import Locator, directory_slot, end_tag, event_tag
from crypto.merkle import leaf_hash
from crypto.receipt import Receipt
from crypto.signing import Envelope, VerifyKey
from crypto.trust_root import Successor
from tests.vectors.reading import Values, body, opener, plain, raw, secret


def slots(i: Values) -> Values:
    """A locator, both tags and a directory slot."""
    key, origin, name = secret(i["key"]), i["origin"], raw(i["name"])
    made = Locator(key, origin).make(raw(i["nonce"]))
    return {
        "locator": made.hex(),
        "event_tag": event_tag(key, origin, name, i["number"]).hex(),
        "end_tag": end_tag(key, origin, name).hex(),
        "directory_slot": directory_slot(origin, name, i["number"]).hex(),
    }


def leaf(i: Values) -> Values:
    """The leaf that an envelope and a disclosure make."""
    made = body(i["disclosure"], Disclosure).leaf(body(i["envelope"], Envelope)).to_bytes()
    return {"leaf": made.hex(), "leaf_hash": leaf_hash(made).hex()}


def parsed_leaf(i: Values) -> Values:
    """Take a leaf apart."""
    return {"value": plain(parse_leaf(raw(i["leaf"])))}


def successor_leaf(i: Values) -> Values:
    """Leaf 0 of a log that takes another's place."""
    return {"leaf": body(i["successor"], Successor).leaf.to_bytes().hex()}


def opening(i: Values) -> Values:
    """Open an opening and compute what its leaf must be."""
    record = opener(i["seed"]).open(opening_info(i["origin"], raw(i["commitment"])), raw(i["box"]))
    read = Opening.from_record(record)
    return {
        "envelope": encode(read.envelope).decode(),
        "part": encode(read.part).decode(),
        "commitment": commitment(read.salt, read.envelope, read.part).hex(),
        "previous": previous(read.salt2, read.previous).hex(),
    }


def checkpoint(i: Values) -> Values:
    """Open a checkpoint and count its cosigners."""
    note = i["note"].encode()
    head = open_checkpoint(note, LogKey(i["origin"], VerifyKey(raw(i["log_key"]))))
    cosigners = [CosignerKey(name, VerifyKey(raw(key))) for name, key in i["cosigners"].items()]
    times = {key.hex(): time for key, time in cosignatures(note, cosigners).items()}
    return {"size": head.size, "root": head.root.hex(), "cosigned": times}


def receipt(i: Values) -> Values:
    """Verify a receipt for a leaf."""
    read = Receipt.decode(i["receipt"].encode())
    head = read.verify(raw(i["leaf"]), LogKey(i["origin"], VerifyKey(raw(i["log_key"]))))
    return {"index": read.index, "size": head.size}


RUNS: dict[str, Callable[[Values], Values]] = {
    "slots": slots,
    "leaf": leaf,
    "parsed-leaf": parsed_leaf,
    "successor-leaf": successor_leaf,
    "opening": opening,
    "checkpoint": checkpoint,
    "receipt": receipt,
}
