"""Logs in memory, signed and served as a vault server would: what a keeper follows in tests.

Honest unless a test changes something: leaves can be replaced, notes signed by other keys, answers withheld.
"""

from typing import Any

import msgspec

from crypto import labels, merkle
from crypto.access_log import Disclosure, Leaf
from crypto.checkpoint import Checkpoint, cosign, sign_checkpoint
from crypto.errors import NotFound, Unreachable
from crypto.receipt import AddCheckpoint, Receipt
from crypto.signing import Envelope, SigningKey, sign
from crypto.tiles import HEIGHT, WIDTH, Tile, encode_bundle
from crypto.trust_root import InstanceCard
from crypto.wire.keeper_api import KeeperCard
from crypto.wire.messages import LogBeginning, TrustRootChain
from tests.support.people import LOG, NOW, Directory, KeeperKeys, Service, fresh


class SmallLog:
    """One log: its leaves, and its key."""

    def __init__(self, origin: str, key: SigningKey) -> None:
        self.origin, self.key = origin, key
        self.leaves: list[bytes] = []
        self.beginning = LogBeginning(minimum=0, note=None)

    def append(self, leaf: bytes) -> int:
        """Add a leaf and return its place."""
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def fill(self, count: int) -> None:
        """Add leaves that mean nothing to anybody."""
        self.leaves += [random_leaf() for _ in range(count)]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The head at ``size`` leaves, by default all."""
        at = len(self.leaves) if size is None else size
        return Checkpoint(self.origin, at, merkle.root_of(self._hashes()[:at]))

    def note(self, size: int | None = None) -> bytes:
        """The signed head."""
        return sign_checkpoint(self.checkpoint(size), self.key)

    def bundle(self, tile: Tile) -> bytes:
        """An entry bundle."""
        start = tile.n * WIDTH
        if start + tile.width <= self.beginning.minimum or start + tile.width > len(self.leaves):
            raise NotFound("This part of the log")
        return encode_bundle(self.leaves[start : start + tile.width])

    def tile(self, tile: Tile) -> bytes:
        """A tile of hashes."""
        start = tile.n * WIDTH
        rows = [self._subtree(int(tile.level) * HEIGHT, start + place) for place in range(tile.width)]
        return b"".join(rows)

    def extension(self, old: int, size: int | None = None) -> AddCheckpoint:
        """The request to follow from ``old`` leaves to ``size``."""
        head = self.checkpoint(size)
        path = merkle.consistency_path(old, head.size, self._subtree) if old <= head.size else []
        return AddCheckpoint(old, tuple(path), sign_checkpoint(head, self.key))

    def receipt(self, index: int, note: bytes, size: int) -> bytes:
        """A tlog-proof of one leaf under a note of ``size`` leaves."""
        path = merkle.inclusion_path(index, size, self._subtree)
        return Receipt(index, tuple(path), note).encode()

    def _hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(leaf) for leaf in self.leaves]

    def _subtree(self, level: int, index: int) -> bytes:
        return merkle.root_of(self._hashes()[index << level : (index + 1) << level])


class LoggedDirectory(Directory):
    """A directory whose leaves can be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.log = SmallLog(self.origin, SigningKey.generate())

    def append(self, identity: bytes, n: int, envelope: Envelope, time: int) -> Disclosure:
        """Log link ``n`` of ``identity``."""
        disclosure = super().append(identity, n, envelope, time)
        self.log.append(disclosure.leaf(envelope).to_bytes())
        return disclosure


