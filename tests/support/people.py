"""People to test with: a service with its trust root, identities in a directory in memory, records, grants.

Small builders on top of ``crypto`` alone. Whatever they make is honest; a test breaks one thing by ``msgspec``'s
``replace`` or by signing with other keys. Times are plain numbers from ``NOW`` on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from crypto import labels
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.descriptors import document_context
from crypto.encoding import Body, encode
from crypto.grants import (
    Act,
    GrantEvent,
    GrantState,
    Listing,
    ReleasePolicy,
    Row,
    Rows,
    SealedPolicy,
    accept,
    rows_root,
    subset_name,
    subsets_of,
)
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
from crypto.requests import AccessRequest, RequestedDocument
from crypto.sealed import content, shares
from crypto.sealed.policy_blob import PolicyBlob, Seed, seal_policy
from crypto.sealed.recovery import Kit
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, seal_a_box
from crypto.sealing import seal
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import Head, RootRef, View, part_hash
from crypto.trust_root import Accepted, Keeper, Policy, Registrar, TrustRoot
from crypto.vault_chain import Changes, VaultHead, VaultView, follow, found
from crypto.vault_links import Genesis, Grant, Rotate, VaultLink, person_commitment, scan_key_commitment

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
            registrars=(Registrar(key=self.registrar.public.raw, schemes=("demo",)),),
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


class Epoch:
    """The secrets of one epoch of a record."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.secret = SecretBytes.random()
        self.scan_key = SecretBytes.random()
        self.log_key = UnsealingKey.generate()
        self.deposit_key = UnsealingKey.generate()

    @property
    def step(self) -> Rotate:
        """The operation that starts it."""
        return Rotate(
            epoch=self.number,
            keyring=fresh(),
            scan_key=scan_key_commitment(self.scan_key.reveal()),
            log_key=self.log_key.public,
            deposit_key=self.deposit_key.public,
            category_keys=(),
        )


class Vault:
    """A record with its chain folded in memory."""

    def __init__(self, service: Service, holders: Sequence[Person], rule: int = 1) -> None:
        self.service, self.holders, self.rule = service, list(holders), rule
        self.epochs = [Epoch(0)]
        self.genesis = Genesis(
            suite=labels.SUITE,
            holders=tuple(holder.identity for holder in holders),
            rule=rule,
            person=person_commitment(fresh(), "someone"),
            origin=LOG,
            slot=0,
            random=fresh(),
            continues=None,
            keyring=self.epochs[0].step,
            signers=tuple(holder.known().ref for holder in holders[:rule]),
            view=service.view,
        )
        self.signed_genesis = self.sign(labels.GENESIS, self.genesis)
        self.view = VaultView(head=self._founded(), documents={}, grants={}, blocked={})

    @property
    def id(self) -> bytes:
        """The record's id."""
        return self.view.head.vault

    @property
    def epoch(self) -> Epoch:
        """The present epoch."""
        return self.epochs[-1]

    @property
    def signing_holders(self) -> list[Person]:
        """As many holders as have to sign."""
        return self.holders[: self.rule]

    @property
    def known(self) -> list[Known]:
        """The signing holders, at the newest head of the directory."""
        return [holder.known() for holder in self.signing_holders]

    def sign(self, label: str, body: Body) -> Envelope:
        """Sign by the first device of each signing holder."""
        return sign(label, body, *(holder.device.signing for holder in self.signing_holders))

    def body(self, *operations: Body, **changes: Any) -> VaultLink:
        """The body of the next link."""
        body = VaultLink(
            suite=labels.SUITE,
            vault=self.id,
            n=self.view.head.n + 1,
            prev=self.view.head.link,
            signers=tuple(known.ref for known in self.known),
            operations=operations,  # type: ignore[arg-type]
            view=self.service.view,
        )
        return msgspec.structs.replace(body, **changes)

    def link(self, *operations: Body, **changes: Any) -> Envelope:
        """The next link, signed but not followed."""
        return self.sign(labels.VAULT_LINK, self.body(*operations, **changes))

    def add(self, *operations: Body) -> Changes:
        """Sign the next link and follow it."""
        changes = follow(self.view, self.link(*operations), self.known)
        self.view = VaultView(
            head=changes.head,
            documents={**self.view.documents, **changes.documents},
            grants={**self.view.grants, **changes.grants},
            blocked={**self.view.blocked, **changes.blocked},
        )
        return changes

    def rotate(self) -> None:
        """Start a new epoch."""
        epoch = Epoch(self.epoch.number + 1)
        self.add(epoch.step)
        self.epochs.append(epoch)

    def _founded(self) -> VaultHead:
        return found(self.signed_genesis, self.known).head


