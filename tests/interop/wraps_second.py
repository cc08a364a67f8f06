"""A second implementation of docs/format/grant.md and of the self wrap in vault-chain.md: shares, wraps, rows."""

import hashlib
import hmac
from itertools import combinations, pairwise

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.interop.records_second import RefusedError, demand, eight, pae


def h(data):
    """H."""
    return hashlib.sha256(data).digest()


def mac(key, message):
    """HMAC."""
    return hmac.digest(key, message, "sha256")


def hkdf(secret, info):
    """HKDF with an empty salt and 32 bytes of output."""
    return mac(mac(bytes(32), secret), info + b"\x01")


def grant_key(e0, gid):
    """Kg."""
    return hkdf(e0, pae("grant-key", gid))


def end_key(e0, gid):
    """Ke."""
    return hkdf(e0, pae("end-key", gid))


def share_a(e, gid, rekey):
    """A."""
    return hkdf(e, pae("share-a", gid, eight(rekey)))


def subsets(k, n):
    """All sets of n - k + 1 places."""
    return [list(places) for places in combinations(range(n), n - k + 1)]


def subset_name(keepers, places):
    """The name of a subset."""
    return h(b"".join(keepers[place] for place in places))


def seeds(e, gid, rekey, policy):
    """The seed of each subset, in order."""
    names = [subset_name(policy["keepers"], places) for places in policy["subsets"]]
    return [hkdf(e, pae("seed", gid, eight(rekey), name)) for name in names]


def share_b(seed, act, gid, rekey, doc, ver, ct_root):
    """B_T."""
    label = "share-b-list" if act == "list" else "share-b"
    return mac(seed, pae(label, gid, eight(rekey), doc, ver, ct_root))


def kek(event, a, all_b, doc, ver, ct_root):
    """KEK, from the fields of an event, A and B."""
    ids = (event["vault"], event["gid"], eight(event["rekey"]))
    recipient = (event["recipient"]["identity"], eight(event["reading_key"]))
    prk = mac(h(pae("kek", b"coffre-1", *ids, *recipient)), a)
    return mac(prk, pae("kek-doc", doc, ver, ct_root, b"".join(all_b)))


def wrap(key, document_key):
    """48 bytes."""
    return AESGCM(key).encrypt(bytes(12), document_key, None)


def unwrap(key, wrapped):
    """The document key."""
    try:
        return AESGCM(key).decrypt(bytes(12), wrapped, None)
    except InvalidTag as error:
        raise RefusedError("a wrap") from error


def self_key(e, vault, doc, ver, ct_root):
    """The key of the self wrap."""
    return hkdf(e, pae("self", vault, doc, ver, ct_root))


def a_box_info(event):
    """The binding of the A box."""
    ids = (event["origin"].encode(), event["vault"], event["gid"], eight(event["rekey"]))
    return pae("a-box", *ids, event["recipient"]["identity"], eight(event["reading_key"]))


def policy_info(origin, gid, j, keeper, trust_root):
    """The binding of a policy blob."""
    return pae("policy", origin.encode(), gid, eight(j), keeper, trust_root)


def row(doc, ver, ct_root, wrapped):
    """112 bytes."""
    return doc + ver + ct_root + wrapped


def rows_root(rows):
    """The RFC 6962 root over rows (tree.md)."""
    hashes = [h(b"\0" + each) for each in rows]
    return _root(hashes) if hashes else h(b"")


def read_rows(data, count, root):
    """Rows taken apart; refused unless they are those of the event."""
    demand(len(data) == 112 * count and count <= 1 << 20, "another length")
    rows = [data[at : at + 112] for at in range(0, len(data), 112)]
    demand(rows_root(rows) == root, "another root")
    demand(all(a[:32] < b[:32] for a, b in pairwise(rows)), "another order")
    return [(each[:16], each[16:32], each[32:64], each[64:]) for each in rows]


def _root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return h(b"\1" + _root(hashes[:k]) + _root(hashes[k:]))
