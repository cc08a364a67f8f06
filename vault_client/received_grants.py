"""The grants a practitioner has received: taken in from the mailbox, believed, and kept.

The server delivers; it is never believed. A delivery counts only when the event's signatures, the holders' chains at
its ``dir``, the rows and the box for our own reading key all hold.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import msgspec

from crypto.encoding import Body, Bytes32, Natural, SecretBody, decode, encode
from crypto.errors import NotPermitted, NotProven, Refusal
from crypto.grants import GrantEvent, GrantState, Listing, Row, accept, read_event, split_rows
from crypto.identity_chain import Known
from crypto.sealed.wrapping import GrantWrapper, open_a_box
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from crypto.vault_chain import check_not_removed, latest_directory
from crypto.vault_links import Genesis
from crypto.wire.messages import Delivery, MailboxQuery, ShownChain
from vault_client import trust
from vault_client.declared_losses import declared_losses, is_done, kept_losses, note_done
from vault_client.device_store import DeviceStore
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service

_EVIDENCE = 1 << 20


class ReceivedGrant(SecretBody, frozen=True, omit_defaults=True):
    """A grant as this device has it, with its keys.

    ``person``: what the vault's genesis commits to. ``listings``: those of the present rekey that were not opened
    here yet. ``said_ended``: the server says so; only the log proves it. ``taken_in``: when its newest event was, 0 where an
    earlier version of this program took it in. ``confirmed``: when keepers last opened a list under that event; 0 if never.
    """

    state: GrantState
    share_a: Bytes32
    grant_key: Bytes32
    person: Bytes32
    listings: tuple[Listing, ...]
    said_ended: bool
    taken_in: Natural = 0
    confirmed: Natural = 0

    @property
    def gid(self) -> bytes:
        """The grant's id."""
        return self.state.event.gid

    def wrapper(self) -> GrantWrapper:
        """What unwraps this grant's document keys, given the keepers' half."""
        event = self.state.event
        return GrantWrapper(
            SecretBytes(self.share_a),
            vault=event.vault,
            gid=event.gid,
            rekey=event.rekey,
            recipient=event.recipient.identity,
            reading_key=event.reading_key,
        )


class MailboxPlace(Body, frozen=True):
    """The last delivery that was taken in."""

    after: Natural


class HolderMet(Body, frozen=True):
    """How often the keys of somebody who grants were recovered or reset, as this device last saw it."""

    hard_stops: Natural


class DirectoryNamed(Body, frozen=True):
    """The largest head of the directory that an event of a record has named, whichever grant it is of."""

    head: Head


class RefusedDelivery(Body, frozen=True):
    """A delivery that was not believed, kept as evidence: what was signed, unless it is longer than any event may be."""

    delivery: Delivery
    why: str