@dataclass
class GrantedDocument:
    """One document version as a grant needs it."""

    key: SecretBytes
    doc: bytes
    ver: bytes
    ct_root: bytes

    @classmethod
    def fresh(cls) -> "GrantedDocument":
        """Random ids and key."""
        return cls(SecretBytes.random(), fresh(16), fresh(16), fresh())


@dataclass
class MadeEvent:
    """One event as it is delivered."""

    body: GrantEvent
    envelope: Envelope
    rows: bytes
    listing: GrantedDocument
    blobs: tuple[SealedPolicy, ...]


class GrantMaker:
    """A grant as its patient makes it: event after event, each honest unless a test changes it."""

    def __init__(self, vault: Vault, recipient: Person, k: int = 1, n: int = 1) -> None:
        self.vault, self.recipient, self.service = vault, recipient, vault.service
        self.gid, self.first_epoch = fresh(), vault.epoch
        self.k, self.n = k, n
        self.rekey, self.j = -1, -1
        self.prev: bytes | None = None
        self.share_a = SecretBytes(b"")
        self.seeds: list[SecretBytes] = []

    @property
    def grant_key(self) -> SecretBytes:
        """Kg."""
        return shares.grant_key(self.first_epoch.secret, self.gid)

    @property
    def end_key(self) -> SecretBytes:
        """Ke."""
        return shares.end_key(self.first_epoch.secret, self.gid)

    def event(self, *documents: GrantedDocument, rekey: bool = False, **changes: Any) -> MadeEvent:
        """The next event, signed by the holders, over ``documents``."""
        self.j += 1
        policy = self._policy()
        if rekey or self.j == 0:
            self.rekey += 1
            self.share_a = shares.share_a(self.vault.epoch.secret, self.gid, self.rekey)
            self.seeds = shares.seeds(self.vault.epoch.secret, self.gid, self.rekey, policy)
        known, signers = self.recipient.known(), self.vault.known
        listing = GrantedDocument.fresh()
        blobs = self._blobs(policy)
        encoded = sorted(self._row(entry, known, "release").to_bytes() for entry in documents)
        body = GrantEvent(
            suite=labels.SUITE,
            vault=self.vault.id,
            genesis=encode(self.vault.genesis) if self.j == 0 else None,
            origin=LOG,
            gid=self.gid,
            j=self.j,
            prev=self.prev,
            recipient=known.ref,
            reading_key=known.state.reading_key,
            excluded=(),
            rekey=self.rekey,
            a_box=None,
            rows=Rows(root=rows_root(encoded), count=len(encoded)),
            listing=Listing(
                doc=listing.doc,
                ver=listing.ver,
                ct_root=listing.ct_root,
                length=4096,
                wrap=self._row(listing, known, "list").wrap,
            ),
            policy=msgspec.structs.replace(policy, blobs=tuple(part_hash(blob.box) for blob in blobs)),
            log_key=self.vault.epoch.log_key.public,
            purposes=("TREAT",),
            acts=("release", "list"),
            expiry=NOW + 30 * DAY,
            signers=tuple(signer.ref for signer in signers),
            view=self.service.view,
        )
        if rekey or self.j == 0:
            reading = self.recipient.reading[known.state.reading_key].public
            body = msgspec.structs.replace(
                body, a_box=seal_a_box(reading, body, self.share_a, self.grant_key)
            )
        body = msgspec.structs.replace(body, **changes)
        envelope = self.vault.sign(labels.GRANT_EVENT, body)
        self.prev = envelope.digest
        return MadeEvent(body, envelope, b"".join(encoded), listing, blobs)

    def accept(self, previous: GrantState | None, envelope: Envelope) -> GrantState:
        """Believe an event as its recipient does."""
        return accept(previous, envelope, self.vault.known, self.recipient.known(), self.service.root)

    def operation(self, made: MadeEvent) -> Grant:
        """The operation of the record's chain that names an event."""
        return Grant(
            gid=self.gid,
            j=made.body.j,
            event=made.envelope.digest,
            recipient=self.recipient.identity,
            rekey=made.body.rekey,
            epoch=self.vault.epoch.number,
        )

    def wrapper(self, known: Known) -> GrantWrapper:
        """What wraps document keys for the recipient."""
        return GrantWrapper(
            self.share_a,
            vault=self.vault.id,
            gid=self.gid,
            rekey=self.rekey,
            recipient=self.recipient.identity,
            reading_key=known.state.reading_key,
        )

    def all_shares(self, entry: GrantedDocument, act: Act) -> list[bytes]:
        """B, as the patient computes it."""
        maker = shares.ShareB(self.seeds, act, self.gid, self.rekey)
        return maker.shares(entry.doc, entry.ver, entry.ct_root)

    def _row(self, entry: GrantedDocument, known: Known, act: Act) -> Row:
        share_b = self.all_shares(entry, act)
        wrap = self.wrapper(known).wrap(entry.key, share_b, entry.doc, entry.ver, entry.ct_root)
        return Row(doc=entry.doc, ver=entry.ver, ct_root=entry.ct_root, wrap=wrap)

    def _policy(self) -> ReleasePolicy:
        return policy_over(self.service, self.k, self.n)

    def _blobs(self, policy: ReleasePolicy) -> tuple[SealedPolicy, ...]:
        keepers = {keeper.key_hash: keeper for keeper in self.service.root.keepers}
        return tuple(
            seal_policy(self.blob(policy, place), keepers[name].sealing_key, self.service.accepted.ref.digest)
            for place, name in enumerate(policy.keepers)
        )

    def blob(self, policy: ReleasePolicy, place: int) -> PolicyBlob:
        """What the keeper in ``place`` must know."""
        return PolicyBlob(
            origin=LOG,
            gid=self.gid,
            j=self.j,
            recipient=self.recipient.identity,
            excluded=(),
            expiry=NOW + 30 * DAY,
            acts=("release", "list"),
            rate=1000,
            grant_key=self.grant_key.reveal(),
            end_key=self.end_key.reveal(),
            rekey=self.rekey,
            seeds=tuple(
                Seed(subset=subset_name(policy, subset), seed=seed.reveal())
                for subset, seed in zip(policy.subsets, self.seeds, strict=True)
                if place in subset
            ),
        )


