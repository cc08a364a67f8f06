"""People who use a vault server through ``VaultApi``, whatever stands behind it, with ``crypto`` alone.

Everything they send is honest; a test changes one thing with ``msgspec.structs.replace`` or by signing otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from crypto import labels, pieces
from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.encoding import Body
from crypto.grants import GrantEvent, Listing, ReleasePolicy, Row, Rows, SealedPolicy, rows_root, subsets_of
from crypto.identity_chain import Known, known_at
from crypto.identity_links import (
    AddDevice,
    Certify,
    Chain,
    DisclosedLink,
    IdentityLink,
    ReadingKey,
    Root,
    UnlockKey,
    identity_id,
)
from crypto.locators import Locator, end_tag, event_tag
from crypto.receipt import Receipt
from crypto.requests import AccessRequest, RequestedDocument
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, VerifyKey, sign
from crypto.statements import Head, View, part_hash
from crypto.trust_root import Accepted
from crypto.vault_links import (
    AddVersion,
    End,
    Genesis,
    Grant,
    Rotate,
    VaultLink,
    person_commitment,
    scan_key_commitment,
    vault_id,
)
from crypto.wire import messages as m
from crypto.wire.vault_api import VaultApi

DAY = 24 * 3600


def fresh(length: int = 32) -> bytes:
    """Random bytes."""
    return SecretBytes.random(length).reveal()


class ServiceUnderTest(Protocol):
    """What a contract test needs of a server: a way in, what it is trusted by, and its registrar's key."""

    root: Accepted
    registrar: SigningKey

    def now(self) -> int:
        """The server's time."""
        ...

    async def api(self, person: "Person | None" = None) -> VaultApi:
        """The operations, as ``person`` (logged in) or nobody."""
        ...


class World:
    """What everybody can see: the logs' heads, as a client verifies them."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self.service = service
        self.root = service.root.root
        self.directory = self.root.directory_origin

    async def head(self, origin: str) -> Head:
        """The newest head, signed by the log and cosigned by its keepers."""
        note = await (await self.service.api()).checkpoint(origin)
        checkpoint = self.believe(note, origin)
        return Head(size=checkpoint.size, root=checkpoint.root)

    async def view(self, origin: str) -> View:
        """What an honest signer of this moment has seen."""
        seen = await self.head(origin)
        directory = seen if origin == self.directory else await self.head(self.directory)
        return View(trust_root=self.service.root.ref, dir=directory, seen=seen)

    def believe(self, note: bytes, origin: str) -> Checkpoint:
        """Check a note as a client does."""
        keepers = [CosignerKey(each.name, VerifyKey(each.cosigning_key)) for each in self.root.keepers]
        assert cosignatures(note, keepers)
        return open_checkpoint(note, LogKey(origin, VerifyKey(self.root.log_key_of(origin))))

    def check(self, logged: m.Logged, envelope: Envelope, origin: str) -> int:
        """Check a proof as a client does; returns the index."""
        receipt = Receipt.decode(logged.receipt)
        leaf = logged.disclosure.leaf(envelope)
        assert receipt.index == logged.disclosure.index
        receipt.verify(leaf.to_bytes(), LogKey(origin, VerifyKey(self.root.log_key_of(origin))))
        self.believe(receipt.note, origin)
        return receipt.index

    async def person(self, *, certified: bool = False) -> "Person":
        """Somebody who has published a first link, and is certified or not."""
        person = Person(self)
        await person.publish(person.first)
        if certified:
            await person.certify()
        return person


class Person:
    """An identity with one device."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.root = SigningKey.generate()
        self.device = SigningKey.generate()
        self.unsealing, self.reading = UnsealingKey.generate(), UnsealingKey.generate()
        self.keyring = fresh(200)
        body = IdentityLink(
            suite=labels.SUITE,
            identity=None,
            n=0,
            prev=None,
            operations=(
                Root(kind="person", key=self.root.public.raw, random=fresh()),
                AddDevice(signing=self.device.public.raw, sealing=self.unsealing.public),
                UnlockKey(kind="device", key=self.unsealing.public, recovery=None),
                ReadingKey(number=0, key=self.reading.public, keyring=part_hash(self.keyring)),
            ),
            view=None,
        )
        envelope = sign(labels.IDENTITY_LINK, body, self.root, self.device)
        self.first = m.PublishLink(envelope=envelope, parts=(self.keyring,))
        self.identity = identity_id(envelope)
        self.links: list[DisclosedLink] = []

    @property
    def chain(self) -> Chain:
        """The chain as it is disclosed."""
        return Chain(links=tuple(self.links))

    async def api(self) -> VaultApi:
        """The operations, logged in."""
        return await self.world.service.api(self)

    async def publish(self, query: m.PublishLink) -> m.Logged:
        """Publish a link, check its proof, and keep it."""
        logged = await (await self.world.service.api()).publish_link(query)
        self.world.check(logged, query.envelope, self.world.directory)
        self.links.append(DisclosedLink(envelope=query.envelope, disclosure=logged.disclosure))
        return logged

    async def link(self, *steps: Any, by: Sequence[SigningKey] = ()) -> Envelope:
        """The next link, signed but not published."""
        body = IdentityLink(
            suite=labels.SUITE,
            identity=self.identity,
            n=len(self.links),
            prev=self.links[-1].envelope.digest,
            operations=steps,
            view=await self.world.view(self.world.directory),
        )
        return sign(labels.IDENTITY_LINK, body, *(by or [self.device]))

    async def certify(self, **changes: Any) -> None:
        """Be certified by the instance's registrar."""
        now = self.world.service.now()
        step = Certify(
            kind="practitioner",
            subject="demo:10001234567",
            name="Dr Exemple",
            profession="general practitioner",
            since=now - 60,
            until=now + 30 * DAY,
        )
        envelope = await self.link(
            msgspec.structs.replace(step, **changes), by=[self.world.service.registrar]
        )
        await self.publish(m.PublishLink(envelope=envelope, parts=()))

    def known(self, view: View) -> Known:
        """Oneself at ``view.dir``."""
        return known_at(self.chain, view.dir.size, self.world.directory, self.world.root.registrar_keys())


