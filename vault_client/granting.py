"""Making a grant event: rows of wraps, the sealed listing, the recipient's box, the keepers' blobs.

All secrets come from the vault's epoch secrets, so nothing of an event needs to be stored to extend or end the grant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import msgspec

from crypto import labels, pieces
from crypto.descriptors import Descriptor, ListedDocument, ListingBody, listing_context, listing_record
from crypto.durations import HOUR
from crypto.grants import (
    Act,
    GrantEvent,
    Listing,
    ReleasePolicy,
    Rows,
    SealedPolicy,
    rows_root,
    subset_name,
)
from crypto.grants import subsets_of as all_subsets
from crypto.identity_chain import Known
from crypto.sealed import content, shares
from crypto.sealed.keyring import EpochKeys
from crypto.sealed.policy_blob import PolicyBlob, Rate, Seed, seal_policy
from crypto.sealed.wrapping import GrantWrapper, seal_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import IdentityRef, View, part_hash
from crypto.trust_root import Keeper, TrustRoot
from crypto.vault_links import Person

# Documents one keeper releases for one grant within an hour: far above a consultation, far below a theft.
RATES = (Rate(seconds=HOUR, documents=2048),)


class VersionToGrant(NamedTuple):
    """A document version to be granted: its ids, its key, and what it is called."""

    doc: bytes
    ver: bytes
    ct_root: bytes
    key: SecretBytes
    descriptor: Descriptor


@dataclass(frozen=True)
class Terms:
    """What a grant allows. ``excluded``: members of a team who may not open."""

    acts: tuple[Act, ...]
    purposes: tuple[str, ...]
    expiry: int
    excluded: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where in its series an event stands, and the secrets of the epochs it uses."""

    gid: bytes
    j: int
    prev: bytes | None
    rekey: int
    fresh: bool
    epoch_first: EpochKeys
    epoch: EpochKeys

    @property
    def grant_key(self) -> SecretBytes:
        """What finds the grant's readings in the log."""
        return shares.grant_key(SecretBytes(self.epoch_first.secret), self.gid)

    @property
    def end_key(self) -> SecretBytes:
        """What finds the grant's events and its end in the log."""
        return shares.end_key(SecretBytes(self.epoch_first.secret), self.gid)


@dataclass(frozen=True)
class Vault:
    """The vault a grant is from, and who its listings say it is about."""

    vault: bytes
    genesis: bytes
    person: Person | None
    origin: str
    log_key: bytes


@dataclass(frozen=True)
class MadeEvent:
    """A signed event and what is delivered beside it."""

    event: GrantEvent
    envelope: Envelope
    rows: bytes
    listing: bytes
    blobs: tuple[SealedPolicy, ...]


def make_event(
    vault: Vault,
    place: Place,
    terms: Terms,
    recipient: Known,
    versions: Sequence[VersionToGrant],
    root: TrustRoot,
    view: View,
    signer: IdentityRef,
    device: SigningKey,
) -> MadeEvent:
    """Make and sign event ``place.j`` of a grant: ``versions`` for ``recipient`` under ``terms``."""
    keepers = sorted(root.live_keepers, key=lambda keeper: keeper.key_hash)
    policy = _policy(root, keepers)
    epoch = SecretBytes(place.epoch.secret)
    seeds = shares.seeds(epoch, place.gid, place.rekey, policy)
    share_a = shares.share_a(epoch, place.gid, place.rekey)
    reading_key = recipient.state.reading_key
    wrapper = GrantWrapper(
        share_a,
        vault=vault.vault,
        gid=place.gid,
        rekey=place.rekey,
        recipient=recipient.ref.identity,
        reading_key=reading_key,
    )
    versions = sorted(versions, key=attrgetter("doc", "ver"))
    encoded = _rows(wrapper, shares.ShareB(seeds, "release", place.gid, place.rekey), versions)
    listing, sealed_listing = _listing(vault, place, wrapper, seeds, versions)
    event = GrantEvent(
        suite=labels.SUITE,
        vault=vault.vault,
        genesis=vault.genesis if place.j == 0 else None,
        origin=vault.origin,
        gid=place.gid,
        j=place.j,
        prev=place.prev,
        recipient=recipient.ref,
        reading_key=reading_key,
        excluded=terms.excluded,
        rekey=place.rekey,
        a_box=None,
        standing=None,
        rows=Rows(root=rows_root(encoded), count=len(encoded)),
        listing=listing,
        policy=policy,
        log_key=vault.log_key,
        purposes=terms.purposes,
        acts=terms.acts,
        expiry=terms.expiry,
        signers=(signer,),
        view=view,
    )
    blobs = _blobs(event, place, policy, seeds, keepers, view.trust_root.digest)
    a_box = None
    if place.fresh:
        a_box = seal_a_box(recipient.state.reading_keys[reading_key], event, share_a, place.grant_key)
    hashes = tuple(part_hash(blob.box) for blob in blobs)
    event = msgspec.structs.replace(event, a_box=a_box, policy=msgspec.structs.replace(policy, blobs=hashes))
    envelope = sign(labels.GRANT_EVENT, event, device)
    return MadeEvent(
        event=event, envelope=envelope, rows=b"".join(encoded), listing=sealed_listing, blobs=blobs
    )


