"""Sharing: authorising someone, adding to it, ending it."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.checkpoint import dated_together
from crypto.errors import CoffreError, NotFound, NotPermitted, NotProven, Refusal
from crypto.grants import Act
from crypto.identity_chain import Known
from crypto.identity_links import Chain
from crypto.locators import end_tag, event_tag
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.signing import read, verify_keys
from crypto.vault_links import End, Grant
from crypto.wire.cards import IdentityCard
from crypto.wire.keeper_api import EndAcknowledgement, EndPost, KeeperApi
from crypto.wire.messages import EventSubmission, IdentityQuery, ShownChain
from vault_client import trust
from vault_client.change_queue import ChangeQueue
from vault_client.changes import Authorise, EndGrant, ExtendGrant
from vault_client.device_store import DeviceStore
from vault_client.granting import MadeEvent, Place, Terms, Vault, VersionToGrant, make_event
from vault_client.local_vault import GrantedVersion, GrantIntent, GrantMade, LocalGrant, newest
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.trust import Pin
from vault_client.unanswered_grants import UnansweredGrants
from vault_client.vault_replica import Intent, VaultReplica


@dataclass(frozen=True)
class Planned:
    """A grant event about to be made: where it stands, what it allows, and whom it is for."""

    place: Place
    terms: Terms
    known: Known
    pin: Pin


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
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica
        self._queue = queue
        self.unanswered = UnansweredGrants(store, replica)

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
            expiry=self._service.now() + days * 24 * 3600,
            met_again=met_again,
        )
        self.check(change)
        return change

    def check(self, change: Authorise | ExtendGrant) -> None:
        """Raises NotPermitted when the record as it stands forbids ``change``. Nobody is asked."""
        if isinstance(change, Authorise):
            self._check_not_blocked(change.card.chain.identity)
            if change.expiry <= self._service.now():
                raise NotPermitted("The time it was for is over. Nothing was shared.")
        else:
            self._check_not_blocked(self._in_force(change.gid).entry.recipient)
        for doc in change.documents:
            self._version(doc)

    async def authorise(self, change: Authorise) -> None:
        """Carry out ``change``.

        The chain of the person is verified, complete in the directory, and certified; someone met before must still
        have the same keys, or have been met again. Raises NotPermitted otherwise; then nothing was shared.
        """
        self.check(change)
        known, pin = await self._recipient(
            change.card.chain.identity, change.card.chain, met_again=change.met_again
        )
        epoch = self._replica.epoch()
        place = Place(gid=change.gid, j=0, prev=None, rekey=0, fresh=True, epoch_first=epoch, epoch=epoch)
        terms = Terms(acts=change.acts, purposes=change.purposes, expiry=change.expiry)
        await self._grant(Planned(place, terms, known, pin), change.documents)

    async def extend(self, change: ExtendGrant) -> None:
        """Add documents to a grant in force. When its keys or keepers have changed, all of it is keyed anew.

        Raises NotPermitted when all of them were in it already, at their newest version.
        """
        self.check(change)
        gid = change.gid
        grant = self._in_force(gid)
        known, pin = await self._recipient(grant.entry.recipient)
        live = {keeper.key_hash for keeper in self._service.root.live_keepers}
        epoch = self._replica.epoch()
        due = (
            grant.entry.epoch != epoch.epoch
            or {blob.keeper for blob in grant.blobs} != live
            or known.state.reading_key != grant.reading_key
        )
        place = Place(
            gid=gid,
            j=grant.entry.j + 1,
            prev=grant.entry.event,
            rekey=grant.entry.rekey + due,
            fresh=due,
            epoch_first=self._replica.epoch(grant.entry.epoch_first),
            epoch=epoch,
        )
        terms = Terms(acts=grant.acts, purposes=grant.purposes, expiry=grant.expiry)
        new = self._not_given(change)
        if not new and not due:
            raise NotPermitted("What was named was already in this grant. Nothing was changed.")
        given = [version.doc for version in self._replica.granted(gid) if version.doc not in set(new)]
        wanted = [*new, *filter(self._may_be_given, given)] if due else new
        if not wanted:
            raise NotPermitted("Nothing of this grant is left to be given. Nothing was changed. Revoke it.")
        planned = Planned(place, terms, known, pin)
        await self._grant(planned, wanted)

    def gives_all(self, change: ExtendGrant) -> bool:
        """Whether all documents of ``change`` are in its grant, at their newest version."""
        given = {version.doc: version.ver for version in self._replica.granted(change.gid)}
        states = [self._replica.state(doc) for doc in change.documents]
        return all(state is not None and newest(state).ver == given.get(state.doc) for state in states)

    async def renew(self) -> dict[bytes, CoffreError]:
        """Key anew each grant in force that is of an earlier epoch, with what it gives and nothing more.

        Returns why some could not be, by grant: they stay as they are, and can be revoked.
        """
        present = self._replica.epoch().epoch
        refused: dict[bytes, CoffreError] = {}
        for grant in list(self._replica.grants()):
            gid, is_over = grant.entry.gid, grant.entry.ended or grant.expiry <= self._service.now()
            if is_over or grant.entry.epoch == present:
                continue
            try:
                await self.extend(ExtendGrant(gid=gid, documents=()))
            except Refusal as refusal:
                refused[gid] = refusal
        return refused

    def to_end(self, gid: bytes) -> EndGrant:
        """The end of a grant, as it waits to be carried out. Raises NotPermitted when all of it was done before."""
        self.to_be_ended(gid)
        if self.is_over(gid):
            raise _over()
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
        steps = [self._tell_keepers(grant, tag)]
        if not grant.entry.ended:
            steps.append(self._log_end(grant, tag))
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if result is not None:
                raise result

    def grant(self, gid: bytes) -> LocalGrant:
        """One grant. Raises NotPermitted when there is none of this id."""
        grant = self._replica.grant(gid)
        if grant is None:
            raise NotPermitted("There is no such grant. Nothing was changed. Look at the list of grants.")
        return grant

    def to_be_ended(self, gid: bytes) -> LocalGrant:
        """``grant``, or one that was sent and not answered."""
        return self.unanswered.grant(gid) or self.grant(gid)

    def _not_given(self, change: ExtendGrant) -> list[bytes]:
        given = {version.doc: version.ver for version in self._replica.granted(change.gid)}
        return [doc for doc in change.documents if self._version(doc).ver != given.get(doc)]

    async def _log_end(self, grant: LocalGrant, tag: bytes) -> None:
        gid = grant.entry.gid
        if self._replica.grant(gid) is None and not await self.unanswered.settle(grant):
            return
        await self._replica.append(Intent(operations=(End(gid=gid),), tags=(tag,)))
        self._replica.keep_end_in_force(gid)  # by the receipt of its leaf

    async def _tell_keepers(self, grant: LocalGrant, tag: bytes) -> None:
        try:
            acknowledged = await self._post_end(grant, tag)
        except CoffreError:
            return  # the keepers will find the end in the log
        if acknowledged:
            self._replica.keep_end_in_force(grant.entry.gid)

    async def _post_end(self, grant: LocalGrant, tag: bytes) -> bool:
        """Have the keepers acknowledge the end at once. Whether a quorum did."""
        gid, origin, root = grant.entry.gid, self._replica.origin, self._service.root
        blobs = {blob.keeper: blob for blob in grant.blobs}

        async def post(name: bytes, keeper: KeeperApi) -> int:
            if name not in blobs:
                raise NotPermitted("A keeper does not belong to this grant. It was not told of its end.")
            answer = await keeper.end(EndPost(origin=origin, gid=gid, blob=blobs[name], tag=tag))
            keys = verify_keys(self._service.keeper(name).cosigning_key)
            stated = read(answer.envelope, labels.END_ACKNOWLEDGEMENT, EndAcknowledgement, keys)
            if (stated.origin, stated.gid, stated.tag) != (origin, gid, tag):
                raise NotProven("A keeper acknowledged the end of another grant. Its word did not count.")
            return stated.time

        times = await self._service.ask_keepers(post, root.policy.k)
        return dated_together(times.values(), root.policy.k) is not None

    async def _grant(self, planned: Planned, documents: Sequence[bytes]) -> None:
        """Make the event, remember it, send it with its link, and keep whom it was for."""
        versions = [self._version(doc) for doc in documents]
        made = await self._make(planned, versions)
        chain = await self._service.prove_chain(self._own.profile.chain)
        self._remember(planned, made, versions)
        await self._send(planned, made, chain)
        self._store.put(f"pin/{planned.pin.identity.hex()}", planned.pin)

    async def _make(self, planned: Planned, versions: Sequence[VersionToGrant]) -> MadeEvent:
        local, root = self._replica.local, self._service.root
        view = await self._replica.view()
        vault = Vault(
            vault=local.head.vault,
            genesis=local.genesis.body,
            person=local.keyring.person,
            origin=local.head.origin,
            log_key=local.head.keys.log_key,
        )
        signer = self._own.known_at(self._service, view.dir).ref
        place, terms, known = planned.place, planned.terms, planned.known
        return make_event(vault, place, terms, known, versions, root, view, signer, self._own.device)

    def _remember(self, planned: Planned, made: MadeEvent, versions: Sequence[VersionToGrant]) -> None:
        """Keep what this device will know of the grant before it is sent."""
        place, terms = planned.place, planned.terms
        grant = GrantMade(
            recipient=planned.known.ref,
            subject=planned.pin.subject,
            name=planned.pin.name,
            reading_key=made.event.reading_key,
            acts=terms.acts,
            purposes=terms.purposes,
            expiry=terms.expiry,
            made=self._service.now(),
            blobs=made.blobs,
            end_in_force=False,
        )
        given = tuple(GrantedVersion(doc=each.doc, ver=each.ver, current=True) for each in versions)
        digest = made.envelope.digest
        self._replica.keep_intent(
            GrantIntent(gid=place.gid, event=digest, grant=grant, versions=given, whole=place.fresh)
        )

    async def _send(self, planned: Planned, made: MadeEvent, chain: ShownChain) -> None:
        place = planned.place
        operation = Grant(
            gid=place.gid,
            j=place.j,
            event=made.envelope.digest,
            recipient=planned.pin.identity,
            rekey=place.rekey,
            epoch=place.epoch.epoch,
        )
        submission = EventSubmission(
            envelope=made.envelope,
            rows=made.rows,
            listing=made.listing,
            blobs=made.blobs,
            chains=(chain,),
        )
        tag = event_tag(place.end_key, self._replica.origin, place.gid, place.j)
        await self._replica.append(Intent(operations=(operation,), tags=(tag,), events=(submission,)))

    async def _recipient(
        self, identity: bytes, shown: Chain | None = None, *, met_again: bool = False
    ) -> tuple[Known, Pin]:
        """Someone to share with, as they stand at the directory head that will be named, certified and unchanged.

        ``shown``: the chain on their card; what the server shows goes on from it, never back behind it.
        """
        try:
            chain = await self._service.api.identity_chain(IdentityQuery(identity=identity))
        except NotFound:
            raise NotPermitted(trust.NOT_CERTIFIED) from None
        if shown is not None and chain.identity == identity:
            trust.chain_extends(shown, chain)
        known = await self._service.know(chain)
        if known.ref.identity != identity:
            raise NotPermitted("The server shows somebody else's keys. Nothing was shared.")
        pin = self._store.get(f"pin/{identity.hex()}", Pin)
        if shown is not None and met_again:
            trust.check_met_again(shown, known)
        else:
            trust.check_pin(pin, known)
        now = self._service.now()
        subject, name = trust.certified_subject(self._service.root, known, now)
        met = pin.met if pin is not None else now
        stops = len(known.state.hard_stops)
        fresh = Pin(
            identity=identity, root=known.state.root, subject=subject, name=name, hard_stops=stops, met=met
        )
        return known, fresh

    def _check_not_blocked(self, identity: bytes) -> None:
        if self._replica.is_blocked(identity):
            raise NotPermitted("This person is blocked. Nothing was shared. Unblock them first.")

    def _version(self, doc: bytes) -> VersionToGrant:
        document = self._replica.document(doc)
        if document.document.masked:
            raise NotPermitted("A masked document was named. Nothing was shared. Unmask it first.")
        version = newest(document.document)
        key = self._replica.document_key(document)
        return VersionToGrant(
            doc=doc, ver=version.ver, ct_root=version.ct_root, key=key, descriptor=document.descriptor
        )

    def _may_be_given(self, doc: bytes) -> bool:
        try:
            return not self._replica.document(doc).document.masked
        except NotPermitted:
            return False

    def _in_force(self, gid: bytes) -> LocalGrant:
        grant = self.grant(gid)
        if grant.entry.ended:
            raise _over()
        if grant.end_in_force or self._queue.is_ending(gid):
            raise NotPermitted(
                "The end of this grant was asked for and is not in the log yet. Nothing was changed. Revoke it again."
            )
        return grant


def _over() -> NotPermitted:
    return NotPermitted("This grant has ended already. Nothing was changed. Make a new one if you wish.")