def policy_over(service: Service, k: int, n: int) -> ReleasePolicy:
    """The release policy over a service's keepers, without blobs."""
    return ReleasePolicy(
        k=k,
        n=n,
        keepers=tuple(sorted(keeper.key_hash for keeper in service.root.keepers)),
        subsets=subsets_of(k, n),
        blobs=(),
    )


def request_for(
    reader: Person,
    made: MadeEvent,
    *documents: GrantedDocument,
    act: Act = "release",
    **changes: Any,
) -> AccessRequest:
    """What a reader asks of a grant."""
    body = AccessRequest(
        suite=labels.SUITE,
        origin=LOG,
        gid=made.body.gid,
        ghead=made.envelope.digest,
        documents=tuple(
            RequestedDocument(doc=entry.doc, ver=entry.ver, ct_root=entry.ct_root, rekey=made.body.rekey)
            for entry in documents
        ),
        act=act,
        identity=reader.identity,
        device=reader.device.id,
        team=None,
        time=NOW,
        nonce=fresh(16),
        slot_two=fresh(),
        purpose=seal(made.body.log_key, b"", b""),
        view=reader.service.view,
    )
    return msgspec.structs.replace(body, **changes)


def sealed_document(vault: Vault, plaintext: bytes) -> tuple[GrantedDocument, bytes]:
    """A small document sealed for a record, and its ciphertext."""
    entry = GrantedDocument.fresh()
    return entry, content.seal(entry.key, document_context(vault.id, entry.doc, entry.ver), plaintext)