def _policy(root: TrustRoot, keepers: Sequence[Keeper]) -> ReleasePolicy:
    """The release policy without its blobs' hashes, which are known once the blobs are sealed."""
    chosen = root.policy
    return ReleasePolicy(
        k=chosen.k,
        n=chosen.n,
        keepers=tuple(keeper.key_hash for keeper in keepers),
        subsets=all_subsets(chosen.k, chosen.n),
        blobs=(),
    )


def _rows(wrapper: GrantWrapper, share_b: shares.ShareB, versions: Iterable[VersionToGrant]) -> list[bytes]:
    rows = []
    for version in versions:
        doc, ver, ct_root = version.doc, version.ver, version.ct_root
        wrap = wrapper.wrap(version.key, share_b.shares(doc, ver, ct_root), doc, ver, ct_root)
        rows.append(doc + ver + ct_root + wrap)
    return rows


def _listing(
    vault: Vault,
    place: Place,
    wrapper: GrantWrapper,
    seeds: Sequence[SecretBytes],
    versions: Iterable[VersionToGrant],
) -> tuple[Listing, bytes]:
    body = ListingBody(
        person=vault.person,
        documents=tuple(
            ListedDocument(
                doc=entry.doc,
                ver=entry.ver,
                title=entry.descriptor.title,
                category=entry.descriptor.category,
                author=entry.descriptor.author,
                mime=entry.descriptor.mime,
                date=entry.descriptor.date,
                length=entry.descriptor.length,
            )
            for entry in versions
        ),
    )
    doc, ver, key = SecretBytes.random(16).reveal(), SecretBytes.random(16).reveal(), SecretBytes.random()
    sealed = content.seal(key, listing_context(vault.vault, place.gid, doc, ver), listing_record(body))
    ct_root = pieces.ct_root(sealed)
    b = shares.ShareB(seeds, "list", place.gid, place.rekey).shares(doc, ver, ct_root)
    wrap = wrapper.wrap(key, b, doc, ver, ct_root)
    return Listing(doc=doc, ver=ver, ct_root=ct_root, length=len(sealed), wrap=wrap), sealed


def _blobs(
    event: GrantEvent,
    place: Place,
    policy: ReleasePolicy,
    seeds: Sequence[SecretBytes],
    keepers: Sequence[Keeper],
    trust_root: bytes,
) -> tuple[SealedPolicy, ...]:
    blobs = []
    for number, keeper in enumerate(keepers):
        held = tuple(
            Seed(subset=subset_name(policy, subset), seed=seed.reveal())
            for subset, seed in zip(policy.subsets, seeds, strict=True)
            if number in subset
        )
        blob = PolicyBlob(
            origin=event.origin,
            gid=event.gid,
            j=event.j,
            recipient=event.recipient.identity,
            excluded=event.excluded,
            expiry=event.expiry,
            acts=event.acts,
            rates=RATES,
            standing=(),
            grant_key=place.grant_key.reveal(),
            end_key=place.end_key.reveal(),
            rekey=event.rekey,
            seeds=held,
        )
        blobs.append(seal_policy(blob, keeper.sealing_key, trust_root))
    return tuple(blobs)
