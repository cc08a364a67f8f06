"""A grant and its recipient, through ``VaultApi``, with ``crypto`` alone."""

from typing import Any

import msgspec

from crypto import labels
from crypto.grants import GrantEvent, Listing, ReleasePolicy, Row, Rows, SealedPolicy, rows_root, subsets_of
from crypto.locators import Locator, end_tag, event_tag
from crypto.requests import AccessRequest, RequestedDocument
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.statements import part_hash
from crypto.vault_links import (
    End,
    Grant,
)
from crypto.wire import messages as m
from tests.contract.record_story import Record, Stored, founded
from tests.contract.vault_story import DAY, Person, World, fresh


class Granting:
    """A grant as its patient makes it, event after event. The wraps and policies are random bytes: no server opens them."""

    def __init__(self, record: Record, recipient: Person) -> None:
        self.record, self.recipient, self.world = record, recipient, record.world
        self.gid, self.grant_key, self.end_key = fresh(), SecretBytes.random(), SecretBytes.random()
        self.j, self.rekey = -1, 0
        self.prev: bytes | None = None
        self.events: list[GrantEvent] = []

    def tag(self, j: int) -> bytes:
        """Slot two of event ``j``."""
        return event_tag(self.end_key, self.record.origin, self.gid, j)

    @property
    def end_tag(self) -> bytes:
        """Slot two of the end."""
        return end_tag(self.end_key, self.record.origin, self.gid)

    async def submission(self, *documents: Stored, rekey: bool = False, **changes: Any) -> m.LinkSubmission:
        """The link with the next event."""
        self.j += 1
        self.rekey += rekey
        view = await self.world.view(self.record.origin)
        recipient = self.recipient.known(view)
        encoded = sorted(
            Row(doc=each.doc, ver=each.ver, ct_root=each.ct_root, wrap=fresh(48)).to_bytes()
            for each in documents
        )
        listing = Stored.random(4096)
        keepers = tuple(sorted(keeper.key_hash for keeper in self.world.root.live_keepers))
        root = self.world.service.root.ref.digest
        blobs = tuple(
            SealedPolicy(keeper=name, j=self.j, trust_root=root, box=fresh(1200)) for name in keepers
        )
        (policy,) = self.world.root.policies
        first = self.j == 0
        event = GrantEvent(
            suite=labels.SUITE,
            vault=self.record.id,
            genesis=self.record.genesis if first else None,
            origin=self.record.origin,
            gid=self.gid,
            j=self.j,
            prev=self.prev,
            recipient=recipient.ref,
            reading_key=recipient.state.reading_key,
            excluded=(),
            rekey=self.rekey,
            a_box=fresh(1200) if first or rekey else None,
            standing=None,
            rows=Rows(root=rows_root(encoded), count=len(encoded)),
            listing=Listing(
                doc=listing.doc,
                ver=listing.ver,
                ct_root=listing.ct_root,
                length=len(listing.data),
                wrap=fresh(48),
            ),
            policy=ReleasePolicy(
                k=policy.k,
                n=policy.n,
                keepers=keepers,
                subsets=subsets_of(policy.k, policy.n),
                blobs=tuple(part_hash(blob.box) for blob in blobs),
            ),
            log_key=self.record.epoch.log_key.public,
            purposes=("TREAT",),
            acts=("release", "list"),
            expiry=self.world.service.now() + 30 * DAY,
            signers=(self.record.holder.known(view).ref,),
            view=view,
        )
        event = msgspec.structs.replace(event, **changes)
        envelope = sign(labels.GRANT_EVENT, event, self.record.holder.device)
        self.prev = envelope.digest
        self.events.append(event)
        self.listing = listing
        sent = m.EventSubmission(
            envelope=envelope,
            rows=b"".join(encoded),
            listing=listing.data,
            blobs=blobs,
            chains=(m.ShownChain(chain=self.record.holder.chain, heads=()),),
        )
        return await self.record.submission(
            self.operation(envelope), tags=(self.tag(self.j),), events=(sent,)
        )

    def operation(self, envelope: Envelope) -> Grant:
        """The operation that names the newest event."""
        return Grant(
            gid=self.gid,
            j=self.j,
            event=envelope.digest,
            recipient=self.recipient.identity,
            rekey=self.rekey,
            epoch=len(self.record.epochs) - 1,
        )

    async def grant(self, *documents: Stored, rekey: bool = False) -> m.LinkAccepted:
        """Log the next event."""
        return await self.record.append(await self.submission(*documents, rekey=rekey))

    async def end(self) -> m.LinkAccepted:
        """End the grant."""
        return await self.record.append(await self.record.submission(End(gid=self.gid), tags=(self.end_tag,)))

    async def request(self, *documents: Stored, **changes: Any) -> Envelope:
        """The recipient's signed request for documents."""
        body = AccessRequest(
            suite=labels.SUITE,
            origin=self.record.origin,
            gid=self.gid,
            ghead=self.prev or b"",
            documents=tuple(
                RequestedDocument(
                    doc=each.doc, ver=each.ver, ct_root=each.ct_root, rekey=self.rekey, deposit=None
                )
                for each in documents
            ),
            act="release",
            identity=self.recipient.identity,
            device=self.recipient.device.public.key_id,
            team=None,
            time=self.world.service.now(),
            nonce=fresh(16),
            slot_two=Locator(self.grant_key, self.record.origin).make(fresh(16)),
            purpose=fresh(1300),
            view=await self.world.view(self.record.origin),
        )
        body = msgspec.structs.replace(body, **changes)
        return sign(labels.ACCESS_REQUEST, body, self.recipient.device)

    async def open(self, *documents: Stored, **changes: Any) -> m.OpenAnswer:
        """Ask, and check the proof of the answer."""
        envelope = await self.request(*documents, **changes)
        answer = await (await self.recipient.api()).open(m.OpenRequest(request=envelope))
        self.world.check(answer.logged, envelope, self.record.origin)
        return answer


async def granted(world: World, *documents: Stored) -> Granting:
    """A record whose documents are granted to a certified practitioner."""
    record = await founded(world)
    await record.add(*documents)
    granting = Granting(record, await world.person(certified=True))
    await granting.grant(*documents)
    return granting
