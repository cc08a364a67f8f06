"""Sending grant events: whom one is for is verified, it is made and kept, and goes out with its link."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.errors import NotFound, NotPermitted
from crypto.identity_chain import Known
from crypto.identity_links import Chain
from crypto.locators import event_tag
from crypto.vault_links import Grant
from crypto.wire.messages import EventSubmission, IdentityQuery, ShownChain
from vault_client import trust
from vault_client.device_store import DeviceStore
from vault_client.granting import MadeEvent, Place, Terms, Vault, VersionToGrant, make_event
from vault_client.local_vault import GrantedVersion, GrantIntent, GrantMade, newest
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.trust import Pin
from vault_client.vault_replica import Intent, VaultReplica


@dataclass(frozen=True)
class Planned:
    """A grant event about to be made: where it stands, what it allows, and whom it is for."""

    place: Place
    terms: Terms
    known: Known
    pin: Pin


class GrantSending:
    """What sends the grant events of one profile."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica

    async def recipient(
        self, identity: bytes, shown: Chain | None = None, *, met_again: bool = False
    ) -> tuple[Known, Pin]:
        """Someone to share with, as they stand at the directory head that will be named, certified and unchanged.

        ``shown``: the chain on their card; what the server shows goes on from it, never back behind it.
        """
        chain = await self.shown_chain(identity)
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

    async def shown_chain(self, identity: bytes) -> Chain:
        """The chain that the server shows of somebody, not believed yet. Raises NotPermitted when it shows none."""
        try:
            return await self._service.api.identity_chain(IdentityQuery(identity=identity))
        except NotFound:
            raise NotPermitted(trust.NOT_CERTIFIED) from None

    def check_not_blocked(self, identity: bytes) -> None:
        """Raises NotPermitted when nothing may be granted to ``identity``."""
        if self._replica.is_blocked(identity):
            raise NotPermitted("This person is blocked. Nothing was shared. Unblock them first.")

    def version(self, doc: bytes) -> VersionToGrant:
        """The newest version of a document, as it is granted. Raises NotPermitted for one that is masked or not there."""
        document = self._replica.document(doc)
        if document.document.masked:
            raise NotPermitted("A masked document was named. Nothing was shared. Unmask it first.")
        version = newest(document.document)
        key = self._replica.document_key(document)
        return VersionToGrant(
            doc=doc, ver=version.ver, ct_root=version.ct_root, key=key, descriptor=document.descriptor
        )

    async def send(self, planned: Planned, documents: Sequence[bytes]) -> None:
        """Make the event, remember it, send it with its link, and keep whom it was for."""
        versions = [self.version(doc) for doc in documents]
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
            excluded=terms.excluded,
            made=self._service.now(),
            blobs=made.blobs,
            end_in_force=False,
            begun=made.event.view.seen.size,
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
