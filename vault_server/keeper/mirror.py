"""Fetching what a log has added, and believing a checkpoint only when its root is that of the leaves themselves.

That is stronger than a consistency proof: a keeper has seen every leaf it vouches for, and can look each one up.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from crypto import merkle
from crypto.access_log import parse_leaf
from crypto.checkpoint import Checkpoint
from crypto.errors import NotFound, NotProven, Unreachable
from crypto.evidence import Beginning
from crypto.merkle import Frontier
from crypto.pruning import check_beginning
from crypto.statements import Head
from crypto.tiles import WIDTH, Tile, decode_bundle, decode_tile, subtree_reader, tiles_read
from vault_server.keeper.clock import Clock
from vault_server.keeper.followed_logs import FollowedLog, FollowedLogs
from vault_server.keeper.rows import NewLeaves
from vault_server.keeper.source import Source
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust

# So many leaves are held in memory; a longer way is covered in steps, kept as drafts.
STEP = 16 * WIDTH


@dataclass(frozen=True, slots=True)
class Extension:
    """A followed log's tree, grown to a checkpoint, and those of its new leaves that are not yet stored.

    ``passed``: the root at each of the sizes on the way that were asked for.
    """

    frontier: Frontier
    new: NewLeaves
    passed: Mapping[int, bytes]


class Mirror:
    """Fetches leaves from the server."""

    def __init__(self, logs: FollowedLogs, store: Store, source: Source, trust: Trust, clock: Clock) -> None:
        self._logs, self._store, self._source = logs, store, source
        self._trust, self._clock = trust, clock

    async def extend(
        self, log: FollowedLog, checkpoint: Checkpoint, *, directory: bool, passing: Collection[int] = ()
    ) -> Extension:
        """Fetch the leaves that lead from the highest head of ``log`` to ``checkpoint``. The caller holds its lock.

        ``passing``: sizes on the way whose roots are wanted. Raises Malformed for entries that are not leaves, NotProven when
        they have another root, and as ``Source`` does. Nothing that
        was fetched is kept then. Of entries that are gone, as those over three years old may be, the hashes are kept.
        """
        frontier = await self._logs.frontier(log)
        gone = _NOTHING_GONE if directory else await self._gone(log, checkpoint.size)
        step = _Step(max(log.row.size, gone.until), directory)
        drafted = False
        passed = {frontier.size: frontier.root()}

        def append(leaf: bytes) -> None:
            frontier.append(leaf)
            gone.check(frontier)
            if frontier.size in passing:
                passed[frontier.size] = frontier.root()

        try:
            async for n, hashes in self._hashes(log, gone.until):
                for each in hashes:
                    append(each)
                step.subtrees[n] = await self._subtree(log, n, hashes)
            async for n, entries in self._bundles(log, max(log.row.size, gone.until), checkpoint.size):
                step.add(entries)
                for entry in entries:
                    append(merkle.leaf_hash(entry))
                if frontier.size % WIDTH == 0:
                    step.subtrees[n] = await self._subtree(log, n, [*map(merkle.leaf_hash, entries)])
                if len(step.leaves) >= STEP:
                    await self._store.add_drafts(log.row.log, step.new_leaves())
                    step = _Step(frontier.size, directory)
                    drafted = True
            _check_root(frontier, checkpoint)
        except BaseException:
            if drafted:
                await self._store.drop_drafts(log.row.log)
            raise
        return Extension(frontier, step.new_leaves(), passed)

    async def forget(self, log: FollowedLog) -> None:
        """Keep nothing of an extension that was refused after all."""
        await self._store.drop_drafts(log.row.log)

    async def beginning(self, origin: str, size: int, checkpoint: Checkpoint) -> Beginning:
        """What the tree under ``checkpoint`` has as its first ``size`` leaves, as the server's tiles show it.

        Raises NotProven or Malformed when they show nothing that leads to the checkpoint, and as ``Source`` does.
        """
        shown = partial(Beginning.shown, size, checkpoint.size)
        wanted = tiles_read(checkpoint.size, shown)
        tiles = {tile: await self._source.tile(origin, tile) for tile in wanted}
        found = shown(subtree_reader(checkpoint.size, tiles.__getitem__))
        found.check(Head(size=checkpoint.size, root=checkpoint.root))
        return found

    async def _gone(self, log: FollowedLog, size: int) -> "_Gone":
        """Which of the entries up to ``size`` are gone. Raises NotProven when they are not shown to be old."""
        origin, first = log.row.origin, log.row.size // WIDTH
        if (first + 1) * WIDTH >= size:
            return _NOTHING_GONE  # the newest bundle never is
        try:
            await self._source.bundle(origin, Tile("entries", first))
        except NotFound:
            said = await self._source.beginning(origin)
            if not said.minimum or said.note is None:
                return _NOTHING_GONE
            dated = check_beginning(self._trust.newest, origin, said.minimum, said.note, self._clock.now())
            if not said.minimum <= dated.size <= size:
                raise NotProven(
                    "A log's beginning is dated by a head that is not one of it. It was not cosigned."
                ) from None
            return _Gone(said.minimum, dated)
        return _NOTHING_GONE

    async def _hashes(self, log: FollowedLog, until: int) -> AsyncIterator[tuple[int, list[bytes]]]:
        """The hashes of the entries from the highest head up to ``until``, by bundle, where the entries are gone."""
        for n in range(log.row.size // WIDTH, until // WIDTH):
            data = await self._source.tile(log.row.origin, Tile(0, n))
            hashes, known = decode_tile(data, WIDTH), max(0, log.row.size - n * WIDTH)
            own = await self._store.leaves_between(log.row.log, n * WIDTH, log.row.size) if known else []
            if hashes[:known] != [*map(merkle.leaf_hash, own)]:
                raise NotProven(
                    "A log's tile holds other hashes than the entries known here. It was not cosigned."
                )
            yield n, hashes[known:]

    async def _bundles(
        self, log: FollowedLog, start: int, size: int
    ) -> AsyncIterator[tuple[int, list[bytes]]]:
        """The entries from ``start`` up to ``size``, bundle by bundle, with each bundle's number."""
        for n in range(start // WIDTH, -(-size // WIDTH)):
            width, known = min(WIDTH, size - n * WIDTH), max(0, start - n * WIDTH)
            if known < width:
                yield n, (await self._bundle(log.row.origin, n, width))[known:]

    async def _subtree(self, log: FollowedLog, n: int, hashes: list[bytes]) -> bytes:
        """The hash over the 256 leaves of bundle ``n``, of which those with ``hashes`` are the last and ours the others."""
        start, end = n * WIDTH, (n + 1) * WIDTH - len(hashes)
        own = await self._store.leaves_between(log.row.log, start, end) if start < end else []
        return merkle.root_of([*map(merkle.leaf_hash, own), *hashes])

    async def _bundle(self, origin: str, n: int, width: int) -> list[bytes]:
        """The first ``width`` entries of bundle ``n``: a server may have replaced a partial bundle by the full one."""
        for offered in (width, WIDTH):
            try:
                data = await self._source.bundle(origin, Tile("entries", n, offered))
            except NotFound:
                continue
            return decode_bundle(data, offered)[:width]
        raise Unreachable("The server does not show the entries under its checkpoint. It was not cosigned.")


def _check_root(frontier: Frontier, checkpoint: Checkpoint) -> None:
    if frontier.root() != checkpoint.root:
        raise NotProven("A checkpoint does not have the root of the log's own leaves. It was not cosigned.")


@dataclass(frozen=True, slots=True)
class _Gone:
    """That the entries below ``until`` are gone, and the head that dates them."""

    until: int
    dated: Checkpoint | None

    def check(self, frontier: Frontier) -> None:
        """Raises NotProven when the tree has come to the size of that head and has another root."""
        dated = self.dated
        if dated is not None and frontier.size == dated.size and frontier.root() != dated.root:
            raise NotProven(
                "A log's beginning is dated by a head that is not one of it. It was not cosigned."
            )


_NOTHING_GONE = _Gone(0, None)


class _Step:
    """Leaves on their way into the store."""

    def __init__(self, start: int, directory: bool) -> None:
        self._start, self._directory = start, directory
        self.leaves: list[bytes] = []
        self.subtrees: dict[int, bytes] = {}
        self._slots: list[bytes | None] = []

    def add(self, entries: list[bytes]) -> None:
        """Take entries. Raises Malformed for one that is not a leaf."""
        for entry in entries:
            leaf = parse_leaf(entry)
            slot = None if leaf is None else leaf.slot_one if self._directory else leaf.slot_two
            self._slots.append(slot)
        self.leaves += entries

    def new_leaves(self) -> NewLeaves:
        """What the store is given."""
        return NewLeaves(self._start, self.leaves, self._slots, self.subtrees)
