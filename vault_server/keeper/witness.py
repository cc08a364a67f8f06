"""Cosigning, as C2SP tlog-witness has it: a keeper never vouches for two heads of which one does not continue the other.

A head moves only here, under its log's lock: what is asked is compared with the highest head, the leaves are fetched
and the root recomputed, the new head is on disk, and only then is the cosignature given away. ``refresh`` moves it by
asking the server instead of being asked.
"""

import asyncio

from crypto.checkpoint import (
    Checkpoint,
    CosignerKey,
    LogKey,
    Note,
    claimed_origin,
    cosign,
    cosignatures,
    open_checkpoint,
    parse_note,
)
from crypto.errors import Conflict, Damaged, Malformed
from crypto.merkle import verify_consistency
from crypto.receipt import AddCheckpoint
from crypto.signing import SigningKey
from vault_server.keeper.clock import Clock
from vault_server.keeper.followed_logs import FollowedLog, FollowedLogs
from vault_server.keeper.mirror import Mirror
from vault_server.keeper.source import Source
from vault_server.keeper.store import LogRow
from vault_server.keeper.trust import Trust

# However often it is wanted, a log's newest head is fetched once in so many seconds.
AGAIN = 1


class OtherHead(Conflict):
    """The head that is known here is not the one the request starts from; ``size`` is its size."""

    def __init__(self, size: int) -> None:
        super().__init__(
            "A checkpoint starts from another head than the one known here. It was not cosigned."
        )
        self.size = size


class Witness:
    """Moves the heads of the followed logs forward, and signs them."""

    def __init__(
        self,
        name: str,
        key: SigningKey,
        *,
        clock: Clock,
        trust: Trust,
        logs: FollowedLogs,
        mirror: Mirror,
        source: Source,
        floor: int,
    ) -> None:
        """``floor``: the newest time that the store remembers having stated."""
        self._name, self._key = name, key
        self._cosigner = CosignerKey(name, key.public)
        self._clock, self._trust, self._logs = clock, trust, logs
        self._mirror, self._source = mirror, source
        self._stated = floor

    async def add_checkpoint(self, body: bytes) -> bytes:
        """The signature line for the checkpoint in ``body``.

        Raises Malformed (400), NotFound for an unknown log (404), BadSignature when the log has not signed (403),
        OtherHead (409) with the size known here, Conflict (409) for another root of the same size, NotProven (422).
        """
        request = AddCheckpoint.decode(body)
        key = self._trust.log_key(claimed_origin(request.note))
        checkpoint = open_checkpoint(request.note, key)
        if request.old > checkpoint.size:
            raise Malformed(
                "A checkpoint is smaller than the head it is said to continue. It was not cosigned."
            )
        self._observe(request.note)
        log = await self._logs.follow(key.name)
        async with log.lock:
            if request.old != log.row.size:
                raise OtherHead(log.row.size)
            if checkpoint.size == log.row.size and checkpoint.root != log.row.root:
                raise Conflict(
                    "Another head of the same size is known here. The checkpoint was not cosigned."
                )
            verify_consistency(log.row.size, log.row.root, checkpoint.size, checkpoint.root, request.path)
            return await self._advance(log, checkpoint, request.note, key)

    async def refresh(self, origin: str, within: float) -> LogRow:
        """The log of ``origin`` under the newest head the server shows, asked for at most ``within`` seconds ago.

        Raises NotFound for an unknown log, NotProven or BadSignature when what the server shows does not hold.
        """
        key = self._trust.log_key(origin)
        log = self._logs.get(origin) or await self._begin(key)
        if self._clock.elapsed() - log.asked < within:
            return log.row
        async with log.lock:
            asked = self._clock.elapsed()
            if asked - log.asked < within:
                return log.row
            note = await self._source.checkpoint(origin)
            checkpoint = open_checkpoint(note, key)
            self._observe(note)
            if checkpoint.size > log.row.size:
                await self._advance(log, checkpoint, note, key)
            else:
                await self._logs.check_prefix(log.row, checkpoint)
            log.asked = asked
            return log.row

    async def reach(self, origin: str, size: int, within: float) -> LogRow:
        """``refresh``, and once more within two seconds when the log is then known here to fewer than ``size`` leaves.

        A head is published as soon as enough keepers have cosigned it: whoever saw it there may be here before it is.
        """
        log = await self.refresh(origin, within)
        if log.size < size:
            log = await self.refresh(origin, AGAIN)
        if log.size < size:
            await asyncio.sleep(AGAIN)
            log = await self.refresh(origin, AGAIN)
        return log

    async def _begin(self, key: LogKey) -> FollowedLog:
        """Follow a log from now on, provided that the server shows a checkpoint signed by it."""
        open_checkpoint(await self._source.checkpoint(key.name), key)
        return await self._logs.follow(key.name)

    async def _advance(self, log: FollowedLog, checkpoint: Checkpoint, note: bytes, key: LogKey) -> bytes:
        """Follow ``log`` to a checkpoint signed by it; the caller holds its lock. Returns the cosignature."""
        directory = log.row.origin == self._trust.newest.directory_origin
        extension = await self._mirror.extend(log, checkpoint, directory=directory)
        time = self._clock.now()
        line = cosign(checkpoint, self._name, self._key, time)
        kept = _with_line(note, key, line)
        # Stated before it is stored: should the store fail, nothing older than this will be said.
        self._stated = max(self._stated, time)
        await self._logs.advance(
            log, checkpoint, kept, extension.frontier, extension.new, time, dated=directory
        )
        return line

    def _observe(self, note: bytes) -> None:
        """Take the keepers' times from a note. Raises Damaged when our own signature is newer than our memory."""
        for key, time in cosignatures(note, [*self._trust.cosigners, self._cosigner]).items():
            if key != self._cosigner.key.key_id:
                self._clock.observe(time)
            elif time > self._stated:
                raise Damaged(
                    "This keeper has signed heads that its store does not know: the store is an older copy. Nothing "
                    "is cosigned. Move it away and start once with --accept-lost-store."
                )


def _with_line(note: bytes, key: LogKey, line: bytes) -> bytes:
    """The checkpoint with the log's own signature and our line, without what others have put there."""
    parsed = parse_note(note)
    own = tuple(each for each in parsed.signatures if (each.name, each.id) == (key.name, key.id))
    return Note(parsed.text, own).encode() + line