class Epoch:
    """The keys of one epoch of a record."""

    def __init__(self, number: int) -> None:
        self.scan_key = fresh()
        self.log_key, self.deposit_key = UnsealingKey.generate(), UnsealingKey.generate()
        self.keyring = fresh(300)
        self.step = Rotate(
            epoch=number,
            keyring=part_hash(self.keyring),
            scan_key=scan_key_commitment(self.scan_key),
            log_key=self.log_key.public,
            deposit_key=self.deposit_key.public,
            category_keys=(),
        )


@dataclass
class Stored:
    """One document version as its owner knows it."""

    doc: bytes
    ver: bytes
    data: bytes
    self_wrap: bytes
    descriptor: bytes

    @classmethod
    def random(cls, length: int = 5000) -> "Stored":
        """Random bytes in the place of a ciphertext."""
        return cls(fresh(16), fresh(16), fresh(pieces.ciphertext_length(length)), fresh(48), fresh(400))

    @property
    def ct_root(self) -> bytes:
        """The content address."""
        return pieces.ct_root(self.data)

    @property
    def parts(self) -> tuple[bytes, bytes]:
        """The erasable parts."""
        return self.self_wrap, self.descriptor

    def step(self, epoch: int = 0) -> AddVersion:
        """The operation that adds it."""
        return AddVersion(
            doc=self.doc,
            ver=self.ver,
            ct_root=self.ct_root,
            length=len(self.data),
            epoch=epoch,
            self_wrap=part_hash(self.self_wrap),
            descriptor=part_hash(self.descriptor),
        )


