"""Grants: who may open what.

A grant is a series of numbered, patient-signed events under one random id ``gid``. An event carries rows of wraps, the
sealed listing, and one sealed policy blob per keeper; each event's rows and listing add to the earlier ones until an
event starts a new *rekey*, whose rows are whole and close all earlier ones. A wrap counts only inside a signed event.

``accept`` is what a reader checks before believing an event; it needs no secret.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Literal

import msgspec

from crypto import labels, merkle
from crypto.encoding import (
    Body,
    Bytes16,
    Bytes32,
    Bytes48,
    Natural,
    Positive,
    Sealed,
    SealingKey,
    ShortText,
    Suite,
    decode,
)
from crypto.errors import BrokenChain, Malformed, NotPermitted
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import IdentityRef, View, part_hash
from crypto.trust_root import POLICIES, TrustRoot
from crypto.vault_chain import check_signers
from crypto.vault_links import Genesis, Signers, vault_id

ROW = 112
MAX_ROWS = 1 << 20
END_OF_TIME = 253402300800  # the year 10000: no calendar goes on behind it

Act = Literal["release", "prefetch", "list", "reopen", "export"]


class Row(Body, frozen=True):
    """One wrap: the document key of (doc, ver), whose ciphertext has ``ct_root``, for this grant's recipient."""

    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    wrap: Bytes48

    def to_bytes(self) -> bytes:
        """The 112 bytes."""
        return self.doc + self.ver + self.ct_root + self.wrap


class Rows(Body, frozen=True):
    """An event's rows: the RFC 6962 root over them, in order, and their number."""

    root: Bytes32
    count: Natural


class Listing(Body, frozen=True):
    """The sealed listing of an event: a document of its own."""

    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    length: Positive
    wrap: Bytes48


class ReleasePolicy(Body, frozen=True):
    """Who holds the release half: ``k`` of ``n`` keepers, named by the sorted hashes of their sealing keys.

    ``subsets``: every set of n-k+1 keepers, as places in ``keepers``, in order; each has a seed. ``blobs``: the part
    hash of each keeper's sealed policy blob, in the order of ``keepers``.
    """

    k: Positive
    n: Positive
    keepers: tuple[Bytes32, ...]
    subsets: tuple[tuple[Natural, ...], ...]
    blobs: tuple[Bytes32, ...]


class GrantEvent(Body, frozen=True):
    """Event ``j`` of grant ``gid``. ``genesis`` is the vault's genesis body in event 0, absent later.

    ``a_box``: HPKE of (A ‖ Kg) to the recipient's reading key ``reading_key``; present where a rekey starts.
    ``standing``: private halves of category keys, for a recipient who may open deposits (``crypto.deposits``).
    ``expiry`` in seconds since 1970. ``excluded``: members of a team who may not open.
    """

    suite: Suite
    vault: Bytes32
    genesis: bytes | None
    origin: ShortText
    gid: Bytes32
    j: Natural
    prev: Bytes32 | None
    recipient: IdentityRef
    reading_key: Natural
    excluded: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=256)]
    rekey: Natural
    a_box: Sealed | None
    standing: Sealed | None
    rows: Rows
    listing: Listing
    policy: ReleasePolicy
    log_key: SealingKey
    purposes: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)]
    acts: Annotated[tuple[Act, ...], msgspec.Meta(min_length=1, max_length=5)]
    expiry: Natural
    signers: Signers
    view: View


class SealedPolicy(Body, frozen=True):
    """One keeper's policy blob as the server keeps it: what a keeper needs to know, without a database."""

    keeper: Bytes32
    j: Natural
    trust_root: Bytes32
    box: Sealed


class GrantState(Body, frozen=True):
    """What a reader holds of a grant after its newest event."""

    vault: Bytes32
    holders: tuple[Bytes32, ...]
    rule: Positive
    digest: Bytes32
    event: GrantEvent
    a_box: Sealed


def subsets_of(k: int, n: int) -> tuple[tuple[int, ...], ...]:
    """Every set of n-k+1 of n keepers, in order: any k keepers meet each of them."""
    return tuple(combinations(range(n), n - k + 1))


def subset_name(policy: ReleasePolicy, subset: Sequence[int]) -> bytes:
    """The name of a subset: SHA-256 over the key hashes of its keepers, in order."""
    return hashlib.sha256(b"".join(policy.keepers[place] for place in subset)).digest()


def check_policy(policy: ReleasePolicy, root: TrustRoot) -> None:
    """Raises NotPermitted unless ``policy`` is one that ``root`` allows, over keepers that it names.

    Retired keepers count: they go on answering for what was granted before."""
    check_keepers(policy.k, policy.n, policy.keepers, root)
    if len(policy.blobs) != policy.n or policy.subsets != subsets_of(policy.k, policy.n):
        raise NotPermitted("A grant divides its keys otherwise than its policy. It was not believed.")


def check_keepers(k: int, n: int, keepers: tuple[bytes, ...], root: TrustRoot) -> None:
    """Raises NotPermitted unless ``k`` of ``n`` is a policy of ``root`` and ``keepers`` are n that it lists, sorted."""
    allowed = {(entry.k, entry.n) for entry in root.policies} & set(POLICIES)
    known = {keeper.key_hash for keeper in root.keepers}
    if (
        (k, n) not in allowed
        or keepers != tuple(sorted(set(keepers)))
        or len(keepers) != n
        or not set(keepers) <= known
    ):
        raise NotPermitted(
            "A statement names keepers that the trust root does not allow. It was not believed."
        )


