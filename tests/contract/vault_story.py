"""People who use a vault server through ``VaultApi``, whatever stands behind it, with ``crypto`` alone.

Everything they send is honest; a test changes one thing with ``msgspec.structs.replace`` or by signing otherwise.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from crypto import labels
from crypto.checkpoint import Checkpoint, cosignatures, open_checkpoint
from crypto.encoding import Body
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
from crypto.receipt import Receipt
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import Head, View, part_hash
from crypto.trust_root import Accepted
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
        keepers = [each.cosigner for each in self.root.keepers]
        assert cosignatures(note, keepers)
        return open_checkpoint(note, self.root.log_key_of(origin))

    def check(self, logged: m.Logged, envelope: Envelope, origin: str) -> int:
        """Check a proof as a client does; returns the index."""
        receipt = Receipt.decode(logged.receipt)
        leaf = logged.disclosure.leaf(envelope)
        assert receipt.index == logged.disclosure.index
        receipt.verify(leaf.to_bytes(), self.root.log_key_of(origin))
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
        return await self._publish(await self.world.service.api(), query)

    async def publish_as_oneself(self, query: m.PublishLink) -> m.Logged:
        """``publish``, in one's session: what was shown in it counts."""
        return await self._publish(await self.api(), query)

    async def _publish(self, api: VaultApi, query: m.PublishLink) -> m.Logged:
        logged = await api.publish_link(query)
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


async def leaves(world: World, origin: str) -> int:
    """How many leaves a log shows."""
    return (await world.head(origin)).size


async def leaves_after(world: World, origin: str, wanted: int) -> int:
    """The size of a log once a leaf that nobody waits for has been published."""
    for _ in range(100):
        size = await leaves(world, origin)
        if size >= wanted:
            return size
        await asyncio.sleep(0.01)
    return await leaves(world, origin)


def body_of(envelope: Envelope, kind: type[Body]) -> Any:
    """The body of an envelope that a test has made itself."""
    return msgspec.json.decode(envelope.body, type=kind)


def resigned(envelope: Envelope, body: Body, *keys: SigningKey) -> Envelope:
    """A changed body under the same label."""
    return sign(envelope.type, body, *keys)
