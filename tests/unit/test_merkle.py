"""The tree against the definitions of RFC 6962, written out as they stand there."""

import hashlib

import pytest

from crypto.errors import Malformed, NotProven
from crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    complete_subtrees,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 40
LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(2 * LARGEST)]


def largest_power_below(width):
    power = 1
    while power * 2 < width:
        power *= 2
    return power


def naive_root(leaves):
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m, leaves):
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m, leaves, is_old_tree=True):
    if m == len(leaves):
        return [] if is_old_tree else [naive_root(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], is_old_tree), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def subtree(level, index):
    """What a store knows: the hash of a complete aligned subtree."""
    return naive_root(LEAVES[index << level : (index + 1) << level])


ROOTS = [naive_root(LEAVES[:size]) for size in range(2 * LARGEST)]


def flipped(value):
    return bytes([value[0] ^ 1]) + value[1:]


def damaged(path):
    """Every path that is one hash away: one bit of it, one left out, one added, one cut short."""
    for at, each in enumerate(path):
        yield [*path[:at], flipped(each), *path[at + 1 :]]
        yield path[:at] + path[at + 1 :]
        yield [*path[:at], each[:31], *path[at + 1 :]]
        yield [*path[:at], each + b"\0", *path[at + 1 :]]
    yield [LEAVES[0], *path]
    yield [*path, LEAVES[0]]


def test_roots_are_those_of_the_definition():
    """Every way of computing a root gives the root of RFC 6962."""
    frontier = Frontier()
    for size in range(2 * LARGEST):
        assert root_of(LEAVES[:size]) == ROOTS[size]
        assert frontier.size == size
        assert frontier.root() == ROOTS[size]
        frontier.append(LEAVES[size])


def test_an_empty_tree_has_the_hash_of_nothing():
    """No leaves have the SHA-256 of no bytes as their root."""
    assert root_of([]) == Frontier().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_leaves_and_nodes_are_hashed_apart():
    """A leaf that spells two hashes is not the node above them."""
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_root_follows_from_the_roots_of_equal_parts():
    """The hashes of parts of 2^k leaves, the last perhaps shorter, give the root over all leaves."""
    for size in range(1, 2 * LARGEST):
        for width in (1, 2, 4, 8, 16):
            parts = [naive_root(LEAVES[at : min(at + width, size)]) for at in range(0, size, width)]
            assert root_of(parts) == ROOTS[size]


def test_a_frontier_goes_on_from_its_subtrees():
    """Size and subtree hashes are all that has to be stored."""
    for size in range(LARGEST):
        first = Frontier()
        for leaf in LEAVES[:size]:
            first.append(leaf)
        again = Frontier(first.size, first.subtrees)
        assert again.subtrees == tuple(
            subtree(level, (size >> level) - 1) for level in range(6, -1, -1) if size >> level & 1
        )
        assert complete_subtrees(size, subtree) == list(first.subtrees)
        for leaf in LEAVES[size : size + 5]:
            again.append(leaf)
        assert again.root() == ROOTS[size + 5]
        assert first.root() == ROOTS[size]


def test_a_frontier_takes_whole_subtrees():
    """A complete subtree counts as its leaves wherever it is aligned."""
    for level in range(4):
        for before in range(0, 32, 1 << level):
            frontier = Frontier()
            for leaf in LEAVES[:before]:
                frontier.append(leaf)
            frontier.append_subtree(subtree(level, before >> level), level)
            assert frontier.size == before + (1 << level)
            assert frontier.root() == ROOTS[frontier.size]
            assert Frontier(frontier.size, frontier.subtrees).root() == frontier.root()