class Record:
    """A vault and its only holder."""

    def __init__(self, holder: Person) -> None:
        self.holder, self.world = holder, holder.world
        self.epochs = [Epoch(0)]
        self.id = b""
        self.origin = ""
        self.n = 0
        self.head = b""
        self.genesis = b""

    @property
    def epoch(self) -> Epoch:
        """The present epoch."""
        return self.epochs[-1]

    async def genesis_for(self, place: m.Reservation, **changes: Any) -> m.LinkSubmission:
        """A founding statement for a reserved place."""
        view = await self.world.view(place.origin)
        body = Genesis(
            suite=labels.SUITE,
            holders=(self.holder.identity,),
            rule=1,
            person=person_commitment(fresh(), "somebody"),
            origin=place.origin,
            slot=place.slot,
            random=fresh(),
            continues=None,
            keyring=self.epoch.step,
            signers=(self.holder.known(view).ref,),
            view=view,
        )
        envelope = sign(labels.GENESIS, msgspec.structs.replace(body, **changes), self.holder.device)
        return m.LinkSubmission(
            envelope=envelope, scan_key=self.epoch.scan_key, tags=(), events=(), parts=(self.epoch.keyring,)
        )

    async def found(self) -> m.LinkAccepted:
        """Found it."""
        api = await self.holder.api()
        place = await api.reserve(m.Empty())
        submission = await self.genesis_for(place)
        accepted = await api.create_vault(submission)
        self.origin = place.origin
        self.genesis = submission.envelope.body
        self.id, self.head = vault_id(self.genesis), submission.envelope.digest
        self.check(accepted, submission)
        return accepted

    async def link(self, *steps: Any, **changes: Any) -> Envelope:
        """The next link, signed but not sent."""
        view = await self.world.view(self.origin)
        body = VaultLink(
            suite=labels.SUITE,
            vault=self.id,
            n=self.n + 1,
            prev=self.head,
            signers=(self.holder.known(view).ref,),
            operations=steps,
            view=view,
        )
        return sign(labels.VAULT_LINK, msgspec.structs.replace(body, **changes), self.holder.device)

    async def submission(self, *steps: Any, **beside: Any) -> m.LinkSubmission:
        """The next link with nothing beside it but ``beside``."""
        empty = m.LinkSubmission(
            envelope=await self.link(*steps), scan_key=None, tags=(), events=(), parts=()
        )
        return msgspec.structs.replace(empty, **beside)

    async def append(self, submission: m.LinkSubmission) -> m.LinkAccepted:
        """Send a link, check its proofs, and move on."""
        accepted = await (await self.holder.api()).append_link(submission)
        self.check(accepted, submission)
        self.n += 1
        self.head = submission.envelope.digest
        return accepted

    def check(self, accepted: m.LinkAccepted, submission: m.LinkSubmission) -> None:
        """Every proof is of the leaf it must be of, in the order of the link, under the scan key before it."""
        events = iter(submission.events)
        kinds: list[Envelope] = [submission.envelope]
        if submission.envelope.type == labels.VAULT_LINK:
            link = msgspec.json.decode(submission.envelope.body, type=VaultLink)
            for step in link.operations:
                if isinstance(step, Grant):
                    kinds.append(next(events).envelope)
                elif isinstance(step, End):
                    kinds.append(submission.envelope)
        locator = Locator(SecretBytes(self.epoch.scan_key), self.origin)
        for logged, envelope in zip(accepted.logged, kinds, strict=True):
            self.world.check(logged, envelope, self.origin)
            assert locator.matches(logged.disclosure.slot_one)
        assert [each.disclosure.slot_two for each in accepted.logged[1:]] == list(submission.tags)

    async def upload(self, stored: Stored) -> None:
        """Send a version's ciphertext."""
        api, length = await self.holder.api(), len(stored.data)
        for number in range(pieces.part_count(length)):
            query = m.PartUpload(vault=self.id, ver=stored.ver, length=length, number=number)
            await api.put_part(query, stored.data[pieces.part_slice(number, length)])

    async def add(self, *documents: Stored) -> None:
        """Add documents in one link."""
        for stored in documents:
            await self.upload(stored)
        parts = tuple(part for stored in documents for part in stored.parts)
        steps = [stored.step(len(self.epochs) - 1) for stored in documents]
        await self.append(await self.submission(*steps, parts=parts))

    async def rotate(self) -> None:
        """Start a new epoch."""
        epoch = Epoch(len(self.epochs))
        submission = await self.submission(epoch.step, scan_key=epoch.scan_key, parts=(epoch.keyring,))
        await self.append(submission)
        self.epochs.append(epoch)


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
                RequestedDocument(doc=each.doc, ver=each.ver, ct_root=each.ct_root, rekey=self.rekey)
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


async def everything(api: VaultApi, query: m.CiphertextQuery) -> bytes:
    """A whole ciphertext."""
    return b"".join([chunk async for chunk in api.ciphertext(query)])


def body_of(envelope: Envelope, kind: type[Body]) -> Any:
    """The body of an envelope that a test has made itself."""
    return msgspec.json.decode(envelope.body, type=kind)


def resigned(envelope: Envelope, body: Body, *keys: SigningKey) -> Envelope:
    """A changed body under the same label."""
    return sign(envelope.type, body, *keys)
