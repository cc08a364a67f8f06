"""Pruning: entries older than the operator keeps them are destroyed, with what opens them; their hashes stay.

A log's beginning goes in steps, each of them one transaction. Before anything is destroyed there is a cosigned head that shows
how old it is: clients and keepers believe no beginning without it. The directory is never pruned.
"""

from collections.abc import Callable

from crypto.durations import DAY, HOUR
from crypto.errors import Refusal
from crypto.pruning import RETENTION, check_beginning
from crypto.quorum import quorum_times
from crypto.tiles import WIDTH
from crypto.trust_root import TrustRoot
from crypto.wire import messages as m
from vault_server.access_log import AccessLog
from vault_server.store import dated_heads
from vault_server.store import leaves as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.dated_heads import DatedHead

STEP = 64 * WIDTH
# The newest head that a client believes may be ten minutes old, and counts as its present.
MARGIN = HOUR


class Pruning:
    """The beginnings of the logs of one server. ``retention``: for how many seconds entries are kept."""

    def __init__(
        self,
        root: TrustRoot,
        reader: Statements,
        writer: Writer,
        log: AccessLog,
        retention: int,
        clock: Callable[[], float],
    ) -> None:
        self._root = root
        self._reader = reader
        self._writer = writer
        self._log = log
        self._retention = max(retention, RETENTION)
        self._clock = clock

    async def beginning(self, origin: str) -> m.LogBeginning:
        """From where the entries of a log are there, and the head that shows how old the others are."""
        minimum = await rows.minimum(self._reader, origin)
        if not minimum:
            return m.LogBeginning(minimum=0, note=None)
        shown = await dated_heads.newest(self._reader, origin, int(self._clock()) - RETENTION - MARGIN)
        return m.LogBeginning(minimum=minimum, note=None if shown is None else shown.note)

    async def run(self) -> None:
        """Keep a head of the day of every shard, and destroy what is older than it is kept."""
        for log in self._log.shards:
            if log.published is not None and log.published.head.size:
                size, note = log.published.head.size, log.published.note
                head = DatedHead(size, max(quorum_times(self._root, note)), note)
                await self._writer.run(
                    lambda transaction: dated_heads.keep(transaction, log.origin, head, DAY)  # noqa: B023
                )
            await self._prune(log.origin, log.durable.size)

    async def _prune(self, origin: str, size: int) -> None:
        now = int(self._clock())
        shown = await dated_heads.newest(self._reader, origin, now - self._retention - MARGIN)
        minimum = await rows.minimum(self._reader, origin)
        # The newest bundle stays, whatever its age: a log always has an entry.
        end = 0 if shown is None else min(shown.size, size - 1) // WIDTH * WIDTH
        if shown is None or end <= minimum:
            return
        try:
            check_beginning(self._root, origin, end, shown.note, now)
        except Refusal:  # its keepers are others by now: nobody would believe it
            return
        vaults = await vault_rows.in_log(self._reader, origin)
        while minimum < end:
            minimum = min(minimum + STEP, end)
            await self._writer.run(lambda transaction: self._destroy(transaction, origin, minimum, vaults))  # noqa: B023
        await self._writer.run(lambda transaction: dated_heads.forget(transaction, origin, end))

    async def _destroy(
        self, transaction: Transaction, origin: str, minimum: int, vaults: list[bytes]
    ) -> None:
        await rows.prune(transaction, origin, minimum)
        for vault in vaults:
            await vault_rows.forget_openings(transaction, vault, minimum)
        transaction.destroys = True
