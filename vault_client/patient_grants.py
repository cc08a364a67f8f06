"""Who may open what, as the patient decides it: the part of ``Patient`` that is about grants."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import structs

from crypto.durations import DAY
from crypto.grants import Act
from crypto.wire.cards import IdentityCard
from vault_client.change_queue import ChangeQueue
from vault_client.changes import (
    AmendGrant,
    AnyChange,
    EndGrant,
    ExtendGrant,
    NextEvent,
    QueuedChange,
    WithdrawDocuments,
    is_next_event,
)
from vault_client.device_store import DeviceStore
from vault_client.grant_changes import Renewal
from vault_client.grant_history import GrantStep, grant_history
from vault_client.local_vault import GrantedVersion, LocalGrant
from vault_client.sending import Outcome
from vault_client.service import Service
from vault_client.sharing import Sharing
from vault_client.sharing_terms import ACTS, SHARING_DAYS, check_days
from vault_client.vault_replica import VaultReplica


class PatientGrants(ABC):
    """The grants of one's own record."""

    service: Service
    replica: VaultReplica
    _sharing: Sharing
    _queue: ChangeQueue
    _store: DeviceStore

    renewal = Renewal()
    """Which grants the last ``sync`` keyed anew, and why others that are due could not be."""

    @property
    @abstractmethod
    def outcome(self) -> Outcome:
        """What came of the changes that waited, since the record was opened."""

    @abstractmethod
    async def _make(self, change: AnyChange) -> None: ...

    async def authorise(
        self,
        card: IdentityCard,
        documents: Sequence[bytes],
        *,
        acts: tuple[Act, ...] = ACTS,
        purposes: tuple[str, ...] = ("TREAT",),
        days: int = SHARING_DAYS,
        met_again: bool = False,
    ) -> LocalGrant:
        """Let the person on ``card`` open ``documents`` for ``days`` days, three years at most. See ``Sharing.authorise``."""
        check_days(days)
        change = self._sharing.to_authorise(
            card, documents, acts=acts, purposes=purposes, days=days, met_again=met_again
        )
        await self._make(change)
        return self.replica.existing_grant(change.gid)

    async def extend(self, gid: bytes, documents: Sequence[bytes]) -> LocalGrant:
        """Add documents to a grant in force. When its keys or keepers have changed, all of it is keyed anew."""
        return await self._change(ExtendGrant(gid=gid, documents=tuple(documents)))

    async def withdraw(self, gid: bytes, documents: Sequence[bytes]) -> LocalGrant:
        """Take documents out of a grant in force, which goes on with the others under new keys.

        Once this returns, no keeper answers for them under this grant. What was opened already cannot be unread.
        """
        return await self._change(WithdrawDocuments(gid=gid, documents=tuple(documents)))

    async def amend(
        self,
        gid: bytes,
        *,
        acts: tuple[Act, ...] | None = None,
        purposes: tuple[str, ...] | None = None,
        days: int | None = None,
    ) -> LocalGrant:
        """Have a grant in force allow other acts, for other purposes, or until ``days`` days from now, three years at most.

        Raises NotPermitted for another number of days, and when there is nothing to change.
        """
        if days is not None:
            check_days(days)
        expiry = None if days is None else self.service.now() + days * DAY
        return await self._change(AmendGrant(gid=gid, acts=acts, purposes=purposes, expiry=expiry))

    async def _change(self, change: NextEvent) -> LocalGrant:
        self._sharing.changes.check(change)
        await self._make(change)
        return self.replica.existing_grant(change.gid)

    async def revoke(self, gid: bytes) -> LocalGrant:
        """End a grant: posted straight to the keepers and written to the log, whichever holds first.

        It waits on this device until it is in the record and known to be in force: a quorum of keepers acknowledged
        it, or the witnessed log has it; the grant returned says whether that is so. What was opened already cannot be
        unread. Raises NotPermitted when all of it was done before this record was opened.

        One that was sent and not answered, which may be in the record, is ended too: if it is there, as any other, and
        if not, it can not come into it any more.
        """
        if EndGrant(gid=gid) in (queued.change for queued in self.outcome.sent):
            return self.replica.existing_grant(gid)
        before = self._sharing.to_be_ended(gid)
        await self._make(self._sharing.to_end(gid))
        never = structs.replace(before, entry=structs.replace(before.entry, ended=True), end_in_force=True)
        return self.replica.grant(gid) or never

    def is_ending(self, gid: bytes) -> bool:
        """Whether the end of a grant was asked for and is not yet both in the record and known to be in force."""
        return self._queue.is_ending(gid)

    def changing(self, gid: bytes) -> list[QueuedChange]:
        """What was asked of a grant and is not yet in force: until it is, the grant is in force as it was before."""
        return [queued for queued in self._queue.waiting() if is_next_event(queued.change, gid)]

    def grants(self) -> list[LocalGrant]:
        """Every grant, ended ones too."""
        return list(self.replica.grants())

    def grant_history(self, gid: bytes) -> list[GrantStep]:
        """What became of a grant, event by event."""
        return grant_history(self._store, gid)

    def unanswered_grants(self) -> list[LocalGrant]:
        """Every grant that was sent and not answered: it may be in force, and can be revoked."""
        return list(self._sharing.unanswered.grants())

    def granted(self, gid: bytes) -> list[GrantedVersion]:
        """The versions that a grant gives now, or will if it was sent and not answered."""
        return list(self.replica.granted(gid)) or list(self._sharing.unanswered.granted(gid))
