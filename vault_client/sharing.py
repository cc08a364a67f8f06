"""Sharing: authorising someone, adding to it, ending it."""

import secrets
from collections.abc import Sequence

import msgspec

from crypto import labels
from crypto.errors import CoffreError, NotFound, NotPermitted
from crypto.grants import Act
from crypto.identity_chain import Known
from crypto.identity_links import Chain, identity_id
from crypto.locators import end_tag, event_tag
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.signing import read, verify_keys
from crypto.statements import View
from crypto.vault_chain import GrantEntry
from crypto.vault_links import End, Grant
from crypto.wire.cards import IdentityCard
from crypto.wire.keeper_api import EndAcknowledgement, EndAnswer, EndPost, KeeperApi
from crypto.wire.messages import EventSubmission, IdentityQuery
from vault_client import trust
from vault_client.audit_report import SharedDocuments
from vault_client.device_store import DeviceStore
from vault_client.granting import MadeEvent, Place, Terms, Vault, Version, make_event
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.trust import Pin
from vault_client.vault_replica import GrantedVersion, GrantIntent, Intent, LocalGrant, VaultReplica, newest

SHARING_DAYS = 365
ACTS: tuple[Act, ...] = ("release", "prefetch", "list", "reopen", "export")

# What people read
NOT_CERTIFIED = (
    "This person has no certificate that allows sharing. Nothing was shared. Ask them to be certified first."
)


