"""The logs of this server: leaves staged inside jobs, written with the batch, proven once keepers have cosigned.

A batch of jobs ends in one transaction: leaves, the rightmost tiles and a compare-and-swap of each signed head. Only
after it is durable is the head signed, cosigned and published, and only then do receipts exist. Until a head of every log
that was read back has been cosigned, no log takes leaves and no head is shown: the keepers may know more than the store
does, and one log that went on would part from the newer copy in which the others belong.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from crypto import access_log as entries
from crypto.checkpoint import TEN_MINUTES, Checkpoint
from crypto.errors import Damaged, NotFound, NotProven, Unreachable
from crypto.merkle import EMPTY_ROOT, HASH_SIZE, SubtreeHash, inclusion_path, leaf_hash
from crypto.quorum import quorum_times
from crypto.receipt import Receipt
from crypto.statements import Head, View
from crypto.tiles import WIDTH, encode_bundle, parse_tile_path
from crypto.wire.messages import Logged
from vault_server import rules
from vault_server.cosigning import Cosigner
from vault_server.instance import Instance
from vault_server.log_check import check_note, check_whole
from vault_server.log_tree import Edge, TileCache, TileName, edge_tiles, root_at
from vault_server.notify import Notices
from vault_server.publisher import Log, Published, Publisher
from vault_server.rules import Replaced
from vault_server.store import leaves as rows
from vault_server.store.database import Database, Transaction, Writer


class AccessLog:
    """Every log of this server, the directory among them."""

    def __init__(
        self,
        instance: Instance,
        database: Database,
        writer: Writer,
        keepers: Sequence[Cosigner],
        clock: Callable[[], float],
        receipt_seconds: float,
        notices: Notices,
    ) -> None:
        self._instance = instance
        self._keepers = [keeper.cosigner for keeper in instance.root.keepers]
        self._reader = database.reader
        self._writer = writer
        self._clock = clock
        self._seconds = receipt_seconds
        self._notices = notices
        self._logs: dict[str, Log] = {}
        self._edges: dict[str, Edge] = {}
        self._unconfirmed: set[str] = set()
        self._replaced: dict[int, Replaced] = {}
        self._newest_directory: Checkpoint | None = None
        self._tiles = TileCache(self._fetch_tile)
        live = {keeper.cosigning_key for keeper in instance.root.live_keepers}
        self._publisher = Publisher(
            [keeper for keeper in keepers if keeper.key.key.raw in live],
            instance.cosignatures_needed,
            self._tiles,
            clock,
            self._published,
            writer.fail,
            told=[keeper for keeper in keepers if keeper.key.key.raw not in live],
        )
        self.directory = instance.root.directory_origin
        writer.integrate = self._integrate

    async def start(self) -> None:
        """Read the logs back and check them. Raises Damaged when leaves, tiles and signed head do not agree."""
        for size, root, at in await rows.directory_heads(self._reader):
            if at is None:
                self._newest_directory = Checkpoint(self.directory, size, root)
            else:
                self._replaced[size] = Replaced(root, at)
        for row in await rows.logs(self._reader):
            await self._load(row)

    async def open_log(self, origin: str, shard: int | None) -> None:
        """Make sure that ``origin`` exists, and wait until its head is cosigned. Raises Unreachable."""
        if origin not in self._logs:

            async def job(transaction: Transaction) -> None:
                if await rows.add_log(transaction, origin, shard, EMPTY_ROOT):
                    transaction.after.append(lambda: self._add(rows.LogRow(origin, shard, 0, EMPTY_ROOT), []))

            await self._writer.run(job)
        await self._publisher.wait(self._logs[origin], 0, self._seconds)

    async def confirm(self) -> None:
        """Wait until every log that was read back has a cosigned head. Raises Unreachable."""
        for origin in sorted(self._unconfirmed):
            await self._publisher.wait(self._logs[origin], 0, self._seconds)

    @property
    def confirmed(self) -> bool:
        """Whether the keepers have cosigned a head of every log since the server started."""
        directory = self._logs.get(self.directory)
        return not self._unconfirmed and directory is not None and directory.published is not None

    def check_confirmed(self) -> None:
        """Raises Unreachable while a log that was read back has no cosigned head: the store may be an older copy."""
        if self._unconfirmed:
            raise Unreachable(
                "The keepers have not confirmed the logs since the server started, so nothing was done. "
                "Try again in a moment."
            )

    @property
    def shards(self) -> list[Log]:
        """The shards, oldest first."""
        found = [log for log in self._logs.values() if log.shard is not None]
        return sorted(found, key=lambda log: log.shard or 0)

    @property
    def newest_shard(self) -> int:
        """The number of the newest shard; 0 before there is one."""
        return self.shards[-1].shard or 0 if self.shards else 0

    def stage(
        self, transaction: Transaction, origin: str, leaf: entries.Leaf, concerned: Collection[bytes]
    ) -> int:
        """Add ``leaf`` to the batch of ``transaction``; returns its index. Raises Unreachable.

        ``concerned``: the identities to be told once a head that holds it is published.
        """
        index = self.stage_bytes(transaction, origin, leaf.to_bytes())
        transaction.after.append(partial(self._notices.stage, origin, index, concerned))
        return index

    def stage_bytes(self, transaction: Transaction, origin: str, leaf: bytes) -> int:
        """As ``stage``, for a leaf that is bytes already, such as a cover leaf."""
        self.check_confirmed()
        if self._log(origin).published is None:
            raise Unreachable(
                "The keepers have not confirmed this log since it was opened, so nothing was written. "
                "Try again in a moment."
            )
        staged = transaction.staged.setdefault(origin, [])
        staged.append(leaf)
        return self._edges[origin].size + len(staged) - 1

    def is_staged(self, transaction: Transaction, origin: str, slot_two: bytes) -> bool:
        """Whether a leaf of this batch carries ``slot_two``: it is not in the store yet."""
        return any(leaf[33:65] == slot_two for leaf in transaction.staged.get(origin, ()))

    async def receipt(self, origin: str, disclosure: entries.Disclosure) -> Logged:
        """Proof that a durable leaf is in the log, under the newest cosigned head. Raises Unreachable."""
        log, index = self._log(origin), disclosure.index
        published = await self._publisher.wait(log, index + 1, self._seconds)
        size = published.head.size

        def path(subtree: SubtreeHash) -> list[bytes]:
            return inclusion_path(index, size, subtree)

        proof = await self._tiles.prove(origin, size, path)
        receipt = Receipt(index=index, path=tuple(proof), note=published.note)
        return Logged(receipt=receipt.encode(), disclosure=disclosure)

    async def check_view(self, view: View, origin: str, now: int) -> None:
        """May a body signed in ``view`` be accepted into ``origin`` at ``now``? Raises Stale or NotPermitted."""
        rules.check_trust_root(view.trust_root, self._instance.ref)
        published = self._log(self.directory).published
        if published is None:
            raise Unreachable(
                "The directory has no cosigned head yet. Nothing was done. Try again in a moment."
            )
        newest = Head(size=published.head.size, root=published.head.root)
        rules.check_directory_head(view.dir, newest, self._replaced, now)
        rules.check_seen(view.seen, await self.root_at(origin, view.seen.size))

    async def root_at(self, origin: str, size: int) -> bytes:
        """The root of the first ``size`` leaves; nothing when there are not so many."""
        known = self._log(origin).durable
        if size > known.size:
            return b""
        if size == known.size:
            return known.root
        return await self._tiles.prove(origin, size, lambda subtree: root_at(size, subtree))

    def checkpoint(self, origin: str) -> bytes:
        """The newest cosigned checkpoint. Raises NotFound for a log that is not here, Unreachable before the first."""
        published = self._log(origin).published
        self.check_confirmed()
        if published is None:
            raise Unreachable("This log has no cosigned head yet. Try again in a moment.")
        return published.note

    def cosigned_ahead(self, origin: str) -> int:
        """How many seconds the keepers' time in a confirmed log is ahead of this server's clock; negative: behind."""
        times = quorum_times(self._instance.root, self.checkpoint(origin))
        return max(times) - int(self._clock())

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle. Raises Malformed for a path that is not one, NotFound for what is not there."""
        level, n, width = parse_tile_path(path)
        size = self._log(origin).durable.size
        if level == "entries":
            leaves = await rows.leaves(self._reader, origin, n * WIDTH, width)
            if len(leaves) == width and n * WIDTH + width <= size:  # else it is yet to come, or gone
                return encode_bundle(leaves)
        elif n * WIDTH + width <= size >> 8 * level:
            data = await self._fetch_tile(TileName(origin, level, n))
            if data is not None and len(data) >= width * HASH_SIZE:
                return data[: width * HASH_SIZE]
        raise NotFound("A tile")

    def recosign(self, older_than: float) -> None:
        """Have every head cosigned again that was last cosigned before ``older_than``."""
        for log in self._logs.values():
            if log.published is None or log.published.at < older_than:
                self._publisher.push(log)

    async def close(self) -> None:
        """Stop publishing."""
        await self._publisher.close(list(self._logs.values()))

    def _log(self, origin: str) -> Log:
        try:
            return self._logs[origin]
        except KeyError:
            raise NotFound("A log") from None

    async def _load(self, row: rows.LogRow) -> None:
        try:
            await check_whole(self._reader, row)
            await check_note(self._reader, row, self._instance.root.log_key_of(row.origin), self._keepers)
        except NotProven as error:
            raise Damaged(f"The server was not started. {error}") from None
        tiles = []
        for level, n in enumerate(edge_tiles(row.size)):
            data = b"" if n is None else await rows.tile(self._reader, row.origin, level, n)
            tiles.append(data or b"")
        self._unconfirmed.add(row.origin)
        self._add(row, tiles)

    def _add(self, row: rows.LogRow, tiles: Sequence[bytes]) -> None:
        edge = Edge(row.size, tiles)
        log = Log(
            origin=row.origin,
            shard=row.shard,
            key=self._instance.key_of(row.origin),
            durable=Checkpoint(row.origin, row.size, row.root),
        )
        self._logs[row.origin], self._edges[row.origin] = log, edge
        self._publisher.push(log)

    async def _integrate(self, transaction: Transaction) -> None:
        """Write what the batch staged, and move the signed heads."""
        for origin, leaves in transaction.staged.items():
            if not leaves:  # a refusal took them back
                continue
            edge, log = self._edges[origin], self._logs[origin]
            old = log.durable
            changed = edge.append(map(leaf_hash, leaves))
            new = Checkpoint(origin, edge.size, edge.root())
            # Before the leaves, whose indexes another writer has taken too: this says what happened.
            if not await rows.move_head(transaction, origin, (old.size, old.root), (new.size, new.root)):
                raise Damaged(
                    "The server stopped: the signed head of a log was changed by somebody else, so another server "
                    "writes to this data folder. Nothing was signed. Stop one of them."
                )
            await rows.add_leaves(transaction, origin, old.size, leaves)
            await rows.put_tiles(transaction, [(origin, *place, data) for place, data in changed.items()])
            for (level, n), data in changed.items():
                self._tiles.put(TileName(origin, level, n), data)
            transaction.after.append(partial(self._made_durable, log, new))

    def _made_durable(self, log: Log, head: Checkpoint) -> None:
        log.durable = head
        self._publisher.push(log)

    def _published(self, log: Log, published: Published) -> None:
        head, now = published.head, int(self._clock())
        self._unconfirmed.discard(log.origin)
        self._notices.published(log.origin, head.size)
        if log.origin == self.directory:
            self._note_directory_head(head, now)
        self._writer.run_later(lambda transaction: self._keep(transaction, published, now))

    def _note_directory_head(self, head: Checkpoint, now: int) -> None:
        before = self._newest_directory
        if before is not None and before.size < head.size:
            self._replaced[before.size] = Replaced(before.root, now)
        self._newest_directory = head
        oldest = now - TEN_MINUTES
        for size in [size for size, entry in self._replaced.items() if entry.at < oldest]:
            del self._replaced[size]

    async def _keep(self, transaction: Transaction, published: Published, now: int) -> None:
        head = published.head
        await rows.keep_note(transaction, head.origin, published.note)
        if head.origin == self.directory:
            await rows.add_directory_head(transaction, head.size, head.root, now)

    async def _fetch_tile(self, name: TileName) -> bytes | None:
        return await rows.tile(self._reader, *name)
