"""People to test with: a service with its trust root, and identities in a directory in memory.

Small builders on top of ``crypto`` alone. Whatever they make is honest; a test breaks one thing by ``msgspec``'s
``replace`` or by signing with other keys. Times are plain numbers from ``NOW`` on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from crypto import labels
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.identity_chain import Known, Registrars, known_at
from crypto.identity_links import (
    AddDevice,
    AnyOperation,
    Certify,
    Chain,
    DisclosedLink,
    IdentityLink,
    Keyring,
    ReadingKey,
    Root,
    UnlockKey,
    identity_id,
)
from crypto.locators import directory_slot
from crypto.merkle import Frontier, leaf_hash
from crypto.sealed.recovery import Kit
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import Head, RootRef, View
from crypto.trust_root import Accepted, Keeper, Policy, Registrar, TrustRoot

NOW = 1_750_000_000

HOST = "vault.example"

LOG = f"{HOST}/coffre/log/0"

DAY = 24 * 3600


def fresh(length: int = 32) -> bytes:
    """Random bytes."""
    return SecretBytes.random(length).reveal()


class Directory:
    """A directory log in memory. Honest: each link is one leaf, in the order it came."""

    def __init__(self) -> None:
        self.origin = f"{HOST}/coffre/directory"
        self.frontier = Frontier()

    @property
    def head(self) -> Head:
        """The newest head."""
        return Head(size=self.frontier.size, root=self.frontier.root())

    def append(self, identity: bytes, n: int, envelope: Envelope, time: int) -> Disclosure:
        """Log link ``n`` of ``identity``."""
        disclosure = Disclosure(
            index=self.frontier.size,
            slot_one=directory_slot(self.origin, identity, n),
            slot_two=fresh(),
            salt=fresh(),
            part=ServerPart(body=envelope.digest, time=time, outcome="accepted", prev=FIRST),
        )
        self.frontier.append(leaf_hash(disclosure.leaf(envelope).to_bytes()))
        return disclosure


@dataclass
class KeeperKeys:
    """A keeper's private half, and how the trust root names it."""

    cosigning: SigningKey = field(default_factory=SigningKey.generate)
    unsealing: UnsealingKey = field(default_factory=UnsealingKey.generate)

    def named(self, name: str) -> Keeper:
        """The trust root's entry."""
        return Keeper(
            name=name,
            cosigning_key=self.cosigning.public.raw,
            sealing_key=self.unsealing.public,
            url=f"https://{name}.example",
            operator=name,
            independent=True,
            retired_until=None,
        )


class Service:
    """A directory, and a trust root with ``n`` keepers, one registrar for ``demo`` and two root keys, both needed."""

    def __init__(self, k: int = 1, n: int = 1) -> None:
        self.directory = Directory()
        self.keepers = [KeeperKeys() for _ in range(n)]
        self.registrar = SigningKey.generate()
        self.root_keys = (SigningKey.generate(), SigningKey.generate())
        self.root = TrustRoot(
            suite=labels.SUITE,
            version=1,
            previous=None,
            hosts=(HOST,),
            log_key=SigningKey.generate().public.raw,
            directory_key=SigningKey.generate().public.raw,
            keepers=tuple(keys.named(f"keeper-{number}") for number, keys in enumerate(self.keepers)),
            policies=(Policy(k=k, n=n),),
            registrars=(Registrar(key=self.registrar.public.raw, schemes=("demo",), retired_since=None),),
            never_granted=("insurer",),
            minimum_client="0.1.0",
            successors=(),
            expiry=NOW + 365 * DAY,
            root_keys=tuple(key.public.raw for key in self.root_keys),
            threshold=2,
        )
        self.signed_root = sign(labels.TRUST_ROOT, self.root, *self.root_keys)

    @property
    def accepted(self) -> Accepted:
        """The trust root as a client holds it."""
        return Accepted(root=self.root, ref=RootRef(version=1, digest=self.signed_root.digest))

    @property
    def registrars(self) -> Registrars:
        """Who may certify."""
        return self.root.registrar_keys()

    @property
    def view(self) -> View:
        """What an honest signer of this moment has seen; its log is still empty."""
        return View(
            trust_root=self.accepted.ref,
            dir=self.directory.head,
            seen=Head(size=0, root=Frontier().root()),
        )

    def certify(self, person: "Person", **changes: Any) -> DisclosedLink:
        """Append an honest certificate to a person's chain."""
        return person.add(certificate(**changes), signers=[self.registrar])


