"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: roots, proofs, and the checks of both proofs.

A leaf is hashed behind a zero byte, a node behind a one byte. Content addresses (``ct_root``), row tables, the access
log and the directory log are all this tree. Proofs are made through a function that knows the hash of every complete
aligned subtree, so a store that keeps some of them answers in O(log n) reads. The format page is docs/format/tree.md.
"""

import hashlib
from collections.abc import Callable, Sequence

from crypto.errors import Malformed, NotProven

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256().digest()

SubtreeHash = Callable[[int, int], bytes]
"""``(level, index)`` to the hash of the leaves from ``index << level`` up to ``(index + 1) << level``."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two others."""
    return _sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, in order.

    It is also the root over the leaves below, given the hashes of consecutive subtrees of 2^k leaves each, of which
    the last may be shorter.
    """
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        alone = row[-1:] if len(row) % 2 else []
        row = [
            _sha256(b"\1" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)
        ]
        row += alone
    return row[0]


class Frontier:
    """A tree that only grows, kept as its complete subtrees: one hash for each 1 bit of the size, the largest first.

    ``size`` and ``subtrees`` are all there is to store; ``Frontier(size, subtrees)`` goes on from there.
    """

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """Raises Malformed unless there is one 32-byte hash for each 1 bit of ``size``."""
        if (
            size < 0
            or len(subtrees) != size.bit_count()
            or any(len(subtree) != HASH_SIZE for subtree in subtrees)
        ):
            raise Malformed(
                f"The stored edge of a tree of size {size} was refused: its hashes do not fit its size."
            )
        self.size = size
        self._subtrees = list(subtrees)

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The hashes of the complete subtrees, from left to right."""
        return tuple(self._subtrees)

    def append(self, leaf: bytes) -> None:
        """Add one leaf by its hash. Raises Malformed unless it has 32 bytes."""
        self.append_subtree(leaf, 0)

    def append_subtree(self, subtree: bytes, level: int) -> None:
        """Add 2^level leaves by the hash over them.

        Raises Malformed unless the hash has 32 bytes and the leaves so far fill whole subtrees of that level.
        """
        if len(subtree) != HASH_SIZE or self.size & ((1 << level) - 1):
            raise Malformed(
                f"A subtree of level {level} was not added: it does not fit a tree of size {self.size}."
            )
        complete = self.size >> level
        while complete & 1:
            subtree = _sha256(b"\1" + self._subtrees.pop() + subtree).digest()
            complete >>= 1
        self._subtrees.append(subtree)
        self.size += 1 << level

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return _joined(self._subtrees)


