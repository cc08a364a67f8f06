"""The logs a keeper follows: the highest head of each that it cosigned, and what its mirror says under a head."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crypto.checkpoint import Checkpoint, origin_hash
from crypto.errors import NotFound, NotProven, Stale
from crypto.merkle import Frontier
from crypto.statements import Head
from vault_server.keeper.rows import LogRow, NewLeaves
from vault_server.keeper.store import Store


@dataclass(slots=True)
class FollowedLog:
    """One log. ``row`` is its highest head; ``asked`` when the server was last asked for a newer one."""

    row: LogRow
    asked: float = float("-inf")
    frontier: Frontier | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FollowedLogs:
    """All followed logs. A ``LogRow`` is one head; what is answered holds under it, and nothing beyond it is seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs: dict[str, FollowedLog] = {}
        self._names: dict[str, FollowedLog] = {}
        self._adding = asyncio.Lock()

    async def load(self) -> None:
        """Read the heads of the earlier runs."""
        for row in await self._store.logs():
            self._add(row)

    async def follow(self, origin: str) -> FollowedLog:
        """The log of this origin, followed from now on; the caller has seen a checkpoint signed by it."""
        async with self._adding:
            if origin not in self._logs:
                self._add(await self._store.add_log(origin))
        return self._logs[origin]

    def get(self, origin: str) -> FollowedLog | None:
        """The log of this origin, if it is followed."""
        return self._logs.get(origin)

    @property
    def entries(self) -> int:
        """How many leaves all logs have under their highest heads."""
        return sum(log.row.size for log in self._logs.values())

    def note(self, name: str) -> bytes:
        """The highest cosigned checkpoint of the log whose origin has this SHA-256 in hexadecimal."""
        log = self._names.get(name)
        if log is None or not log.row.note:
            raise NotFound("This log is unknown here")
        return log.row.note

    async def frontier(self, log: FollowedLog) -> Frontier:
        """The tree under the highest head, as a copy to go on from."""
        if log.frontier is None or log.frontier.size != log.row.size:
            log.frontier = await self._store.frontier(log.row.log, log.row.size)
        return Frontier(log.frontier.size, log.frontier.subtrees)

    async def advance(
        self,
        log: FollowedLog,
        checkpoint: Checkpoint,
        note: bytes,
        frontier: Frontier,
        new: NewLeaves,
        time: int,
        *,
        dated: bool,
    ) -> None:
        """Make ``checkpoint`` the highest head: on disk first, then here. The caller holds the log's lock.

        ``dated``: ``check_times`` will ask for its time.
        """
        head = LogRow(log.row.log, log.row.origin, checkpoint.size, checkpoint.root, note)
        await self._store.advance(log.row, head, new, time, dated=dated)
        log.row, log.frontier = head, frontier

    async def places(self, log: LogRow, slots: Sequence[bytes]) -> dict[bytes, int]:
        """The lowest place of each of ``slots`` under this head; those absent are left out."""
        return await self._store.places(log.log, log.size, slots)

    async def check_leaves(self, log: LogRow, expected: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Each of ``expected`` (place, looked-up slot, leaf) is under this head, and first with its slot.

        Raises NotProven unless they all are.
        """
        wanted = list(expected)
        lowest = await self.places(log, [slot for _, slot, _ in wanted])
        leaves = await self._store.leaves(log.log, [place for place, _, _ in wanted])
        for place, slot, leaf in wanted:
            if lowest.get(slot) != place or leaves.get(place) != leaf:
                raise NotProven("A log entry is not in the log as it is shown. It was not believed.")

    async def check_times(self, log: LogRow, dated: Sequence[tuple[int, int]], apart: int) -> None:
        """Each of ``dated`` (place, time) came when this keeper saw it come, give or take ``apart`` seconds.

        That is between the last cosignature of a head without it and the first of a head with it; what stood under
        the first head is taken as it is. Raises NotProven.
        """
        around = await self._store.cosigned_around(log.log, [place for place, _ in dated])
        for (_, time), (before, after) in zip(dated, around, strict=True):
            if before is not None and not before - apart <= time <= after + apart:
                raise NotProven("A log entry is dated when it was not in the log. It was not believed.")

    async def check_prefix(self, log: LogRow, checkpoint: Checkpoint) -> None:
        """Raises NotProven unless ``checkpoint`` is this head or one that it continues."""
        if checkpoint.size <= log.size and await self.root_at(log, checkpoint.size) == checkpoint.root:
            return
        raise NotProven("A head is not part of the log that is followed here. It was not believed.")

    async def check_recent(self, log: LogRow, head: Head, oldest: int) -> None:
        """Raises Stale unless ``head`` is this head, or one that was the highest until ``oldest`` or later."""
        if head == log.head:
            return
        past = await self._store.past_head(log.log, head.size)
        if past is None or past.root != head.root or past.replaced is None or past.replaced < oldest:
            raise Stale("A statement was made in the light of a head that is too old. It was not believed.")

    async def root_at(self, log: LogRow, size: int) -> bytes:
        """The root of the first ``size`` leaves, which are under this head."""
        if size == log.size:
            return log.root
        past = await self._store.past_head(log.log, size)
        return past.root if past is not None else (await self._store.frontier(log.log, size)).root()

    async def consistency(self, log: LogRow, size: int) -> list[bytes]:
        """The hashes that show the first ``size`` leaves to be the beginning of what is under this head."""
        return await self._store.consistency(log.log, size, log.size)

    def _add(self, row: LogRow) -> None:
        log = FollowedLog(row)
        self._logs[row.origin] = log
        self._names[origin_hash(row.origin)] = log