def certificate(**changes: Any) -> Certify:
    """A certificate as a registrar gives it."""
    step = Certify(
        kind="practitioner",
        subject="demo:10001234567",
        name="Dr Exemple",
        profession="general practitioner",
        since=NOW,
        until=NOW + 365 * DAY,
    )
    return msgspec.structs.replace(step, **changes)


class Device:
    """A device's private keys."""

    def __init__(self) -> None:
        self.signing = SigningKey.generate()
        self.unsealing = UnsealingKey.generate()

    @property
    def id(self) -> bytes:
        """The id of the signing key."""
        return self.signing.public.key_id

    @property
    def added(self) -> AddDevice:
        """The step that adds it."""
        return AddDevice(signing=self.signing.public.raw, sealing=self.unsealing.public)


class Person:
    """An identity with its kit, one device, one reading key, and a recovery key beside the kit's unlock key."""

    def __init__(self, service: Service, kind: Literal["person", "team"] = "person") -> None:
        self.service = service
        self.kit = Kit.generate()
        self.device = Device()
        self.recovery = SigningKey.generate()
        self.reading = [UnsealingKey.generate()]
        body = IdentityLink(
            suite=labels.SUITE,
            identity=None,
            n=0,
            prev=None,
            operations=(
                Root(kind=kind, key=self.kit.root.public.raw, random=fresh()),
                self.device.added,
                UnlockKey(kind="device", key=self.device.unsealing.public, recovery=None),
                UnlockKey(kind="kit", key=self.kit.unlock.public, recovery=self.recovery.public.raw),
                ReadingKey(number=0, key=self.reading[0].public, keyring=fresh()),
            ),
            view=None,
        )
        envelope = sign(labels.IDENTITY_LINK, body, self.kit.root, self.device.signing, self.recovery)
        self.identity = identity_id(envelope)
        self.links: list[DisclosedLink] = []
        self._append(envelope, NOW)

    @property
    def chain(self) -> Chain:
        """The chain as it is disclosed."""
        return Chain(links=tuple(self.links))

    @property
    def head(self) -> Envelope:
        """The newest link."""
        return self.links[-1].envelope

    def body(self, *steps: AnyOperation, **changes: Any) -> IdentityLink:
        """The body of the next link."""
        body = IdentityLink(
            suite=labels.SUITE,
            identity=self.identity,
            n=len(self.links),
            prev=self.head.digest,
            operations=steps,
            view=self.service.view,
        )
        return msgspec.structs.replace(body, **changes)

    def link(self, *steps: AnyOperation, signers: Sequence[SigningKey] = (), **changes: Any) -> Envelope:
        """The next link, signed (by the device unless told otherwise) but not published."""
        return sign(labels.IDENTITY_LINK, self.body(*steps, **changes), *(signers or [self.device.signing]))

    def add(self, *steps: AnyOperation, signers: Sequence[SigningKey] = (), time: int = NOW) -> DisclosedLink:
        """Publish the next link."""
        return self._append(self.link(*steps, signers=signers), time)

    def new_reading_key(self) -> None:
        """Publish the next reading key."""
        self.reading.append(UnsealingKey.generate())
        self.add(ReadingKey(number=len(self.reading) - 1, key=self.reading[-1].public, keyring=fresh()))

    def known(self, size: int | None = None) -> Known:
        """The chain folded at a head of the directory, by default the newest."""
        directory = self.service.directory
        at = directory.frontier.size if size is None else size
        return known_at(self.chain, at, directory.origin, self.service.registrars)

    def _append(self, envelope: Envelope, time: int) -> DisclosedLink:
        disclosure = self.service.directory.append(self.identity, len(self.links), envelope, time)
        self.links.append(DisclosedLink(envelope=envelope, disclosure=disclosure))
        return self.links[-1]


def keyring_step() -> Keyring:
    """A step that changes nothing but the keyring's hash: the smallest honest link."""
    return Keyring(keyring=fresh())
