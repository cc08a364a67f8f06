"""A second implementation of deposit.md: bindings, shares and the key of a standing wrap."""

from tests.interop.records_second import eight, pae
from tests.interop.wraps_second import h, mac


def card_info(card):
    """The binding of a card's box."""
    ids = (card["origin"].encode(), card["vault"], card["card"])
    return pae("card-box", *ids, card["depositor"]["identity"], eight(card["reading_key"]))


def info(label, deposit):
    """The binding of the boxes of a manifest: of the document key, and of A."""
    ids = [deposit[name] for name in ("vault", "card", "doc", "ver", "ct_root")]
    return pae(label, deposit["origin"].encode(), *ids)


def policy_info(origin, doc, ver, ct_root, keeper, trust_root):
    """The binding of a keeper's policy for a deposit."""
    return pae("standing-policy", origin.encode(), doc, ver, ct_root, keeper, trust_root)


def keys_info(event):
    """The binding of the category keys in a grant event."""
    ids = (event["origin"].encode(), event["vault"], event["gid"], eight(event["j"]))
    return pae("standing-keys", *ids, event["recipient"]["identity"], eight(event["reading_key"]))


def share_b(seed, doc, ver, ct_root):
    """B_T."""
    return mac(seed, pae("share-b-standing", doc, ver, ct_root))


def kek(deposit, category, a, all_b):
    """KEK, from where a deposit belongs, the category, A and B."""
    prk = mac(h(pae("kek-standing", b"coffre-1", deposit["vault"], deposit["card"], category)), a)
    ids = (deposit["doc"], deposit["ver"], deposit["ct_root"])
    return mac(prk, pae("kek-doc", *ids, b"".join(all_b)))
