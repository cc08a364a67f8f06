"""Sharing: authorising someone, and ending it. What changes in between is ``grant_changes``."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress

from crypto import labels
from crypto.durations import DAY
from crypto.errors import CoffreError, NotPermitted, NotProven
from crypto.grants import Act
from crypto.locators import end_tag
from crypto.quorum import dated_together
from crypto.sealed import shares
from crypto.sealed.policy_blob import seal_end_policy
from crypto.secret_bytes import SecretBytes
from crypto.signing import read, verify_keys
from crypto.trust_root import policy_of
from crypto.vault_links import End
from crypto.wire.cards import IdentityCard
from crypto.wire.keeper_api import EndAcknowledgement, EndPost, KeeperApi
from vault_client.change_queue import ChangeQueue
from vault_client.changes import Authorise, EndGrant
from vault_client.device_store import DeviceStore
from vault_client.grant_changes import OVER, GrantChanges
from vault_client.grant_sending import GrantSending, Planned
from vault_client.granting import Place, Terms
from vault_client.local_vault import LocalGrant
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.unanswered_grants import UnansweredGrants
from vault_client.vault_replica import Intent, VaultReplica


class Sharing:
    """What a patient can do about who reads the record."""

    def __init__(
        self,
        store: DeviceStore,
        service: Service,
        own: OwnIdentity,
        replica: VaultReplica,
        queue: ChangeQueue,
    ) -> None:
        self._service = service
        self._replica = replica
        self._sending = GrantSending(store, service, own, replica)
        self.unanswered = UnansweredGrants(store, replica)
        self.changes = GrantChanges(service, replica, queue, self._sending)

    def to_authorise(
        self,
        card: IdentityCard,
        documents: Sequence[bytes],
        *,
        acts: tuple[Act, ...],
        purposes: tuple[str, ...],
        days: int,
        met_again: bool,
    ) -> Authorise:
        """Letting the person on ``card`` open ``documents`` for ``days`` days from now, as it waits to be carried out.

        ``met_again``: they were asked in person about a recovery or reset that the card shows.
        """
        if not documents:
            raise NotPermitted("No document was named. Nothing was shared.")
        change = Authorise(
            gid=secrets.token_bytes(32),
            card=card,
            documents=tuple(documents),
            acts=acts,
            purposes=purposes,
            expiry=self._service.now() + days * DAY,
            met_again=met_again,
        )
        self.check(change)
        return change

    def check(self, change: Authorise) -> None:
        """Raises NotPermitted when the record as it stands forbids ``change``. Nobody is asked."""
        self._sending.check_not_blocked(change.card.chain.identity)
        if change.expiry <= self._service.now():
            raise NotPermitted("The time it was for is over. Nothing was shared.")
        for doc in change.documents:
            self._sending.version(doc)

    async def authorise(self, change: Authorise) -> None:
        """Carry out ``change``.

        The chain of the person is verified, complete in the directory, and certified; someone met before must still
        have the same keys, or have been met again. Raises NotPermitted otherwise; then nothing was shared.
        """
        self.check(change)
        known, pin = await self._sending.recipient(
            change.card.chain.identity, change.card.chain, met_again=change.met_again
        )
        epoch = self._replica.epoch()
        place = Place(gid=change.gid, j=0, prev=None, rekey=0, fresh=True, epoch_first=epoch, epoch=epoch)
        terms = Terms(acts=change.acts, purposes=change.purposes, expiry=change.expiry)
        await self._sending.send(Planned(place, terms, known, pin), change.documents)

    def to_end(self, gid: bytes) -> EndGrant:
        """The end of a grant, as it waits to be carried out. Raises NotPermitted when all of it was done before."""
        self.to_be_ended(gid)
        if self.is_over(gid):
            raise NotPermitted(OVER)
        return EndGrant(gid=gid)

    def is_over(self, gid: bytes) -> bool:
        """Whether the end of a grant is both in the record and known to be in force, or it never came into the record.

        One that was sent and not answered may come into it yet.
        """
        grant = self._replica.grant(gid)
        if grant is None:
            return self.unanswered.grant(gid) is None
        return grant.entry.ended and grant.end_in_force

    async def end(self, gid: bytes) -> None:
        """End a grant: tell the keepers and the log at once, neither can hold the other up.

        One that was sent and not answered is ended if it is in the record, and else kept from coming into it.
        """
        grant = self.to_be_ended(gid)
        end_key = shares.end_key(SecretBytes(self._replica.epoch(grant.entry.epoch_first).secret), gid)
        tag = end_tag(end_key, self._replica.origin, gid)
        steps = [self._tell_keepers(grant, tag, end_key)]
        if not grant.entry.ended:
            steps.append(self._log_end(grant, tag))
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if result is not None:
                raise result

    def to_be_ended(self, gid: bytes) -> LocalGrant:
        """One grant, be it one that was sent and not answered. Raises NotPermitted when there is none of this id."""
        return self.unanswered.grant(gid) or self._replica.existing_grant(gid)

    async def _log_end(self, grant: LocalGrant, tag: bytes) -> None:
        gid = grant.entry.gid
        if self._replica.grant(gid) is None and not await self.unanswered.settle(grant):
            return
        await self._replica.append(Intent(operations=(End(gid=gid),), tags=(tag,)))
        self._replica.keep_end_in_force(gid)  # by the receipt of its leaf

    async def _tell_keepers(self, grant: LocalGrant, tag: bytes, end_key: SecretBytes) -> None:
        try:
            acknowledged = await self._post_end(grant, tag, end_key)
        except CoffreError:
            return  # the keepers will find the end in the log
        if acknowledged:
            self._replica.keep_end_in_force(grant.entry.gid)

    async def _post_end(self, grant: LocalGrant, tag: bytes, end_key: SecretBytes) -> bool:
        """Have the grant's keepers, also those that have retired since, acknowledge the end at once. Whether a quorum did.

        So must a quorum of those that are live now: an event that names them may have been sent and not answered.
        """
        gid, origin, j = grant.entry.gid, self._replica.origin, grant.entry.j
        with suppress(CoffreError):
            await self._service.follow()
        root = self._service.accepted
        live = {keeper.key_hash: keeper.sealing_key for keeper in root.root.live_keepers}
        blobs = {blob.keeper: blob for blob in grant.blobs}
        needed = policy_of(len(blobs)).k

        async def post(name: bytes, keeper: KeeperApi) -> int:
            blob = blobs.get(name) or seal_end_policy(origin, gid, j, end_key, live[name], root.ref.digest)
            answer = await keeper.end(EndPost(origin=origin, gid=gid, blob=blob, tag=tag))
            keys = verify_keys(self._service.keeper(name).cosigning_key)
            stated = read(answer.envelope, labels.END_ACKNOWLEDGEMENT, EndAcknowledgement, keys)
            if (stated.origin, stated.gid, stated.tag) != (origin, gid, tag):
                raise NotProven("A keeper acknowledged the end of another grant. Its word did not count.")
            return stated.time

        times = await self._service.ask_keepers(post, needed, named=blobs.keys() | live.keys())
        return all(
            dated_together([times[name] for name in names if name in times], k) is not None
            for names, k in ((blobs, needed), (live, root.root.policy.k))
        )