def test_a_frontier_refuses_what_does_not_fit():
    """A subtree off its place, a short hash and a wrong number of hashes are refused and change nothing."""
    frontier = Frontier()
    frontier.append(LEAVES[0])
    with pytest.raises(Malformed):
        frontier.append_subtree(subtree(1, 1), 1)
    with pytest.raises(Malformed):
        frontier.append(LEAVES[1][:31])
    assert (frontier.size, frontier.root()) == (1, ROOTS[1])
    for size, subtrees in [
        (-1, []),
        (-1, LEAVES[:1]),
        (0, LEAVES[:1]),
        (3, LEAVES[:1]),
        (2, LEAVES[:2]),
        (1, [b"short"]),
    ]:
        with pytest.raises(Malformed):
            Frontier(size, subtrees)


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof_holds_and_no_other(size):
    """Each path is the one of RFC 6962 and holds for its leaf, index and root only."""
    for index in range(size):
        path = inclusion_path(index, size, subtree)
        assert path == naive_path(index, LEAVES[:size])
        verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])
        for other in set(range(-1, size + 2)) - {index}:
            with pytest.raises(NotProven):
                verify_inclusion(LEAVES[index], other, size, path, ROOTS[size])
        for leaf, root in [
            (LEAVES[index - 1 if size == 1 else (index + 1) % size], ROOTS[size]),
            (LEAVES[index], ROOTS[size + 1]),
            (LEAVES[index][:31], ROOTS[size]),
            (LEAVES[index], ROOTS[size][:31]),
        ]:
            with pytest.raises(NotProven):
                verify_inclusion(leaf, index, size, path, root)
        for bad in damaged(path):
            with pytest.raises(NotProven):
                verify_inclusion(LEAVES[index], index, size, bad, ROOTS[size])


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_every_consistency_proof_holds_and_no_other(new):
    """Each proof is the one of RFC 6962 and holds for its two roots only."""
    for old in range(1, new + 1):
        path = consistency_path(old, new, subtree)
        assert path == naive_proof(old, LEAVES[:new])
        verify_consistency(old, ROOTS[old], new, ROOTS[new], path)
        for old_root, new_root in [
            (flipped(ROOTS[old]), ROOTS[new]),
            (ROOTS[old], flipped(ROOTS[new])),
            (ROOTS[old][:31], ROOTS[new]),
            (ROOTS[old], ROOTS[new] + b"\0"),
        ]:
            with pytest.raises(NotProven):
                verify_consistency(old, old_root, new, new_root, path)
        for bad in damaged(path):
            with pytest.raises(NotProven):
                verify_consistency(old, ROOTS[old], new, ROOTS[new], bad)


def test_a_hash_of_another_length_cannot_move_the_border_between_two():
    """A leaf hash that takes a byte of its sibling joins to the same bytes, and is refused; so is a hash of no bytes."""
    left, right = LEAVES[:2]
    with pytest.raises(NotProven):
        verify_inclusion(left + right[:1], 0, 2, [right[1:]], ROOTS[2])
    with pytest.raises(NotProven):
        verify_inclusion(b"", 0, 1, [], b"")
    with pytest.raises(NotProven):
        verify_consistency(1, b"", 1, b"", [])


def test_sizes_are_looked_at_whatever_the_hashes_fit():
    """A path made for a leaf behind the last, and a proof made for a tree that shrinks, lead to their roots in vain."""
    a, b, c = LEAVES[:3]
    with pytest.raises(NotProven):
        verify_inclusion(b, 1, 1, [a], node_hash(a, b))
    with pytest.raises(NotProven):
        verify_consistency(3, node_hash(c, a), 2, node_hash(c, node_hash(a, b)), [a, b, c])


def test_a_proof_cannot_go_on_above_the_root():
    """A path with one hash more leads to the root of a taller tree, which is not the tree of that size."""
    above = LEAVES[50]
    for size in range(1, 20):
        path = inclusion_path(size - 1, size, subtree)
        with pytest.raises(NotProven):
            verify_inclusion(LEAVES[size - 1], size - 1, size, [*path, above], node_hash(above, ROOTS[size]))
        for old in range(1, size):
            path = consistency_path(old, size, subtree)
            roots = node_hash(above, ROOTS[old]), node_hash(above, ROOTS[size])
            with pytest.raises(NotProven):
                verify_consistency(old, roots[0], size, roots[1], [*path, above])


def test_a_rewritten_leaf_breaks_consistency():
    """A tree that changes any leaf the old one held cannot be shown to continue it, whatever proof it makes."""
    for old in range(1, 20):
        for changed in range(old):
            leaves = [*LEAVES[:changed], flipped(LEAVES[changed]), *LEAVES[changed + 1 : 24]]
            path = naive_proof(old, leaves)
            with pytest.raises(NotProven):
                verify_consistency(old, ROOTS[old], len(leaves), naive_root(leaves), path)


def test_an_empty_tree_is_a_prefix_of_every_tree():
    """From size 0 the proof is empty, and the old root must be that of no leaves."""
    for new in range(5):
        assert consistency_path(0, new, subtree) == []
        verify_consistency(0, EMPTY_ROOT, new, ROOTS[new], [])
        with pytest.raises(NotProven):
            verify_consistency(0, LEAVES[0], new, ROOTS[new], [])
        with pytest.raises(NotProven):
            verify_consistency(0, EMPTY_ROOT, new, ROOTS[new], [LEAVES[0]])


def test_no_tree_shrinks():
    """A smaller tree never follows a larger one, and no proof is made or accepted for it."""
    with pytest.raises(NotProven):
        consistency_path(3, 2, subtree)
    with pytest.raises(NotProven):
        verify_consistency(3, ROOTS[3], 2, ROOTS[2], [])
    with pytest.raises(NotProven):
        verify_consistency(-1, ROOTS[0], 2, ROOTS[2], [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (5, 3)])
def test_no_proof_is_made_for_a_leaf_outside_the_tree(index, size):
    """An index that is not below the size has no path."""
    with pytest.raises(NotProven):
        inclusion_path(index, size, subtree)