def inclusion_path(index: int, size: int, hash_of_subtree: SubtreeHash) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves, the leaf's sibling first (RFC 6962, 2.1.1).

    Raises NotProven when there is no such leaf.
    """
    if not 0 <= index < size:
        raise NotProven(f"No proof was made: there is no leaf {index} in a tree of {size}.")
    begin, end = 0, size
    path = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_hash_between(middle, end, hash_of_subtree))
            end = middle
        else:
            path.append(_hash_between(begin, middle, hash_of_subtree))
            begin = middle
    return path[::-1]


def consistency_path(old: int, new: int, hash_of_subtree: SubtreeHash) -> list[bytes]:
    """The proof that the tree of ``old`` leaves is a prefix of that of ``new`` (RFC 6962, 2.1.2).

    Empty from an empty tree and between equal trees. Raises NotProven when ``old`` is the larger.
    """
    if not 0 <= old <= new:
        raise NotProven(f"No proof was made: a tree of size {old} is no prefix of one of size {new}.")
    if old in {0, new}:
        return []
    begin, end = 0, new
    path = []
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_hash_between(middle, end, hash_of_subtree))
            end = middle
        else:
            path.append(_hash_between(begin, middle, hash_of_subtree))
            begin = middle
    if begin:  # otherwise what is left is the old tree, whose root the verifier has
        path.append(_hash_between(begin, end, hash_of_subtree))
    return path[::-1]


def complete_subtrees(size: int, hash_of_subtree: SubtreeHash) -> list[bytes]:
    """The subtrees that a ``Frontier`` of the first ``size`` leaves is made of."""
    found, begin = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append(hash_of_subtree(level, begin >> level))
            begin += 1 << level
    return found


def beginning_root(size: int, hash_of_subtree: SubtreeHash) -> bytes:
    """The root over the first ``size`` leaves of a tree."""
    return _hash_between(0, size, hash_of_subtree)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash ``leaf`` is number ``index`` of the ``size`` leaves under ``root``.

    Raises NotProven unless the index is below the size, every hash has 32 bytes, the path has exactly the length
    that index and size ask for, and it leads to the root.
    """
    if not 0 <= index < size:
        raise NotProven(f"An inclusion proof was refused: there is no leaf {index} in a tree of {size}.")
    _check_hashes(leaf, root, *path)
    # Below ``shared`` the way up from this leaf is not yet the tree's right edge, and has a sibling at every level.
    # Above, it is, and only the siblings to its left exist.
    shared = (index ^ (size - 1)).bit_length()
    if len(path) != shared + (index >> shared).bit_count():
        raise NotProven("An inclusion proof was refused: it has the wrong length for its leaf and tree.")
    node = leaf
    for level, sibling in enumerate(path):
        is_right = level >= shared or index >> level & 1
        node = node_hash(sibling, node) if is_right else node_hash(node, sibling)
    if node != root:
        raise NotProven(
            "An inclusion proof was refused: it does not lead to the root. Nothing it showed was believed."
        )


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the first ``old`` of the ``new`` leaves under ``new_root`` are those under ``old_root``.

    Raises NotProven unless old is at most new, every hash has 32 bytes, the path has exactly the length that the sizes
    ask for, and it leads to both roots. Nothing follows from an empty tree, whose root must be that of no leaves.
    """
    if not 0 <= old <= new:
        raise NotProven(
            f"A consistency proof was refused: a tree of size {old} is no prefix of one of size {new}."
        )
    _check_hashes(old_root, new_root, *path)
    if old in {0, new}:
        if path or old_root != (EMPTY_ROOT if old == 0 else new_root):
            raise NotProven("A consistency proof was refused: the two trees of one size differ.")
        return
    # The walk starts at the last complete subtree of the old tree. When that is the whole old tree, its hash is the
    # old root and the proof leaves it out.
    last = old - 1
    start = (old ^ last).bit_length() - 1
    shared = (last ^ (new - 1)).bit_length()
    nodes = [old_root, *path] if old == 1 << start else list(path)
    if len(nodes) != 1 + shared - start + (last >> shared).bit_count():
        raise NotProven("A consistency proof was refused: it has the wrong length for its two trees.")
    old_node = new_node = nodes[0]
    for level, sibling in enumerate(nodes[1:], start):
        if level >= shared or last >> level & 1:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
        else:
            new_node = node_hash(new_node, sibling)
    if old_node != old_root or new_node != new_root:
        raise NotProven("A consistency proof was refused: the larger tree does not continue the smaller one.")


def _split(width: int) -> int:
    """The largest power of two below ``width``: where RFC 6962 divides a tree of that many leaves."""
    return 1 << ((width - 1).bit_length() - 1)


def _hash_between(begin: int, end: int, hash_of_subtree: SubtreeHash) -> bytes:
    """The hash over leaves ``begin`` to ``end``, where every complete subtree of that range is aligned."""
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append(hash_of_subtree(level, begin >> level))
        begin += 1 << level
    return _joined(subtrees)


def _joined(subtrees: Sequence[bytes]) -> bytes:
    """The root over complete subtrees of falling size."""
    if not subtrees:
        return EMPTY_ROOT
    *others, node = subtrees
    for subtree in reversed(others):
        node = node_hash(subtree, node)
    return node


def _check_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise NotProven("A proof was refused: one of its hashes does not have 32 bytes.")
