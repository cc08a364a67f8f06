"""Finding one's own leaves: by which keys, and which leaves have nothing to find."""

import pytest

from crypto.errors import NotProven
from crypto.locators import Locator
from crypto.merkle import Frontier, leaf_hash, root_of
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from tests.support.people import LOG, fresh
from vault_client.log_scan import ScanKeys, Tagged, begin, scan

VAULT, GRANT = (Locator(SecretBytes.random(), LOG) for _ in range(2))
GID, TAG = fresh(), fresh()
KEYS = ScanKeys(vault=(VAULT,), grants={GID: GRANT}, tags={TAG: Tagged(GID, None)})


def found_leaf(version: int, *, tagged: bool) -> bytes:
    """97 bytes that every key finds, were they a leaf of version 1; ``tagged``: by its tag, else by Kg."""
    slot_two = TAG if tagged else GRANT.make(fresh(16))
    return bytes([version]) + VAULT.make(fresh(16)) + slot_two + fresh()


def head_of(leaves: list[bytes]) -> Head:
    """The head of a log."""
    return Head(size=len(leaves), root=root_of([leaf_hash(leaf) for leaf in leaves]))


def test_leaves_are_found_by_their_slots():
    """A leaf is found by Kv, Kg or tag, at its place in the log; cover leaves are not."""
    leaves = [b"\1" + fresh(96), found_leaf(1, tagged=False), found_leaf(1, tagged=True)]
    result = scan(begin(LOG), [leaves[0], leaves[1] + leaves[2]], KEYS, head_of(leaves))
    one, two = result.found.values()
    assert (one.index, one.by_vault, one.by_grant, one.by_tag) == (1, True, GID, None)
    assert (two.index, two.by_vault, two.by_grant, two.by_tag) == (2, True, None, Tagged(GID, None))
    assert one.leaf.to_bytes() == leaves[1]


def test_a_map_root_is_counted_and_not_found():
    """A leaf of version 2 is part of the root; whatever it holds, no key finds it."""
    leaves = [b"\1" + fresh(96), found_leaf(2, tagged=False), found_leaf(2, tagged=True)]
    result = scan(begin(LOG), [b"".join(leaves)], KEYS, head_of(leaves))
    assert result.found == {}
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    assert (result.scanned.size, result.scanned.subtrees) == (3, frontier.subtrees)
    with pytest.raises(NotProven):
        scan(begin(LOG), [b"".join([*leaves[:2], b"\1" + leaves[2][1:]])], KEYS, head_of(leaves))