class Sharing:
    """What a patient can do about who reads the record."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica

    async def authorise(
        self,
        card: IdentityCard,
        documents: Sequence[bytes],
        *,
        acts: tuple[Act, ...],
        purposes: tuple[str, ...],
        days: int,
    ) -> LocalGrant:
        """Let the person on ``card`` open ``documents`` for ``days`` days.

        The chain of the person is verified, complete in the directory, and certified; someone met before must still
        have the same keys. Raises NotPermitted otherwise; then nothing was shared.
        """
        epoch, gid = self._replica.epoch(), secrets.token_bytes(32)
        secret = SecretBytes(epoch.secret)
        place = Place(gid=gid, j=0, prev=None, rekey=0, fresh=True, epoch_first=secret, epoch=secret)
        terms = Terms(acts=acts, purposes=purposes, expiry=self._service.now() + days * 24 * 3600)
        recipient = identity_id(card.chain.links[0].envelope)
        return await self._grant(place, (epoch.epoch, epoch.epoch), terms, recipient, documents, card.chain)

    async def extend(self, gid: bytes, documents: Sequence[bytes]) -> LocalGrant:
        """Add documents to a grant in force. When its keys or keepers have changed, all of it is keyed anew.

        Raises NotPermitted when all of them were in it already, at their newest version.
        """
        grant = self._in_force(gid)
        known, _ = await self._recipient(grant.entry.recipient)
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
            epoch_first=SecretBytes(self._replica.epoch(grant.entry.epoch_first).secret),
            epoch=SecretBytes(epoch.secret),
        )
        terms = Terms(acts=grant.acts, purposes=grant.purposes, expiry=grant.expiry)
        given = {version.doc: version.ver for version in self._replica.granted(gid)}
        new = [doc for doc in documents if self._version(doc).ver != given.get(doc)]
        if not new and not due:
            raise NotPermitted("What was named was already in this grant. Nothing was changed.")
        wanted = [*new, *(doc for doc in given if doc not in set(new))] if due else new
        epochs = (grant.entry.epoch_first, epoch.epoch)
        return await self._grant(place, epochs, terms, grant.entry.recipient, wanted)

    async def revoke(self, gid: bytes) -> LocalGrant:
        """End a grant: posted straight to the keepers and written to the log, whichever holds first.

        The grant returned says whether the end is known to be in force. What was opened already cannot be unread.
        """
        grant = self._in_force(gid)
        end_key = shares.end_key(SecretBytes(self._replica.epoch(grant.entry.epoch_first).secret), gid)
        tag = end_tag(end_key, self._replica.origin, gid)
        try:
            acknowledged = await self._post_end(grant, tag)
        except CoffreError:
            acknowledged = False  # the keepers will find the end in the log
        if acknowledged:
            self._replica.keep_grant(msgspec.structs.replace(grant, end_in_force=True))
        await self._replica.append(Intent(operations=(End(gid=gid),), tags=(tag,)))
        ended = msgspec.structs.replace(self._grant_of(gid), end_in_force=True)
        self._replica.keep_grant(ended)
        return ended

    async def _post_end(self, grant: LocalGrant, tag: bytes) -> bool:
        """Have the keepers acknowledge the end at once. Whether a quorum did."""
        gid, origin, root = grant.entry.gid, self._replica.origin, self._service.root
        blobs = {blob.keeper: blob for blob in grant.blobs}

        async def post(name: bytes, keeper: KeeperApi) -> EndAnswer:
            if name not in blobs:
                raise NotPermitted("A keeper does not belong to this grant. It was not told of its end.")
            return await keeper.end(EndPost(origin=origin, gid=gid, blob=blobs[name], tag=tag))

        answers = await self._service.ask_keepers(post, 1)
        times = []
        for name, answer in answers.items():
            keys = verify_keys(self._service.keeper(name).cosigning_key)
            stated = read(answer.envelope, labels.END_ACKNOWLEDGEMENT, EndAcknowledgement, keys)
            if (stated.origin, stated.gid, stated.tag) == (origin, gid, tag):
                times.append(stated.time)
        needed = root.policy.k
        return len(times) >= needed and max(times) - min(times) <= trust.FRESH

    async def _grant(
        self,
        place: Place,
        epochs: tuple[int, int],
        terms: Terms,
        recipient: bytes,
        documents: Sequence[bytes],
        shown: Chain | None = None,
    ) -> LocalGrant:
        if not documents:
            raise NotPermitted("No document was named. Nothing was shared.")
        if self._replica.is_blocked(recipient):
            raise NotPermitted("This person is blocked. Nothing was shared. Unblock them first.")
        known, pin = await self._recipient(recipient, shown)
        versions = [self._version(doc) for doc in documents]
        view = await self._service.view(self._replica.origin)
        made = await self._make(place, terms, known, versions, view)
        own_chain = await self._service.prove_chain(self._own.profile.chain)
        entry = GrantEntry(
            gid=place.gid,
            recipient=recipient,
            j=place.j,
            event=made.envelope.digest,
            rekey=place.rekey,
            epoch_first=epochs[0],
            epoch=epochs[1],
            ended=False,
        )
        local = LocalGrant(
            entry=entry,
            recipient=known.ref,
            subject=pin.subject,
            name=pin.name,
            reading_key=made.event.reading_key,
            acts=terms.acts,
            purposes=terms.purposes,
            expiry=terms.expiry,
            made=self._service.now(),
            blobs=made.blobs,
            end_in_force=False,
        )
        granted = tuple(
            GrantedVersion(doc=version.doc, ver=version.ver, current=True) for version in versions
        )
        self._replica.keep_intent(GrantIntent(grant=local, versions=granted, whole=place.fresh))
        self._store.put(f"shared/{made.envelope.digest.hex()}", SharedDocuments(docs=tuple(documents)))
        operation = Grant(
            gid=place.gid,
            j=place.j,
            event=made.envelope.digest,
            recipient=recipient,
            rekey=place.rekey,
            epoch=epochs[1],
        )
        end_key = shares.end_key(place.epoch_first, place.gid)
        submission = EventSubmission(
            envelope=made.envelope,
            rows=made.rows,
            listing=made.listing,
            blobs=made.blobs,
            chains=(own_chain,),
        )
        tag = event_tag(end_key, self._replica.origin, place.gid, place.j)
        await self._replica.append(Intent(operations=(operation,), tags=(tag,), events=(submission,)))
        self._store.put(f"pin/{recipient.hex()}", pin)
        return self._grant_of(place.gid)

    async def _make(
        self, place: Place, terms: Terms, known: Known, versions: Sequence[Version], view: View
    ) -> MadeEvent:
        local = self._replica.local
        vault = Vault(
            vault=local.head.vault,
            genesis=local.genesis.body,
            origin=local.head.origin,
            log_key=local.head.keys.log_key,
        )
        signer = self._own.known_at(self._service, view.dir).ref
        root, device = self._service.root, self._own.device
        return make_event(vault, place, terms, known, versions, root, view, signer, device)

    async def _recipient(self, identity: bytes, shown: Chain | None = None) -> tuple[Known, Pin]:
        """Someone to share with, as they stand at the directory head that will be named, certified and unchanged.

        ``shown``: the chain on their card; what the server shows goes on from it, never back behind it.
        """
        try:
            chain = await self._service.api.identity_chain(IdentityQuery(identity=identity))
        except NotFound:
            raise NotPermitted(NOT_CERTIFIED) from None
        if shown is not None and identity_id(chain.links[0].envelope) == identity:
            trust.chain_extends(shown, chain)
        known, _, _ = await self._service.know(chain)
        if known.ref.identity != identity:
            raise NotPermitted("The server shows somebody else's keys. Nothing was shared.")
        pin = self._store.get(f"pin/{identity.hex()}", Pin)
        trust.check_pin(pin, known)
        now = self._service.now()
        subject, name, _ = trust.certified_subject(self._service.root, known, now)
        met = pin.met if pin is not None else now
        stops = len(known.state.hard_stops)
        fresh = Pin(
            identity=identity, root=known.state.root, subject=subject, name=name, hard_stops=stops, met=met
        )
        return known, fresh

    def _version(self, doc: bytes) -> Version:
        document = self._replica.document(doc)
        if document.document.masked:
            raise NotPermitted("A masked document was named. Nothing was shared. Unmask it first.")
        version = newest(document.document)
        key = self._replica.document_key(document)
        return Version(
            doc=doc, ver=version.ver, ct_root=version.ct_root, key=key, descriptor=document.descriptor
        )

    def _in_force(self, gid: bytes) -> LocalGrant:
        grant = self._grant_of(gid)
        if grant.entry.ended:
            raise NotPermitted(
                "This grant has ended already. Nothing was changed. Make a new one if you wish."
            )
        return grant

    def _grant_of(self, gid: bytes) -> LocalGrant:
        grant = self._replica.grant(gid)
        if grant is None:
            raise NotPermitted("There is no such grant. Nothing was changed. Look at the list of grants.")
        return grant
