"""A second implementation of docs/format/log-entries.md: leaves, slots, commitments, openings; and of kit.md."""

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.interop.records_second import decode, demand, digest, eight, encode, pad, pae, unpad
from tests.interop.wraps_second import hkdf, mac

FIRST = bytes(32)


def commitment(salt, envelope, part):
    """C."""
    parts = (salt, encode("Envelope", envelope), encode("ServerPart", part))
    return hashlib.sha256(pae("entry", *parts)).digest()


def leaf(slot_one, slot_two, c):
    """97 bytes."""
    return b"\x01" + slot_one + slot_two + c


def read_leaf(data):
    """Slots and commitment; None for a leaf of version 2, which has none."""
    demand(len(data) == 97 and data[0] in {1, 2}, "not a leaf")
    if data[0] == 2:
        return None
    return data[1:33], data[33:65], data[65:]


def successor_leaf(successor):
    """Leaf 0 of a log that takes another's place."""
    return b"\x01" + hashlib.sha256(pae("successor", encode("Successor", successor))).digest() + bytes(64)


def disclosed_leaf(disclosure, envelope):
    """The leaf that an envelope and a disclosure make."""
    demand(disclosure["part"]["body"] == digest(envelope), "another body")
    c = commitment(disclosure["salt"], envelope, disclosure["part"])
    return leaf(disclosure["slot_one"], disclosure["slot_two"], c)


def locator(key, origin, nonce):
    """A scanned locator."""
    aes = algorithms.AES(hkdf(key, pae("loc", origin.encode())))
    return nonce + Cipher(aes, modes.ECB()).encryptor().update(nonce)  # noqa: S305 - one block, as the page says


def is_locator(key, origin, slot):
    """Whether a slot is one of this key's."""
    return hmac.compare_digest(locator(key, origin, slot[:16]), slot)


def event_tag(ke, origin, gid, j):
    """Slot two of an event's leaf."""
    return mac(ke, pae("event", origin.encode(), gid, eight(j)))


def end_tag(ke, origin, gid):
    """Slot two of the leaf that ends a grant."""
    return mac(ke, pae("end", origin.encode(), gid))


def directory_slot(origin, identity, n):
    """Slot one of an identity link's leaf."""
    return hashlib.sha256(pae("dir", origin.encode(), identity, eight(n))).digest()


def previous(salt2, c):
    """SP.prev after another entry."""
    return hashlib.sha256(pae("prev", salt2, c)).digest()


def opening_info(origin, c):
    """The binding of a sealed opening."""
    return pae("opening", origin.encode(), c)


def opening_record(opening):
    """An opening, padded."""
    return pad(encode("Opening", opening))


def read_opening(record, c, before):
    """An opening that fits the leaf's C and the C of the vault's entry before (32 zero bytes if there is none)."""
    opening = decode("Opening", unpad(record), 2 << 20)
    part = opening["part"]
    demand(commitment(opening["salt"], opening["envelope"], part) == c, "another leaf")
    demand(part["body"] == digest(opening["envelope"]), "another body")
    expected = FIRST if before == FIRST else previous(opening["salt2"], opening["previous"])
    demand(opening["previous"] == before and part["prev"] == expected, "another entry before")
    return opening


def kit_text(seed):
    """The paper kit's text."""
    check = hashlib.sha256(pae("kit-check", seed)).digest()[:3]
    text = base64.b32encode(seed + check).decode()
    return "-".join(text[at : at + 4] for at in range(0, 56, 4))


def kit_seeds(text):
    """The seeds of root and unlock key in a kit's text."""
    compact = "".join(text.split()).replace("-", "").upper()
    demand(len(compact) == 56 and set(compact) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "not base32")
    seed = base64.b32decode(compact)[:32]
    demand(kit_text(seed).replace("-", "") == compact, "mistyped")
    return hkdf(seed, pae("kit-root")), hkdf(seed, pae("kit-unlock"))
