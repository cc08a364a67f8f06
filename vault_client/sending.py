"""Carrying out what waits: each change looked at again on the newest head, then signed, sent, and proved.

Ends go first, and straight to the keepers too, whatever the server says of the record. The rest follows in order, once
what other devices did is taken in: what that makes void is dropped, and said. Void is decided by the record as this
device has verified it, never by a server's word: what a server refuses goes on waiting.
"""

from dataclasses import dataclass, field

from crypto.errors import CoffreError, Full, NotPermitted, TooMany, Unavailable, Unreachable
from crypto.vault_links import Block, Mask, Tombstone
from vault_client.adding import Adding
from vault_client.change_queue import ChangeQueue
from vault_client.changes import (
    AddDocument,
    AmendGrant,
    AnyChange,
    Authorise,
    BlockIdentity,
    DeleteDocument,
    EndGrant,
    ExtendGrant,
    MaskDocument,
    NextEvent,
    QueuedChange,
    WithdrawDocuments,
    is_of,
)
from vault_client.progress import Progress
from vault_client.sharing import Sharing
from vault_client.vault_replica import Intent, VaultReplica


@dataclass
class Outcome:
    """What came of the changes that waited. ``unreached``: why the last attempt went no further."""

    sent: list[QueuedChange] = field(default_factory=list)
    dropped: list[tuple[QueuedChange, str]] = field(default_factory=list)
    refused: list[tuple[QueuedChange, CoffreError]] = field(default_factory=list)
    unreached: Unavailable | None = None


