"""Finding one's own leaves: every new leaf of the shard is tested, and the root recomputed from all of them.

The same loop is consistency, completeness and truncation check at once: whatever the server shows must give the root
that the keepers cosigned, and every leaf is tested under every key, so nothing of ours can be left out unseen.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from crypto.access_log import LEAF, Leaf, parse_leaf
from crypto.encoding import Body, Bytes32, Natural, ShortText
from crypto.errors import NotProven
from crypto.locators import Locator, SlotColumn
from crypto.merkle import Frontier, leaf_hash
from crypto.statements import Head

BLOCK = 1 << 14


class Scanned(Body, frozen=True):
    """How far a log was scanned: enough to go on without the earlier leaves."""

    origin: ShortText
    size: Natural
    subtrees: tuple[Bytes32, ...]


@dataclass(frozen=True)
class Tagged:
    """What an exact tag in slot two means: event ``j`` of a grant, or its end."""

    gid: bytes
    j: int | None


@dataclass(frozen=True)
class ScanKeys:
    """All that finds leaves: Kv of each epoch, Kg of each grant, and the exact tags of events and ends."""

    vault: tuple[Locator, ...]
    grants: Mapping[bytes, Locator]
    tags: Mapping[bytes, Tagged]


@dataclass
class FoundLeaf:
    """A leaf that some key found, and by what."""

    index: int
    leaf: Leaf
    by_vault: bool = False
    by_grant: bytes | None = None
    by_tag: Tagged | None = None


@dataclass
class ScanResult:
    """Found leaves by index, and how far the scan came."""

    scanned: Scanned
    found: dict[int, FoundLeaf] = field(default_factory=dict)


def begin(origin: str) -> Scanned:
    """Nothing scanned yet."""
    return Scanned(origin=origin, size=0, subtrees=())


def scan(scanned: Scanned, leaves: Iterable[bytes], keys: ScanKeys, head: Head) -> ScanResult:
    """Test all leaves after ``scanned`` and recompute the root of ``head``. ``leaves`` come in blocks.

    Raises NotProven when the leaves are not those that ``head`` commits to; then nothing was found.
    """
    frontier, found, start = Frontier(scanned.size, scanned.subtrees), {}, scanned.size
    for block in leaves:
        for place, leaf in _find(block, keys).items():
            leaf.index = start + place
            found[leaf.index] = leaf
        for at in range(0, len(block), LEAF):
            frontier.append(leaf_hash(block[at : at + LEAF]))
        start += len(block) // LEAF
    if start != head.size or frontier.root() != head.root:
        raise NotProven(
            "The entries shown are not those that the log signed. Nothing was believed. Keep this evidence."
        )
    ahead = Scanned(origin=scanned.origin, size=start, subtrees=frontier.subtrees)
    return ScanResult(scanned=ahead, found=found)


def _find(block: bytes, keys: ScanKeys) -> dict[int, FoundLeaf]:
    found: dict[int, FoundLeaf] = {}

    def at(places: Iterable[int]) -> Iterator[FoundLeaf]:
        for place in places:
            leaf = parse_leaf(block[place * LEAF : (place + 1) * LEAF])
            if leaf is not None:  # what a leaf of another version holds is no slot
                yield found.setdefault(place, FoundLeaf(index=place, leaf=leaf))

    one, two = SlotColumn(block, 1), SlotColumn(block, 2)
    for locator in keys.vault:
        for leaf in at(locator.find(one)):
            leaf.by_vault = True
    for gid, locator in keys.grants.items():
        for leaf in at(locator.find(two)):
            leaf.by_grant = gid
    if keys.tags:
        starts = range(0, len(block), LEAF)
        for leaf in at(start // LEAF for start in starts if block[start + 33 : start + 65] in keys.tags):
            leaf.by_tag = keys.tags[leaf.leaf.slot_two]
    return found