def rows_root(rows: Sequence[bytes]) -> bytes:
    """The RFC 6962 root over encoded rows."""
    return merkle.root_of([merkle.leaf_hash(row) for row in rows])


def split_rows(data: bytes, rows: Rows) -> Iterator[Row]:
    """Check encoded rows against the event that names them and take them apart.

    Raises Malformed unless they are ``rows.count`` rows in strictly rising order of (doc, ver) under ``rows.root``.
    """
    if len(data) != rows.count * ROW or rows.count > MAX_ROWS:
        raise Malformed(
            "The rows of a grant have another length than their event says. They were not believed."
        )
    encoded = [data[at : at + ROW] for at in range(0, len(data), ROW)]
    ids = [row[:32] for row in encoded]
    if rows_root(encoded) != rows.root or ids != sorted(set(ids)):
        raise Malformed("The rows of a grant are not those that were signed. They were not believed.")
    return (Row(doc=row[:16], ver=row[16:32], ct_root=row[32:64], wrap=row[64:]) for row in encoded)


def read_event(envelope: Envelope) -> GrantEvent:
    """Parse an event whose signatures are still to be checked (``accept`` does)."""
    return decode(envelope.body, GrantEvent)


def accept(
    previous: GrantState | None,
    envelope: Envelope,
    signers: Sequence[Known],
    recipient: Known,
    root: TrustRoot,
) -> GrantState:
    """Believe an event of a grant, or raise.

    Checks that it follows from ``previous`` (none for event 0), that the genesis it shows hashes to the vault, that
    enough holders signed by devices live at its ``dir``, that it names ``recipient`` and the recipient's newest
    reading key there, that a due rekey is there, that its keepers are allowed, and live if it was made under ``root``,
    and that it ends before the year 10000.
    ``signers`` and ``recipient`` are chains folded at the event's ``dir``, complete there.
    """
    event = read_event(envelope)
    holders, rule = _first(event, root) if previous is None else _next(event, previous)
    check_signers(envelope, labels.GRANT_EVENT, event.signers, signers, holders, rule)
    if recipient.ref != event.recipient or event.reading_key != recipient.state.reading_key:
        raise NotPermitted("A grant is for somebody else, or for an old reading key. It was not believed.")
    check_policy(event.policy, root)
    live = {keeper.key_hash for keeper in root.live_keepers}
    if event.view.trust_root.version == root.version and not live.issuperset(event.policy.keepers):
        raise NotPermitted("A new grant event names a keeper that has retired. It was not believed.")
    for named in (event.excluded, event.acts, event.purposes):
        if len(set(named)) != len(named):
            raise NotPermitted("A grant names something twice. It was not believed.")
    if event.expiry >= END_OF_TIME:
        raise NotPermitted("A grant lasts longer than any calendar. It was not believed.")
    if previous is None or event.rekey != previous.event.rekey:
        if event.a_box is None or event.rows.count == 0:
            raise NotPermitted("A grant starts a rekey without its keys or its rows. It was not believed.")
        a_box = event.a_box
    else:
        if event.a_box is not None:
            raise NotPermitted("A grant brings new keys without a rekey. It was not believed.")
        a_box = previous.a_box
    return GrantState(
        vault=event.vault, holders=holders, rule=rule, digest=envelope.digest, event=event, a_box=a_box
    )


def check_blob(policy: ReleasePolicy, blob: SealedPolicy) -> None:
    """Raises NotPermitted unless ``blob`` is the one that the event names for its keeper."""
    named = dict(zip(policy.keepers, policy.blobs, strict=False))
    if named.get(blob.keeper) != part_hash(blob.box):
        raise NotPermitted("A keeper's policy is not the one that was signed. It was not used.")


def check_founding(
    genesis_body: bytes, vault: bytes, origin: str, root: TrustRoot
) -> tuple[tuple[bytes, ...], int]:
    """The holders and the rule of the record that ``genesis_body`` founds.

    Raises BrokenChain unless it is ``vault``, written in the log ``origin``: the one that the genesis names, or what
    took its place by the trust root.
    """
    genesis = decode(genesis_body, Genesis)
    if vault_id(genesis_body) != vault or origin not in {genesis.origin, root.newest_origin(genesis.origin)}:
        raise BrokenChain("The founding shown is of another record. Nothing that shows it was believed.")
    return genesis.holders, genesis.rule


def _first(event: GrantEvent, root: TrustRoot) -> tuple[tuple[bytes, ...], int]:
    if (event.j, event.rekey, event.prev) != (0, 0, None) or event.genesis is None:
        raise BrokenChain("A grant does not start at its first event. It was not believed.")
    return check_founding(event.genesis, event.vault, event.origin, root)


def _next(event: GrantEvent, previous: GrantState) -> tuple[tuple[bytes, ...], int]:
    before = previous.event
    follows = (event.j, event.prev, event.vault, event.gid, event.origin, event.genesis) == (
        before.j + 1,
        previous.digest,
        before.vault,
        before.gid,
        before.origin,
        None,
    )
    if not follows or event.recipient.identity != before.recipient.identity:
        raise BrokenChain("A grant's event does not follow from the one before. It was not believed.")
    if event.rekey not in (before.rekey, before.rekey + 1):
        raise BrokenChain("A grant's rekeys do not follow. It was not believed.")
    secrets, before_secrets = (
        (each.reading_key, each.log_key, each.policy.keepers) for each in (event, before)
    )
    if secrets != before_secrets and event.rekey == before.rekey:
        raise NotPermitted("A grant changes its keys or keepers without a rekey. It was not believed.")
    return previous.holders, previous.rule