class ReceivedGrants:
    """The received grants of one profile."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity) -> None:
        self._store = store
        self._service = service
        self._own = own
        self.recovered: set[bytes] = set()
        """The records whose holder's keys were found to be recovered or reset, since this profile was opened."""

    def all(self) -> Iterator[ReceivedGrant]:
        """Every grant, also those said to have ended."""
        for _, grant in self._store.scan("received", ReceivedGrant):
            yield grant

    def get(self, gid: bytes) -> ReceivedGrant:
        """One grant. Raises NotPermitted when it was never received."""
        grant = self._store.get(f"received/{gid.hex()}", ReceivedGrant)
        if grant is None:
            raise NotPermitted("No such grant was received. Nothing was opened.")
        return grant

    def keep(self, grant: ReceivedGrant) -> None:
        """Remember what changed."""
        self._store.put(f"received/{grant.gid.hex()}", grant)

    def row(self, gid: bytes, doc: bytes) -> Row:
        """A document's row in a grant. Raises NotPermitted when the grant does not give it."""
        row = self._store.get(f"row-{gid.hex()}/{doc.hex()}", Row)
        if row is None:
            raise NotPermitted("This document was not granted. Nothing was opened.")
        return row

    async def take_in(self) -> list[str]:
        """Read the mailbox. Returns why deliveries were refused, if any were; what was signed of them is kept as evidence.

        Raises NotPermitted for any number but the next: one false number would leave out all that is below it.
        """
        refused, before = [], await self._service.newest_heads()
        await self._begin_anew_after_a_loss()
        while True:
            place = self._store.get("mailbox", MailboxPlace) or MailboxPlace(after=0)
            mailbox = await self._service.api.mailbox(MailboxQuery(after=place.after))
            for delivery in mailbox.deliveries:
                if delivery.number != place.after + 1:
                    raise NotPermitted(
                        f"The server delivered number {delivery.number} where {place.after + 1} is next. It was not taken "
                        "in. Try again; if it stays so, ask the operator of your service."
                    )
                try:
                    await self._take_in(delivery)
                except Refusal as refusal:
                    refused.append(str(refusal))
                    with self._store.transaction():
                        self._keep_refused(delivery, str(refusal))
                        self._keep_place(delivery)
                place = MailboxPlace(after=delivery.number)
            if not mailbox.more:
                self._service.mailbox_was_read(before)
                return refused
            if not mailbox.deliveries:
                raise NotProven("The server announces deliveries that it does not show. Try again later.")

    async def _begin_anew_after_a_loss(self) -> None:
        """Read the mailbox from its beginning where a server lost deliveries and numbers others as it had numbered them."""
        origins = {grant.state.event.origin for grant in self.all()}
        losses = {origin: await declared_losses(self._service, self._store, origin) for origin in origins}
        undone = {origin: lost for origin, lost in losses.items() if not is_done(self._store, origin, lost)}
        if undone:
            with self._store.transaction():
                self._store.put("mailbox", MailboxPlace(after=0))
                for origin, lost in undone.items():
                    note_done(self._store, origin, lost)

    def _was_taken_in(self, known: ReceivedGrant | None, event: GrantEvent, digest: bytes) -> bool:
        """Whether a delivery comes again, as after a loss: the newest event, or an earlier one, which changes nothing."""
        if known is None or not kept_losses(self._store, event.origin):
            return False
        return event.j < known.state.event.j or digest == known.state.digest

    def _keep_place(self, delivery: Delivery) -> None:
        # Stored with what came of the delivery: one taken in a second time would be refused, and held against somebody.
        self._store.put("mailbox", MailboxPlace(after=delivery.number))

    def _keep_refused(self, delivery: Delivery, why: str) -> None:
        # What was signed is evidence without what came beside it, which can be longer than a record may be.
        signed = delivery.envelope
        if signed is not None and len(signed.body) > _EVIDENCE:
            signed = None
        kept = msgspec.structs.replace(delivery, envelope=signed, rows=b"", chains=())
        # Not by its number: after a loss that is given out again.
        name = sha256(encode(kept)).hexdigest()
        self._store.put(f"refused/{name}", RefusedDelivery(delivery=kept, why=why))

    async def _take_in(self, delivery: Delivery) -> None:
        if delivery.ended is not None:
            known = self._store.get(f"received/{delivery.ended.hex()}", ReceivedGrant)
            with self._store.transaction():
                if known is not None:
                    self.keep(msgspec.structs.replace(known, said_ended=True))
                self._keep_place(delivery)
            return
        if delivery.envelope is None:
            raise NotPermitted("The server delivered nothing under a number. It was not taken in.")
        event = read_event(delivery.envelope)
        known = self._store.get(f"received/{event.gid.hex()}", ReceivedGrant)
        if self._was_taken_in(known, event, delivery.envelope.digest):
            self._keep_place(delivery)
            return
        at = event.view.dir
        latest = self._latest(event)
        chains = [await self._service.shown_anew(shown, latest) for shown in delivery.chains]
        signers = self._signers(chains, at)
        if latest != at:
            check_not_removed(delivery.envelope, self._signers(chains, latest))
        state = accept(
            known.state if known is not None else None,
            delivery.envelope,
            signers,
            await self._myself(at),
            self._service.root,
        )
        await self._check_root(event)
        rows = list(split_rows(delivery.rows, event.rows))
        going_on = known if known is not None and known.state.event.rekey == event.rekey else None
        if going_on is None:
            share_a, grant_key = open_a_box(self._own.reading_key(event.reading_key), event, state.a_box)
        else:
            share_a, grant_key = SecretBytes(going_on.share_a), SecretBytes(going_on.grant_key)
        pending = () if going_on is None else going_on.listings
        with self._store.transaction():
            if going_on is None:
                for group in (f"row-{event.gid.hex()}", f"listed-{event.gid.hex()}"):
                    for old in self._store.names(group):
                        self._store.delete(old)
            for row in rows:
                self._store.put(f"row-{event.gid.hex()}/{row.doc.hex()}", row)
            self.keep(
                ReceivedGrant(
                    state=state,
                    share_a=share_a.reveal(),
                    grant_key=grant_key.reveal(),
                    person=_person(known, event),
                    listings=(*pending, event.listing) if event.rows.count else pending,
                    said_ended=False,
                    taken_in=self._service.now(),
                )
            )
            self._store.put(_named(event.vault), DirectoryNamed(head=latest))
            self._note_holders(event.vault, signers)
            self._keep_place(delivery)

    def _latest(self, event: GrantEvent) -> Head:
        """The largest head of the directory that an event of this record has named, this one too."""
        named = self._store.get(_named(event.vault), DirectoryNamed)
        return latest_directory(named.head if named is not None else None, event.view.dir)

    def _note_holders(self, vault: bytes, signers: Sequence[Known]) -> None:
        for signer in signers:
            name, stops = f"holder/{signer.ref.identity.hex()}", len(signer.state.hard_stops)
            met = self._store.get(name, HolderMet)
            if met is not None and met.hard_stops < stops:
                self.recovered.add(vault)
            self._store.put(name, HolderMet(hard_stops=stops))

    async def _check_root(self, event: GrantEvent) -> None:
        """Raises NotPermitted for an event that was signed under another trust root of a number than is shown here."""
        named = event.view.trust_root
        roots = await self._service.roots_up_to(named.version)
        if roots.get(named.version, named.digest) != named.digest:
            raise NotPermitted(
                "A grant was signed under another trust root than the one of that number shown here. It was not taken in. Ask the "
                "operator why there are two."
            )

    def _signers(self, chains: Sequence[ShownChain], at: Head) -> list[Known]:
        return [trust.believe_chain(self._service.root, shown, at) for shown in chains]

    async def _myself(self, at: Head) -> Known:
        own = self._own.known_at(self._service, at)
        if at.size > self._own.profile.chain.links[-1].disclosure.index + 1:
            # The event was made at a later head than our chain's last link: see whether the chain has grown.
            await self._own.refresh(self._service, self._store)
            own = self._own.known_at(self._service, at)
        return own


def _named(vault: bytes) -> str:
    return f"directory-named/{vault.hex()}"


def _person(known: ReceivedGrant | None, event: GrantEvent) -> bytes:
    """What the genesis commits to, which only the first event of a grant shows."""
    return known.person if known is not None else decode(event.genesis or b"", Genesis).person
