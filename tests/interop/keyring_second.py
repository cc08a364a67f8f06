"""A second implementation of docs/format/keyring.md, of kit.md's file, and of what vault-chain.md says of a person."""

import hashlib
from itertools import pairwise

from tests.interop.entries_second import kit_seeds
from tests.interop.records_second import decode, demand, encode, pae
from tests.interop.sealing_second import public_key, seal, unseal

KINDS = {"vault-keyring": "VaultKeyring", "identity-keyring": "IdentityKeyring"}


def key_hash(public):
    """The name of a sealing key."""
    return hashlib.sha256(public).digest()


def seal_keyring(name, value, publics):
    """A sealed keyring with a box for each of the keys."""
    record, hashes = encode(KINDS[name], value), sorted((key_hash(public), public) for public in publics)
    boxes = [{"key": key, "box": seal(public, pae(name, key), record)} for key, public in hashes]
    return encode("SealedKeyring", {"suite": "coffre-1", "boxes": boxes})


def open_keyring(name, data, seed):
    """A keyring out of the box for an unlock key."""
    sealed = decode("SealedKeyring", data, 1 << 24)
    keys = [box["key"] for box in sealed["boxes"]]
    demand(rising(keys), "boxes not in order")
    mine = key_hash(public_key(seed))
    demand(mine in keys, "no box")
    value = decode(KINDS[name], unseal(seed, pae(name, mine), sealed["boxes"][keys.index(mine)]["box"]))
    if name == "identity-keyring":
        demand(rising([entry["number"] for entry in value["reading_keys"]]), "reading keys not in order")
        return value
    for place, epoch in enumerate(value["epochs"]):
        demand(epoch["epoch"] == place, "epochs not in order")
        names = [entry["category"] for entry in epoch["category_keys"]]
        demand(len(set(names)) == len(names), "a category twice")
    return value


def rising(values):
    """Whether values rise strictly."""
    return all(one < two for one, two in pairwise(values))


def take_over_vault(before, after, keys, vault, link):
    """Demand that a vault's keyring may replace another; ``keys``: the ``rotate`` in force; ``link``: before its link."""
    demand(after["epochs"][: len(before["epochs"])] == before["epochs"], "an epoch dropped")
    demand((after["vault"], after["link"]) == (vault, link), "of another vault or place")
    demand(all(after[name] == before[name] for name in ("origin", "person")), "of another log or person")
    last = after["epochs"][-1]
    demand(last["epoch"] == keys["epoch"], "not the epoch in force")
    demand(hashlib.sha256(pae("scan-key", last["scan_key"])).digest() == keys["scan_key"], "another Kv")
    demand(all(public_key(last[name]) == keys[name] for name in ("log_key", "deposit_key")), "another key")
    seeds = [entry["seed"] for entry in last["category_keys"]]
    demand([public_key(seed) for seed in seeds] == keys["category_keys"], "other categories")


def take_over_identity(before, after, publics):
    """Demand that an identity's keyring may replace another; ``publics``: its reading keys by number."""
    seeds, old = after["reading_keys"], before["reading_keys"]
    demand(seeds[: len(old)] == old, "a reading key dropped")
    demand(seeds[-1]["number"] == max(publics), "the newest is not there")
    demand(all(public_key(each["seed"]) == publics.get(each["number"]) for each in seeds), "another key")


def check_person(person, commitment):
    """Demand that a Person opens the genesis' commitment."""
    opened = hashlib.sha256(pae("person", person["salt"], person["name"].encode())).digest()
    demand(opened == commitment, "somebody else")


def read_kit_file(text):
    """A kit's file, and the seeds of the kit's root and unlock key."""
    value = decode("KitFile", text.strip().encode(), 4096)
    seeds = kit_seeds(value["text"])
    groups = value["text"].split("-")
    demand([len(group) for group in groups] == [4] * 14, "not in groups")
    demand(value["text"] == value["text"].upper(), "small letters")
    return value, seeds
