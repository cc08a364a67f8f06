"""Fixed keys and fixed people for the vectors: everything follows from names, so a second run makes the same bytes.

Nothing here is drawn at random but the encapsulations of boxes, which no seed can fix.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from crypto import labels
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.encoding import Body, encode
from crypto.grants import ReleasePolicy, subsets_of
from crypto.identity_chain import Known, RegistrarKey, known_at
from crypto.identity_links import (
    AddDevice,
    AnyOperation,
    Certify,
    Chain,
    DisclosedLink,
    IdentityLink,
    ReadingKey,
    Root,
    UnlockKey,
    identity_id,
)
from crypto.locators import directory_slot
from crypto.merkle import EMPTY_ROOT
from crypto.sealed.recovery import Kit
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import Head, RootRef, View
from crypto.trust_root import Keeper, Policy, Registrar, TrustRoot
from crypto.vault_links import Genesis, Rotate, VaultLink, person_commitment, scan_key_commitment, vault_id

HOST = "vault.example"
LOG = f"{HOST}/coffre/log/0"
DIRECTORY = f"{HOST}/coffre/directory"
NOW = 1_790_000_000
DAY = 86_400


def fixed(name: str, length: int = 32) -> bytes:
    """Bytes that follow from a name."""
    return hashlib.shake_256(b"coffre-1 test vectors: " + name.encode()).digest(length)


def signing(name: str) -> SigningKey:
    """An Ed25519 key."""
    return SigningKey(SecretBytes(fixed(f"signing {name}")))


def unsealing(name: str) -> UnsealingKey:
    """A sealing key's private half."""
    return UnsealingKey(SecretBytes(fixed(f"sealing {name}")))


def text_of(body: msgspec.Struct) -> str:
    """The canonical encoding, as text."""
    return encode(body).decode()


def hexed(**values: bytes) -> dict[str, str]:
    """Bytes as they stand in a file."""
    return {name: value.hex() for name, value in values.items()}


def flipped(data: bytes, at: int = -1) -> bytes:
    """``data`` with one bit of one byte changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


DOC, VER, CT_ROOT = fixed("doc", 16), fixed("ver", 16), fixed("ct_root")
VAULT, GID = fixed("vault"), fixed("gid")
IDS = {"doc": DOC, "ver": VER}
HEAD = Head(size=5, root=fixed("root"))

ROOT_KEYS = (signing("root 1"), signing("root 2"))
REGISTRAR = signing("registrar")
REGISTRARS = {REGISTRAR.public.key_id: RegistrarKey(REGISTRAR.public, ("demo",), None)}
REGISTRAR_NAMES = {REGISTRAR.public.raw.hex(): ["demo"]}
KEEPERS = tuple(unsealing(f"keeper {number}") for number in range(4))


def trust_root(**changes: Any) -> TrustRoot:
    """Version 1: four keepers, 1 of 1 and 3 of 4, one registrar for ``demo``, two root keys, both needed."""
    body = TrustRoot(
        suite=labels.SUITE,
        version=1,
        previous=None,
        hosts=(HOST,),
        log_key=signing("log").public.raw,
        directory_key=signing("directory").public.raw,
        keepers=tuple(_keeper(number) for number in range(4)),
        policies=(Policy(k=1, n=1), Policy(k=3, n=4)),
        registrars=(Registrar(key=REGISTRAR.public.raw, schemes=("demo",), retired_since=None),),
        never_granted=("insurer",),
        minimum_client="0.1.0",
        successors=(),
        expiry=NOW + 365 * DAY,
        root_keys=tuple(key.public.raw for key in ROOT_KEYS),
        threshold=2,
    )
    return msgspec.structs.replace(body, **changes)


def _keeper(number: int) -> Keeper:
    return Keeper(
        name=f"keeper-{number}.example",
        cosigning_key=signing(f"keeper {number}").public.raw,
        sealing_key=KEEPERS[number].public,
        url=f"https://keeper-{number}.example",
        operator=f"operator {number}",
        independent=True,
        retired_until=None,
    )


SIGNED_ROOT = sign(labels.TRUST_ROOT, trust_root(), *ROOT_KEYS)


def view(size: int = 0) -> View:
    """What a signer had seen; the heads' roots are fixed bytes unless the log was empty."""
    head = Head(size=size, root=fixed(f"directory at {size}") if size else EMPTY_ROOT)
    seen = Head(size=0, root=EMPTY_ROOT)
    return View(trust_root=RootRef(version=1, digest=SIGNED_ROOT.digest), dir=head, seen=seen)


def policy(k: int, n: int) -> ReleasePolicy:
    """A release policy over the first ``n`` keepers, without blobs."""
    names = sorted(hashlib.sha256(key.public).digest() for key in KEEPERS[:n])
    return ReleasePolicy(k=k, n=n, keepers=tuple(names), subsets=subsets_of(k, n), blobs=())


