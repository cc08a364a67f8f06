"""The second implementation on our own vectors: it accepts and refuses the same, with the same results."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop import (
    content_second,
    deposits_second,
    entries_second,
    identity_second,
    keyring_second,
    sealing_second,
    trust_second,
    wraps_second,
)
from tests.interop import records_second as second
from tests.vectors.case import FOLDER

Values = dict[str, Any]
REFUSALS = (second.RefusedError, sealing_second.RefusedError, content_second.RefusedError)


def raws(values: Values, *names: str) -> list[bytes]:
    """Byte strings of a vector."""
    return [bytes.fromhex(values[name]) for name in names]


def read(name: str, text: str) -> Any:
    """A record in the text of a vector."""
    return second.decode(name, text.encode())


def canonical_json(i: Values) -> Values:
    data = bytes.fromhex(i["hex"]) if "hex" in i else i["text"].encode()
    return {"value": hexed(second.decode(i["kind"], data))}


def hexed(value: Any) -> Any:
    """A record as the vectors write it."""
    if isinstance(value, dict):
        return {name: hexed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hexed(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def pae(i: Values) -> Values:
    return {"joined": second.joined(i["label"], *map(bytes.fromhex, i["parts"])).hex()}


def envelope(i: Values) -> Values:
    shown = read("Envelope", i["envelope"])
    keys = [bytes.fromhex(key) for key in i["keys"]]
    _, signers = second.open_envelope(shown, i["type"].removeprefix("coffre-1/"), "Head", keys)
    return {"signers": sorted(key.hex() for key in signers), "digest": second.digest(shown).hex()}


def pad(i: Values) -> Values:
    return {"padded": second.pad(bytes.fromhex(i["record"])).hex()}


def unpad(i: Values) -> Values:
    return {"record": second.unpad(bytes.fromhex(i["padded"])).hex()}


def sealing_key(i: Values) -> Values:
    return {"public": sealing_second.public_key(bytes.fromhex(i["seed"])).hex()}


def box(i: Values) -> Values:
    return {"plaintext": sealing_second.unseal(*raws(i, "seed", "info", "box")).hex()}


def kit(i: Values) -> Values:
    root, unlock = entries_second.kit_seeds(i["text"])
    return {
        "root": second.public_key(root).hex(),
        "unlock": hashlib.sha256(sealing_second.public_key(unlock)).hexdigest(),
        "text": "-".join(i["text"].upper().replace("-", " ").split()),
    }


def kit_file(i: Values) -> Values:
    value, (root, _) = keyring_second.read_kit_file(i["text"])
    return {"value": hexed(value), "root": second.public_key(root).hex()}


def keyring(i: Values) -> Values:
    name, seed = i["label"].removeprefix("coffre-1/"), bytes.fromhex(i["seed"])
    return {"value": hexed(keyring_second.open_keyring(name, i["keyring"].encode(), seed))}


def keyring_renewal(i: Values) -> Values:
    kind = "VaultKeyring" if "keys" in i else "IdentityKeyring"
    before, after = read(kind, i["before"]), read(kind, i["after"])
    if "keys" in i:
        keys = read("Rotate", i["keys"])
        keyring_second.take_over_vault(before, after, keys, *raws(i, "vault", "link"))
    else:
        publics = {int(number): bytes.fromhex(key) for number, key in i["reading_keys"].items()}
        keyring_second.take_over_identity(before, after, publics)
    return {}


def person(i: Values) -> Values:
    named = read("Person", i["person"])
    keyring_second.check_person(named, bytes.fromhex(i["commitment"]))
    return {"name": named["name"]}


def slots(i: Values) -> Values:
    key, name, nonce = raws(i, "key", "name", "nonce")
    origin, number = i["origin"], i["number"]
    return {
        "locator": entries_second.locator(key, origin, nonce).hex(),
        "event_tag": entries_second.event_tag(key, origin, name, number).hex(),
        "end_tag": entries_second.end_tag(key, origin, name).hex(),
        "directory_slot": entries_second.directory_slot(origin, name, number).hex(),
    }


def leaf(i: Values) -> Values:
    made = entries_second.disclosed_leaf(read("Disclosure", i["disclosure"]), read("Envelope", i["envelope"]))
    return {"leaf": made.hex(), "leaf_hash": hashlib.sha256(b"\0" + made).hexdigest()}


def parsed_leaf(i: Values) -> Values:
    taken = entries_second.read_leaf(bytes.fromhex(i["leaf"]))
    if taken is None:
        return {"value": None}
    one, two, c = taken
    return {"value": {"slot_one": one.hex(), "slot_two": two.hex(), "commitment": c.hex()}}


def successor_leaf(i: Values) -> Values:
    return {"leaf": entries_second.successor_leaf(read("Successor", i["successor"])).hex()}


def trust_root(i: Values) -> Values:
    card = read("InstanceCard", i["card"])["root"] if i["card"] else None
    chain = [read("Envelope", text) for text in i["chain"]]
    return {"value": hexed(trust_second.believe(chain, card))}


def logs(i: Values) -> Values:
    body = read("TrustRoot", i["trust_root"])
    signer, key = trust_second.log_key(body, i["origin"])
    return {"newest": trust_second.newest(body, i["origin"]), "signer": signer, "key": key.hex()}


def identity_chain(i: Values) -> Values:
    registrars = [(bytes.fromhex(key), schemes, None) for key, schemes in i["registrars"].items()]
    chain = read("Chain", i["chain"])
    state = identity_second.fold(chain, i["size"], "vault.example/coffre/directory", registrars)
    names = ("devices", "unlock_keys", "members", "delegations", "retired")
    listed = {name: sorted(each.hex() for each in state[name]) for name in names}
    listed["delegates"] = listed.pop("delegations")
    return listed | {
        "ref": hexed(state["ref"]),
        "root": state["root"].hex(),
        "reading_key": max(state["reading_keys"]),
        "keyring": state["keyring"].hex(),
        "certificates": hexed(list(state["certificates"].values())),
        "waiting": sorted(state["waiting"]),
        "hard_stops": state["hard_stops"],
    }


def rows(i: Values) -> Values:
    names = ("doc", "ver", "ct_root", "wrap")
    taken = wraps_second.read_rows(bytes.fromhex(i["rows"]), i["count"], bytes.fromhex(i["root"]))
    return {"rows": [dict(zip(names, map(bytes.hex, row), strict=True)) for row in taken]}


def event_of(i: Values) -> Values:
    """The fields of an event that a wrap depends on."""
    vault, gid, recipient = raws(i, "vault", "gid", "recipient")
    return {
        "vault": vault,
        "gid": gid,
        "rekey": i["rekey"],
        "recipient": {"identity": recipient},
        "reading_key": i["reading_key"],
    }


def wrap(i: Values) -> Values:
    epoch, first, gid, document_key = raws(i, "epoch", "epoch_first", "gid", "document_key")
    ids, keepers = raws(i, "doc", "ver", "ct_root"), list(map(bytes.fromhex, i["keepers"]))
    policy = {"keepers": keepers, "subsets": wraps_second.subsets(i["k"], i["n"])}
    a = wraps_second.share_a(epoch, gid, i["rekey"])
    seeds = wraps_second.seeds(epoch, gid, i["rekey"], policy)
    b = [wraps_second.share_b(seed, i["act"], gid, i["rekey"], *ids) for seed in seeds]
    return {
        "grant_key": wraps_second.grant_key(first, gid).hex(),
        "end_key": wraps_second.end_key(first, gid).hex(),
        "share_a": a.hex(),
        "subsets": [wraps_second.subset_name(keepers, places).hex() for places in policy["subsets"]],
        "seeds": [seed.hex() for seed in seeds],
        "share_b": [share.hex() for share in b],
        "wrap": wraps_second.wrap(wraps_second.kek(event_of(i), a, b, *ids), document_key).hex(),
    }


def unwrap(i: Values) -> Values:
    a, wrapped, *ids = raws(i, "share_a", "wrap", "doc", "ver", "ct_root")
    b = list(map(bytes.fromhex, i["share_b"]))
    return {"document_key": wraps_second.unwrap(wraps_second.kek(event_of(i), a, b, *ids), wrapped).hex()}


def standing_wrap(i: Values) -> Values:
    names = ("vault", "card", "doc", "ver", "ct_root")
    deposit = dict(zip(names, raws(i, *names), strict=True))
    category, a, document_key = raws(i, "category", "share_a", "document_key")
    ids = (deposit["doc"], deposit["ver"], deposit["ct_root"])
    b = [deposits_second.share_b(bytes.fromhex(seed), *ids) for seed in i["seeds"]]
    wrapped = wraps_second.wrap(deposits_second.kek(deposit, category, a, b), document_key)
    return {"share_b": [share.hex() for share in b], "wrap": wrapped.hex()}


def self_wrap(i: Values) -> Values:
    key = wraps_second.self_key(*raws(i, "epoch", "vault", "doc", "ver", "ct_root"))
    return {"document_key": wraps_second.unwrap(key, bytes.fromhex(i["wrap"])).hex()}


RUNS: dict[str, Callable[[Values], Values]] = {
    "canonical-json": canonical_json,
    "pae": pae,
    "envelope": envelope,
    "pad": pad,
    "unpad": unpad,
    "sealing-key": sealing_key,
    "box": box,
    "kit": kit,
    "kit-file": kit_file,
    "keyring": keyring,
    "keyring-renewal": keyring_renewal,
    "person": person,
    "slots": slots,
    "leaf": leaf,
    "parsed-leaf": parsed_leaf,
    "successor-leaf": successor_leaf,
    "identity-chain": identity_chain,
    "trust-root": trust_root,
    "log-of-origin": logs,
    "rows": rows,
    "wrap": wrap,
    "unwrap": unwrap,
    "standing-wrap": standing_wrap,
    "self-wrap": self_wrap,
}

FILES = sorted(path for path in FOLDER.glob("*/*.json") if path.parent.name in RUNS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_second_implementation_agrees(path):
    """A vector that is accepted gives the same result; one that is refused is refused."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    run = RUNS[vector["format"]]
    if vector["outcome"] == "ok":
        assert run(vector["inputs"]) == vector["expected"]
        return
    with pytest.raises(REFUSALS):
        run(vector["inputs"])