class Sending:
    """What carries out the queue of one profile. ``outcome`` is of what waited, since the profile was opened."""

    def __init__(self, queue: ChangeQueue, replica: VaultReplica, sharing: Sharing, adding: Adding) -> None:
        self._queue = queue
        self._replica = replica
        self._sharing = sharing
        self._adding = adding
        self.outcome = Outcome()

    async def send_waiting(self, progress: Progress | None = None) -> None:
        """Carry out what waits, as far as that is possible now. What came of it is added to ``outcome``."""
        await self._send(self._queue.waiting(), progress)

    async def send_now(self, queued: QueuedChange, progress: Progress | None = None) -> None:
        """Carry out a change that was just asked for, after what has waited longer.

        Raises what stood in the way. Then it goes on waiting if nobody could be reached or if it may be in the record;
        an end waits in any case, and a document also when it was only stopped. What was refused is kept no longer.
        """
        waiting = self._queue.waiting()
        await self._send(waiting[: waiting.index(queued)], progress)
        if self.outcome.unreached is not None and not isinstance(queued.change, EndGrant):
            raise self.outcome.unreached
        try:
            await self._carry_out(queued.change, progress)
        except BaseException as error:
            if not self._stays(queued.change, error):
                self._forget(queued)
            raise
        self._finish(queued)

    def take_back(self, queued: QueuedChange) -> None:
        """Carry out a change no more. Raises NotPermitted for one that cannot be taken back."""
        if isinstance(queued.change, EndGrant):
            raise NotPermitted(
                "The end of a grant is not taken back: a keeper may hold it to already. Nothing was changed. Once it is in "
                "force, authorise again."
            )
        if isinstance(queued.change, Authorise) and self.is_sent(queued.change):
            raise NotPermitted(
                "This was sent, and may be in force already. Nothing was taken back. End it, with its number in coffre "
                "patient grants: coffre patient revoke GRANT"
            )
        if self.is_sent(queued.change):
            raise NotPermitted(
                "This was sent, and may be in the record already. Nothing was taken back. Once the server answers, look, and "
                "undo it there."
            )
        self._forget(queued)

    def is_sent(self, change: AnyChange) -> bool:
        """Whether a link with this change was sent that is neither refused nor proved."""
        return any(is_of(operation, change) for operation in self._replica.unanswered())

    async def _send(self, waiting: list[QueuedChange], progress: Progress | None) -> None:
        self.outcome.unreached, is_synced = None, False
        for queued in waiting:
            is_end = isinstance(queued.change, EndGrant)
            try:
                if not is_end and not is_synced:
                    await self._replica.sync()
                    is_synced = True
                if not self._is_done(queued.change):
                    if void := self._void(queued.change):
                        self._forget(queued)
                        self.outcome.dropped.append((queued, void))
                        continue
                    await self._carry_out(queued.change, progress)
            except (Unreachable, Full) as error:
                self.outcome.unreached = error
                if not is_end:
                    return
                continue
            except CoffreError as error:
                # A change of a grant whose answer was lost, or that another device made too, is found to be there already.
                if not self._is_met(queued.change):
                    self.outcome.refused.append((queued, error))
                    continue
            if self._finish(queued):
                self.outcome.sent.append(queued)

    async def _carry_out(self, change: AnyChange, progress: Progress | None) -> None:
        match change:
            case AddDocument():
                await self._adding.finish(change, progress)
            case DeleteDocument(doc=doc):
                await self._replica.append(Intent(operations=(Tombstone(doc=doc),)))
            case MaskDocument(doc=doc, masked=masked):
                await self._replica.append(Intent(operations=(Mask(doc=doc, masked=masked),)))
            case BlockIdentity(identity=identity, blocked=blocked):
                await self._replica.append(Intent(operations=(Block(identity=identity, blocked=blocked),)))
            case Authorise():
                await self._sharing.authorise(change)
            case ExtendGrant() | WithdrawDocuments() | AmendGrant():
                await self._sharing.changes.make(change)
            case EndGrant(gid=gid):
                await self._sharing.end(gid)

    def _is_done(self, change: AnyChange) -> bool:
        """Whether the record says already what ``change`` asks for; a link that lacks only its proof is sent again."""
        if isinstance(change, Authorise):
            return self._replica.grant(change.gid) is not None
        if isinstance(change, EndGrant):
            return self._sharing.is_over(change.gid)
        if self._is_met(change):
            return True
        if self.is_sent(change):
            return False
        match change:
            case AddDocument(doc=doc):
                return self._replica.state(doc) is not None
            case DeleteDocument(doc=doc):
                state = self._replica.state(doc)
                return state is None or state.deleted
            case MaskDocument(doc=doc, masked=masked):
                state = self._replica.state(doc)
                return state is not None and not state.deleted and state.masked is masked
            case BlockIdentity(identity=identity, blocked=blocked):
                return self._replica.is_blocked(identity) is blocked
        return False

    def _is_met(self, change: AnyChange) -> bool:
        """Whether the grant that ``change`` is to alter gives and allows just that already."""
        if isinstance(change, NextEvent):
            return self._sharing.changes.is_met(change)
        return False

    def _void(self, change: AnyChange) -> str:
        """Why the record as it stands leaves nothing to be done; empty when there is something."""
        try:
            match change:
                case AddDocument():
                    self._adding.check(change)
                case MaskDocument(doc=doc):
                    self._replica.document(doc)
                case Authorise():
                    self._sharing.check(change)
                case ExtendGrant() | WithdrawDocuments() | AmendGrant():
                    self._sharing.changes.check(change)
        except NotPermitted as void:
            return str(void)
        return ""

    def _stays(self, change: AnyChange, error: BaseException) -> bool:
        if isinstance(change, EndGrant) or self.is_sent(change):
            return True
        if isinstance(error, CoffreError):
            return isinstance(error, Unavailable | TooMany)
        return isinstance(change, AddDocument)

    def _finish(self, queued: QueuedChange) -> bool:
        """Keep a change no longer that is in the record. An end waits until it is known to be in force: False if so."""
        if isinstance(queued.change, EndGrant) and not self._sharing.is_over(queued.change.gid):
            return False
        self._adding.hand_over(queued.change)
        self._queue.remove(queued.id)
        return True

    def _forget(self, queued: QueuedChange) -> None:
        self._queue.remove(queued.id)
        self._adding.discard(queued.change)