class Identity:
    """Someone with a kit, a device, an unlock key that may recover, and one reading key."""

    def __init__(self, name: str, start: int = 0, kind: Literal["person", "team"] = "person") -> None:
        """``start``: the index of link 0 in the directory; further links follow at every tenth index."""
        self.name, self.start, self.kind = name, start, kind
        self.kit = Kit(SecretBytes(fixed(f"kit of {name}")))
        self.device, self.device_sealing = signing(f"device of {name}"), unsealing(f"device of {name}")
        self.recovery = signing(f"recovery of {name}")
        self.reading = unsealing(f"reading key of {name}")
        self.links: list[DisclosedLink] = []
        first = self.link_zero()
        self.identity = identity_id(first)
        self.append(first)

    def device_step(self, which: str = "device") -> AddDevice:
        """The step that adds a device by its name."""
        name = f"{which} of {self.name}"
        return AddDevice(signing=signing(name).public.raw, sealing=unsealing(name).public)

    def link_zero(self) -> Envelope:
        """The first link."""
        steps = (
            Root(kind=self.kind, key=self.kit.root.public.raw, random=fixed(f"random of {self.name}")),
            self.device_step(),
            UnlockKey(kind="kit", key=self.kit.unlock.public, recovery=self.recovery.public.raw),
            ReadingKey(number=0, key=self.reading.public, keyring=fixed(f"keyring of {self.name}")),
        )
        body = IdentityLink(suite=labels.SUITE, identity=None, n=0, prev=None, operations=steps, view=None)
        return sign(labels.IDENTITY_LINK, body, self.kit.root, self.device, self.recovery)

    def link(self, *steps: AnyOperation, signers: Sequence[SigningKey], **changes: Any) -> Envelope:
        """The next link."""
        body = IdentityLink(
            suite=labels.SUITE,
            identity=self.identity,
            n=len(self.links),
            prev=self.links[-1].envelope.digest,
            operations=steps,
            view=view(self.start + 10 * len(self.links)),
        )
        return sign(labels.IDENTITY_LINK, msgspec.structs.replace(body, **changes), *signers)

    def append(self, envelope: Envelope, time: int = NOW, index: int | None = None) -> "Identity":
        """Log a link at its place, or at ``index``."""
        n = len(self.links)
        disclosure = Disclosure(
            index=self.start + 10 * n if index is None else index,
            slot_one=directory_slot(DIRECTORY, self.identity, n),
            slot_two=fixed(f"slot two {self.name} {n}"),
            salt=fixed(f"salt {self.name} {n}"),
            part=ServerPart(body=envelope.digest, time=time, outcome="accepted", prev=FIRST),
        )
        self.links.append(DisclosedLink(envelope=envelope, disclosure=disclosure))
        return self

    def add(self, *steps: AnyOperation, signers: Sequence[SigningKey] = (), time: int = NOW) -> "Identity":
        """Sign the next link, by the device unless told otherwise, and log it."""
        return self.append(self.link(*steps, signers=signers or [self.device]), time)

    @property
    def chain(self) -> Chain:
        """The chain as it is disclosed."""
        return Chain(links=tuple(self.links))

    def known(self) -> Known:
        """The chain folded to its end."""
        return known_at(self.chain, 1 << 40, DIRECTORY, REGISTRARS)


def certificate(**changes: Any) -> Certify:
    """A certificate of the fixed registrar."""
    made = Certify(
        kind="practitioner",
        subject="demo:10001234567",
        name="Dr Exemple",
        profession="general practitioner",
        since=NOW,
        until=NOW + 365 * DAY,
    )
    return msgspec.structs.replace(made, **changes)


class Record:
    """A vault with one holder."""

    def __init__(self, holder: Identity) -> None:
        self.holder = holder
        self.genesis = Genesis(
            suite=labels.SUITE,
            holders=(holder.identity,),
            rule=1,
            person=person_commitment(fixed("person salt"), "someone"),
            origin=LOG,
            slot=7,
            random=fixed("genesis random"),
            continues=None,
            keyring=self.rotation(0),
            signers=(holder.known().ref,),
            view=view(100),
        )
        self.signed_genesis = self.sign(labels.GENESIS, self.genesis)
        self.id = vault_id(self.signed_genesis.body)
        self.links: list[Envelope] = []

    def sign(self, label: str, body: Body) -> Envelope:
        """Sign by the holder's device."""
        return sign(label, body, self.holder.device)

    @staticmethod
    def rotation(epoch: int) -> Rotate:
        """The operation that starts an epoch."""
        return Rotate(
            epoch=epoch,
            keyring=fixed(f"vault keyring {epoch}"),
            scan_key=scan_key_commitment(fixed(f"scan key {epoch}")),
            log_key=unsealing(f"log {epoch}").public,
            deposit_key=unsealing(f"deposit {epoch}").public,
            category_keys=(),
        )

    def link(self, *operations: Body, **changes: Any) -> VaultLink:
        """The body of the next link."""
        newest = self.links[-1] if self.links else self.signed_genesis
        body = VaultLink(
            suite=labels.SUITE,
            vault=self.id,
            n=len(self.links) + 1,
            prev=newest.digest,
            signers=(self.holder.known().ref,),
            operations=operations,  # type: ignore[arg-type]
            view=view(100),
        )
        return msgspec.structs.replace(body, **changes)

    def add(self, *operations: Body, **changes: Any) -> "Record":
        """Sign and keep the next link."""
        self.links.append(self.sign(labels.VAULT_LINK, self.link(*operations, **changes)))
        return self