class LoggedService(Service):
    """A service with one shard and a directory, whose first keeper is a real one. It is a keeper's ``Source``.

    The other keepers cosign whatever they are given, at ``other_times``.
    """

    def __init__(self, card: KeeperCard, k: int = 1, n: int = 1) -> None:
        super().__init__(k, n)
        self.directory: LoggedDirectory = LoggedDirectory()
        self.shard = SmallLog(LOG, SigningKey.generate())
        self.logs = {log.origin: log for log in (self.shard, self.directory.log)}
        self.published: dict[str, bytes] = {}
        self.cosigned: dict[str, int] = {}
        self.chain: list[Envelope] = []
        self.silent = False
        self.pinned: InstanceCard | None = None
        self.questions = 0
        self.other_times = [NOW] * (n - 1)
        others = self.root.keepers[1:]
        own = msgspec.structs.replace(
            self.root.keepers[0],
            name=card.name,
            cosigning_key=card.cosigning_key,
            sealing_key=card.sealing_key,
            url=card.url,
            operator=card.operator,
        )
        self.set_root(
            log_key=self.shard.key.public.raw,
            directory_key=self.directory.log.key.public.raw,
            keepers=(own, *others),
        )

    @property
    def card(self) -> InstanceCard:
        """The instance card: of the first trust root, unless ``pinned`` is another."""
        return self.pinned or InstanceCard(
            suite=labels.SUITE, url="http://127.0.0.1:1", root=self.accepted.ref
        )

    @property
    def other_keepers(self) -> list[tuple[str, KeeperKeys]]:
        """The keepers that are not real, by name."""
        return [(keeper.name, keys) for keeper, keys in zip(self.root.keepers, self.keepers, strict=True)][1:]

    def set_root(self, **changes: Any) -> None:
        """Make this the first trust root."""
        self.root = msgspec.structs.replace(self.root, **changes)
        self.signed_root = sign(labels.TRUST_ROOT, self.root, *self.root_keys)
        self.chain = [self.signed_root]

    def next_root(self, **changes: Any) -> None:
        """Sign the next trust root; signers of this service go on naming the first."""
        following = {"version": len(self.chain) + 1, "previous": self.chain[-1].digest}
        body = msgspec.structs.replace(self.root, **{**following, **changes})
        self.chain.append(sign(labels.TRUST_ROOT, body, *self.root_keys))

    async def publish(self, keeper: Any, origin: str) -> bytes:
        """Have the newest head of a log cosigned by all keepers, and publish it."""
        log = self.logs[origin]
        request = log.extension(self.cosigned.get(origin, 0))
        line = await keeper.add_checkpoint(request.encode())
        head = log.checkpoint()
        for (name, keys), time in zip(self.other_keepers, self.other_times, strict=True):
            line += cosign(head, name, keys.cosigning, time)
        self.cosigned[origin] = head.size
        self.published[origin] = request.note + line
        return self.published[origin]

    async def publish_all(self, keeper: Any) -> None:
        """Publish the heads of both logs."""
        for origin in self.logs:
            await self.publish(keeper, origin)

    async def trust_roots(self, since: int) -> TrustRootChain:
        """The trust roots after version ``since``."""
        self._answer()
        return TrustRootChain(chain=tuple(self.chain[since:]))

    async def checkpoint(self, origin: str) -> bytes:
        """The newest published checkpoint of a log."""
        self._answer()
        if origin not in self.published:
            raise NotFound("This log")
        return self.published[origin]

    async def bundle(self, origin: str, tile: Tile) -> bytes:
        """An entry bundle of a log."""
        self._answer()
        return self.logs[origin].bundle(tile)

    async def tile(self, origin: str, tile: Tile) -> bytes:
        """A tile of a log's hashes."""
        self._answer()
        return self.logs[origin].tile(tile)

    async def beginning(self, origin: str) -> LogBeginning:
        """From which entry on a log's entries are there."""
        self._answer()
        return self.logs[origin].beginning

    def _answer(self) -> None:
        if self.silent:
            raise Unreachable("The server did not answer.")
        self.questions += 1


def random_leaf(slot_two: bytes | None = None, slot_one: bytes | None = None) -> bytes:
    """A leaf with these slots; what is not given is random."""
    leaf = Leaf(slot_one=slot_one or fresh(), slot_two=slot_two or fresh(), commitment=fresh())
    return leaf.to_bytes()
