"""Grants to test with, as their patients make them, and requests under them."""

from dataclasses import dataclass
from typing import Any

import msgspec

from crypto import labels
from crypto.encoding import encode
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
from crypto.identity_chain import Known
from crypto.requests import AccessRequest, RequestedDocument
from crypto.sealed import shares
from crypto.sealed.policy_blob import PolicyBlob, Rate, Seed, seal_policy
from crypto.sealed.wrapping import GrantWrapper, seal_a_box
from crypto.sealing import seal
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.statements import part_hash
from crypto.vault_links import Grant
from tests.support.people import DAY, LOG, NOW, Person, Service, fresh
from tests.support.vaults import Vault


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
            standing=None,
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
            rates=(Rate(seconds=3600, documents=1000),),
            standing=(),
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
            RequestedDocument(
                doc=entry.doc, ver=entry.ver, ct_root=entry.ct_root, rekey=made.body.rekey, deposit=None
            )
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
