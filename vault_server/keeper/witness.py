"""Cosigning, as C2SP tlog-witness has it: a keeper never vouches for two heads of which one does not continue the other.

A head moves only here, under its log's lock: what is asked is compared with the highest head, the leaves are fetched
and the root recomputed, the new head is on disk, and only then is the cosignature given away. ``refresh`` moves it by
asking the server instead of being asked.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

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
from crypto.errors import CoffreError, Conflict, Damaged, Malformed, NotProven
from crypto.evidence import Beginning
from crypto.merkle import verify_consistency
from crypto.receipt import AddCheckpoint
from crypto.signing import SigningKey
from vault_server.keeper.clock import Clock
from vault_server.keeper.evidence import Contradiction, EvidenceFolder
from vault_server.keeper.followed_logs import FollowedLog, FollowedLogs
from vault_server.keeper.mirror import Extension, Mirror
from vault_server.keeper.rows import LogRow
from vault_server.keeper.source import Source
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
        evidence: EvidenceFolder,
        floor: int,
    ) -> None:
        """``floor``: the newest time that the store remembers having stated."""
        self._name, self._key = name, key
        self._cosigner = CosignerKey(name, key.public)
        self._clock, self._trust, self._logs = clock, trust, logs
        self._mirror, self._source, self._evidence = mirror, source, evidence
        self._stated = floor

    async def add_checkpoint(self, body: bytes) -> bytes:
        """The signature line for the checkpoint in ``body``.

        Raises Malformed (400), NotFound for an unknown log (404), BadSignature when the log has not signed (403),
        OtherHead (409) with the size known here, Contradiction (409) for another head of that size, NotProven (422): of any
        head that cannot stand beside the one known here the evidence is kept, whatever is answered.
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
                if checkpoint.size <= log.row.size:
                    with suppress(Contradiction):
                        await self._check_not_contradicting(log, checkpoint, request.note)
                raise OtherHead(log.row.size)
            if checkpoint.size == log.row.size:
                await self._check_not_contradicting(log, checkpoint, request.note)
            try:
                verify_consistency(log.row.size, log.row.root, checkpoint.size, checkpoint.root, request.path)
            except NotProven:
                with suppress(Contradiction):
                    await self._check_not_contradicting(log, checkpoint, request.note)
                raise
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
                await self._check_not_contradicting(log, checkpoint, note)
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

    async def resume(self, origin: str, shown: Iterable[bytes]) -> None:
        """Take the highest of the heads of ``origin`` that other keepers show, which must all be of one log.

        They are signed by it. Raises Contradiction, whose evidence is kept, when they are not of one log, or not of the
        one known here; NotProven when the server's leaves are not those of the highest.
        """
        key = self._trust.log_key(origin)
        log = await self._logs.follow(origin)
        async with log.lock:
            notes = [*shown, log.row.note] if log.row.note else list(shown)
            heads = sorted(
                ((open_checkpoint(note, key), note) for note in notes), key=lambda head: head[0].size
            )
            highest, note = heads[-1]
            for checkpoint, other in heads:
                if checkpoint.size == highest.size and checkpoint.root != highest.root:
                    raise self._kept(Contradiction(origin, (other, note), None))
            sizes = {checkpoint.size for checkpoint, _ in heads}
            extension = await self._mirror.extend(
                log, highest, directory=self._is_directory(log), passing=sizes
            )
            for checkpoint, other in heads:
                if checkpoint.size > log.row.size:
                    root = extension.passed[checkpoint.size]
                else:
                    root = await self._logs.root_at(log.row, checkpoint.size)
                if root != checkpoint.root:
                    await self._mirror.forget(log)
                    beginning = await self._shown_beginning(origin, checkpoint.size, highest)
                    raise self._kept(Contradiction(origin, (other, note), beginning))
            for _, other in heads:
                self._observe_others(other)
            await self._move(log, highest, note, key, extension)

    async def _check_not_contradicting(self, log: FollowedLog, checkpoint: Checkpoint, note: bytes) -> None:
        """Raises Contradiction, whose evidence is kept, when the log is shown to have signed this head and another one.

        Against a smaller head speaks the copy kept here; against a larger one what its own tree has in our head's place,
        if the server shows that.
        """
        row = log.row
        if not row.note:
            return
        if checkpoint.size <= row.size:
            root = await self._logs.root_at(row, checkpoint.size)
            if root == checkpoint.root:
                return
            beginning = None
            if checkpoint.size < row.size:
                path = await self._logs.consistency(row, checkpoint.size)
                beginning = Beginning(size=checkpoint.size, root=root, path=tuple(path))
            raise self._kept(Contradiction(row.origin, (note, row.note), beginning))
        beginning = await self._shown_beginning(row.origin, row.size, checkpoint)
        if beginning is not None and beginning.root != row.root:
            raise self._kept(Contradiction(row.origin, (row.note, note), beginning))

    async def _shown_beginning(self, origin: str, size: int, checkpoint: Checkpoint) -> Beginning | None:
        try:
            return await self._mirror.beginning(origin, size, checkpoint)
        except CoffreError:
            return None

    def _kept(self, met: Contradiction) -> Contradiction:
        self._evidence.keep(met)
        return met

    async def _advance(self, log: FollowedLog, checkpoint: Checkpoint, note: bytes, key: LogKey) -> bytes:
        """Follow ``log`` to a checkpoint signed by it; the caller holds its lock. Returns the cosignature."""
        try:
            extension = await self._mirror.extend(log, checkpoint, directory=self._is_directory(log))
        except NotProven:
            await self._check_not_contradicting(log, checkpoint, note)
            raise
        return await self._move(log, checkpoint, note, key, extension)

    async def _move(
        self, log: FollowedLog, checkpoint: Checkpoint, note: bytes, key: LogKey, extension: Extension
    ) -> bytes:
        self._trust.log_key(log.row.origin)  # not closed since it was asked for
        time = self._clock.now()
        line = cosign(checkpoint, self._name, self._key, time)
        kept = _with_line(note, key, line)
        # Stated before it is stored: should the store fail, nothing older than this will be said.
        self.stated(time)
        await self._logs.advance(
            log, checkpoint, kept, extension.frontier, extension.new, time, dated=self._is_directory(log)
        )
        return line

    def _is_directory(self, log: FollowedLog) -> bool:
        return log.row.origin == self._trust.newest.directory_origin

    def stated(self, time: int) -> None:
        """Take note that the store remembers ``time`` as stated."""
        self._stated = max(self._stated, time)

    def _observe(self, note: bytes) -> None:
        """Take the keepers' times from a note. Raises Damaged when our own signature is newer than our memory."""
        for time in cosignatures(note, [self._cosigner]).values():
            if time > self._stated:
                raise Damaged(
                    "This keeper has signed heads that its store does not know: the store is an older copy. Nothing "
                    "is cosigned. Move it away and start again."
                )
        self._observe_others(note)

    def _observe_others(self, note: bytes) -> None:
        others = [each for each in self._trust.cosigners if each.key.key_id != self._cosigner.key.key_id]
        for time in cosignatures(note, others).values():
            self._clock.observe(time)


def _with_line(note: bytes, key: LogKey, line: bytes) -> bytes:
    """The checkpoint with the log's own signature and our line, without what others have put there."""
    parsed = parse_note(note)
    own = tuple(each for each in parsed.signatures if (each.name, each.id) == (key.name, key.id))
    return Note(parsed.text, own).encode() + line
