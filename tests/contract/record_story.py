"""A record and its holder, through ``VaultApi``, with ``crypto`` alone."""

from dataclasses import dataclass
from typing import Any

import msgspec

from crypto import labels, pieces
from crypto.locators import Locator
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.statements import part_hash
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
from tests.contract.vault_story import Person, World, fresh


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


async def founded(world: World) -> Record:
    """A record with nothing in it."""
    record = Record(await world.person())
    await record.found()
    return record


async def everything(api: VaultApi, query: m.CiphertextQuery) -> bytes:
    """A whole ciphertext."""
    return b"".join([chunk async for chunk in api.ciphertext(query)])
