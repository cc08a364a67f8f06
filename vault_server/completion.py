"""Completing the logs of an older backup with the leaves that keepers have: the very logs that were signed, to their newest heads.

Nothing of a file is believed. Its leaves must have the root of its checkpoint, the log's own key must have signed that, and what
the backup has of the log must be its beginning; of several files the longest head of each log counts, and all others must be
heads of it. So the server goes on where it stopped, and never signs a head below or beside one that it signed before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crypto import trust_root_chain
from crypto.checkpoint import Checkpoint, cosignatures, open_checkpoint
from crypto.errors import NotProven, Refusal
from crypto.merkle import EMPTY_ROOT, Frontier, leaf_hash
from crypto.tiles import HEIGHT
from crypto.trust_root import TrustRoot
from crypto.wire.losses import Loss
from vault_server import instance, leaves_file, lost_bodies
from vault_server.leaves_file import LogLeaves
from vault_server.log_check import check_head
from vault_server.log_tree import Edge, edge_tiles
from vault_server.settings import Settings
from vault_server.store import leaves as rows
from vault_server.store.database import Database, Statements
from vault_server.store.leaves import LogRow


class Completed(NamedTuple):
    """A log that was completed: what its entries from ``start`` up to ``end`` commit to is lost."""

    origin: str
    start: int
    end: int


@dataclass(frozen=True)
class _Shown:
    """What one file has of one log, its leaves compared with its checkpoint."""

    file: Path
    checkpoint: Checkpoint
    note: bytes


async def complete(settings: Settings, files: Sequence[Path], now: int) -> list[Completed]:
    """Complete the logs of the server in ``settings.data``, which nobody uses; returns those that were longer.

    Raises Malformed for a file that is none, NotProven for one that does not fit the backup, its own heads, or the other
    files, each by name. What was written then is to be thrown away.
    """
    chain = instance.trust_roots(settings)
    root = trust_root_chain.advance(trust_root_chain.first(chain[0], card=None), chain[1:]).root
    database = Database.open(settings.server_folder)
    try:
        database.write.all("BEGIN IMMEDIATE")
        completed = await _Completion(Statements(database.write), root, now).run(files)
        await database.write.commit()
    finally:
        database.close()
    return completed


class _Completion:
    """One completion, in one transaction."""

    def __init__(self, db: Statements, root: TrustRoot, now: int) -> None:
        self._db, self._root, self._now = db, root, now
        self._keepers = [keeper.cosigner for keeper in root.keepers]

    async def run(self, files: Sequence[Path]) -> list[Completed]:
        logs = {log.origin: log for log in await rows.logs(self._db)}
        shown = await self._shown(files, logs)
        shards = self._shards(logs, shown)
        longest: dict[str, _Shown] = {}
        for each in shown:
            origin = each.checkpoint.origin
            if origin not in longest or longest[origin].checkpoint.size < each.checkpoint.size:
                longest[origin] = each
        completed = []
        for file in dict.fromkeys(each.file for each in longest.values()):
            with file.open("rb") as data:
                for log in leaves_file.logs(data, file):
                    origin = log.checkpoint.origin
                    if longest[origin].file != file:
                        _pass(log)
                        continue
                    heads = [each for each in shown if each.checkpoint.origin == origin]
                    row = logs.get(origin) or await self._opened(origin, shards[origin])
                    completed.append(await self._complete(log, row, heads))
        return sorted(each for each in completed if each.start < each.end)

    async def _shown(self, files: Sequence[Path], logs: dict[str, LogRow]) -> list[_Shown]:
        """What each file has, its leaves under its checkpoints, those signed by their logs, and the backup below them."""
        shown = []
        for file in files:
            with file.open("rb") as data:
                for log in leaves_file.logs(data, file):
                    self._check_signed(file, log)
                    own = logs.get(log.checkpoint.origin) or LogRow(
                        log.checkpoint.origin, None, 0, EMPTY_ROOT
                    )
                    await self._check_leaves(file, log, own)
                    shown.append(_Shown(file, log.checkpoint, log.note))
        return shown

    def _check_signed(self, file: Path, log: LogLeaves) -> None:
        try:
            open_checkpoint(log.note, self._root.log_key_of(log.checkpoint.origin))
            cosignatures(log.note, self._keepers)
        except Refusal:
            raise NotProven(
                f"{file} shows a head of {log.checkpoint.origin} that this service's log, or a keeper it names, did not sign. Nothing "
                "was restored. Ask for another keeper's file."
            ) from None

    async def _check_leaves(self, file: Path, log: LogLeaves, own: LogRow) -> None:
        head, frontier = log.checkpoint, Frontier()
        longer = head.size > own.size
        if longer and log.begins > own.size:
            raise NotProven(
                f"{file} has only hashes of entries of {head.origin} that the backup lacks, below {log.begins}. Nothing was restored. "
                "Ask for another keeper's file, or take a newer backup."
            )
        for each in log.subtrees():
            frontier.append_subtree(each, HEIGHT)
        begins: bytes | None = frontier.root() if frontier.size == own.size else None
        for leaves in log.leaves():
            for leaf in leaves:
                frontier.append(leaf_hash(leaf))
                if frontier.size == own.size:
                    begins = frontier.root()
        if frontier.root() != head.root:
            raise NotProven(
                f"{file} has other leaves of {head.origin} than its head says. Nothing was restored. Ask for another keeper's file."
            )
        if longer and begins != own.root:
            raise _contradicts(file, head.origin)
        if not longer:
            try:
                await check_head(self._db, own, head.size, head.root)
            except NotProven:
                raise _contradicts(file, head.origin) from None

    def _shards(self, logs: dict[str, LogRow], shown: Sequence[_Shown]) -> dict[str, int | None]:
        """The logs that were begun after the backup, with their numbers: all in between are there. Raises NotProven."""
        new = {each.checkpoint.origin: each.file for each in shown if each.checkpoint.origin not in logs}
        shards: dict[str, int | None] = {}
        if self._root.directory_origin in new:
            del new[self._root.directory_origin]
            shards[self._root.directory_origin] = None
        number = sum(log.shard is not None for log in logs.values())
        while (origin := self._root.log_origin(number)) in new:
            del new[origin]
            shards[origin] = number
            number += 1
        for origin, file in new.items():
            raise NotProven(
                f"{file} has {origin}, and the log before that is in no file. Nothing was restored. Ask the keepers for all logs."
            )
        return shards

    async def _opened(self, origin: str, shard: int | None) -> LogRow:
        await rows.add_log(self._db, origin, shard, EMPTY_ROOT)
        return LogRow(origin, shard, 0, EMPTY_ROOT)

    async def _complete(self, log: LogLeaves, row: LogRow, heads: Sequence[_Shown]) -> Completed:
        """Write the leaves that the backup lacks, and note what of them is lost."""
        head, origin = log.checkpoint, row.origin
        if head.size <= row.size and row.size:
            _pass(log)
            return Completed(origin, row.size, row.size)
        edge = Edge(row.size, await self._edge_tiles(row))
        roots = {row.size: row.root}
        sizes = sorted({each.checkpoint.size for each in heads if each.checkpoint.size > row.size})
        place = log.begins
        for _ in log.subtrees():
            pass
        for leaves in log.leaves():
            lacking = leaves[max(0, row.size - place) :]
            await self._append(edge, lacking, origin, sizes, roots)
            place += len(leaves)
        for each in heads:
            size = each.checkpoint.size
            if size >= row.size and roots[size] != each.checkpoint.root:
                raise _contradicts(each.file, origin)
        await rows.move_head(self._db, origin, (row.size, row.root), (head.size, head.root))
        await rows.keep_note(self._db, origin, log.note)
        directory = origin == self._root.directory_origin
        if directory:
            await rows.add_directory_head(self._db, head.size, head.root, self._now)
        if row.size < head.size:
            loss = Loss(start=row.size, end=head.size, time=self._now)
            await lost_bodies.note(self._db, origin, loss, directory=directory)
        return Completed(origin, row.size, head.size)

    async def _append(
        self, edge: Edge, leaves: Sequence[bytes], origin: str, sizes: Sequence[int], roots: dict[int, bytes]
    ) -> None:
        """Write leaves and tiles; ``roots`` gets the root at each of ``sizes`` on the way."""
        await rows.add_leaves(self._db, origin, edge.size, leaves)
        start, end = edge.size, edge.size + len(leaves)
        for stop in [*(size for size in sizes if start < size < end), end]:
            changed = edge.append(map(leaf_hash, leaves[edge.size - start : stop - start]))
            await rows.put_tiles(self._db, [(origin, *place, data) for place, data in changed.items()])
            roots[stop] = edge.root()

    async def _edge_tiles(self, row: LogRow) -> list[bytes]:
        places = enumerate(edge_tiles(row.size))
        return [
            (b"" if n is None else await rows.tile(self._db, row.origin, level, n)) or b""
            for level, n in places
        ]


def _pass(log: LogLeaves) -> None:
    """Read over a log."""
    for _ in log.subtrees():
        pass
    for _ in log.leaves():
        pass


def _contradicts(file: Path, origin: str) -> NotProven:
    return NotProven(
        f"{file} and the backup, or another file, contradict each other: {origin} signed both. Nothing was restored. Keep all of "
        "them: they are evidence."
    )
