"""Scanning a log under twelve keys beside merely hashing its leaves.

200,000 leaves; one scan key is tried on slot one and eleven grant keys on slot two; a few locators are planted and must
be found, all of them and nothing else.
"""

import random
import secrets
import time
from statistics import median
from typing import Any

from crypto.access_log import LEAF
from crypto.locators import Locator, SlotColumn
from crypto.merkle import leaf_hash
from crypto.secret_bytes import SecretBytes

KEYS = 12


def run(quick: bool) -> list[dict[str, Any]]:
    """One row."""
    count, rounds = (20_000, 3) if quick else (200_000, 5)
    keys = [Locator(SecretBytes.random(), "bench/coffre/log/0") for _ in range(KEYS)]
    leaves, planted = _leaves(count, keys)
    times: dict[str, list[float]] = {"scan": [], "hash": []}
    found: list[set[int]] = []
    for _ in range(rounds):
        for way in random.sample(list(times), len(times)):
            begun = time.process_time()
            if way == "scan":
                found = _scan(leaves, keys)
            else:
                _hash(leaves)
            times[way].append(time.process_time() - begun)
    if found != planted:
        raise SystemExit("The scan did not find the leaves that were planted.")
    scan, plain = median(times["scan"]), median(times["hash"])
    return [{"leaves": count, "keys": KEYS, "scan_s": scan, "hash_s": plain, "scan_over_hash": scan / plain}]


def _scan(leaves: bytes, keys: list[Locator]) -> list[set[int]]:
    one, two = SlotColumn(leaves, 1), SlotColumn(leaves, 2)
    return [set(key.find(two if number else one)) for number, key in enumerate(keys)]


def _hash(leaves: bytes) -> list[bytes]:
    return [leaf_hash(leaves[at : at + LEAF]) for at in range(0, len(leaves), LEAF)]


def _leaves(count: int, keys: list[Locator]) -> tuple[bytes, list[set[int]]]:
    leaves = bytearray(b"".join(b"\x01" + secrets.token_bytes(LEAF - 1) for _ in range(count)))
    planted: list[set[int]] = [set() for _ in keys]
    for number, place in enumerate(random.sample(range(count), 5 * len(keys))):
        owner = number % len(keys)
        slot = place * LEAF + (33 if owner else 1)
        leaves[slot : slot + 32] = keys[owner].make(secrets.token_bytes(16))
        planted[owner].add(place)
    return bytes(leaves), planted
