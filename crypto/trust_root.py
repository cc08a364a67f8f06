"""The trust root: who the log, the keepers and the registrars are.

A versioned statement of the operator, pinned by clients: version n+1 is signed by the thresholds of n and n+1, so a
client that holds one version can follow, and a server cannot swap anything in it. The first version comes by its
digest on the instance card; without a card it is trusted on first use, and the client says so.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from crypto import labels
from crypto.checkpoint import CosignerKey
from crypto.encoding import Body, Bytes32, Natural, Positive, SealingKey, ShortText, Suite, decode, encode
from crypto.errors import BadSignature, BrokenChain, Malformed, NotPermitted, Stale
from crypto.identity_chain import RegistrarKey, Registrars
from crypto.sealing import check_public_key, key_hash
from crypto.signing import Envelope, VerifyKey, verify, verify_keys
from crypto.statements import Head, RootRef

# One number for cosigning and releasing. 1 of 1 stands beside the server and is not independent.
POLICIES = ((1, 1), (3, 4), (4, 5), (5, 7))


class Policy(Body, frozen=True):
    """``k`` of ``n`` keepers must cosign a head, and must answer to open a document."""

    k: Positive
    n: Positive


class Keeper(Body, frozen=True):
    """One keeper, as the trust root names it."""

    name: ShortText
    cosigning_key: Bytes32
    sealing_key: SealingKey
    url: ShortText
    operator: ShortText
    independent: bool
    retired_until: Natural | None

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of the sealing key: the keeper's name in grants."""
        return key_hash(self.sealing_key)


class Registrar(Body, frozen=True):
    """A key that may certify subjects of the named schemes.

    A registrar that stops stays listed with the time (``retired_since``): what it certified before goes on counting.
    """

    key: Bytes32
    schemes: tuple[ShortText, ...]
    retired_since: Natural | None = None


class Successor(Body, frozen=True):
    """After a disaster: the log that takes the place of one that was lost."""

    old_origin: ShortText
    last_head: Head
    new_origin: ShortText


class TrustRoot(Body, frozen=True):
    """One version. ``expiry`` in seconds since 1970; ``minimum_client`` is a client version."""

    suite: Suite
    version: Positive
    previous: Bytes32 | None
    hosts: Annotated[tuple[ShortText, ...], msgspec.Meta(min_length=1, max_length=16)]
    log_key: Bytes32
    directory_key: Bytes32
    keepers: Annotated[tuple[Keeper, ...], msgspec.Meta(min_length=1, max_length=32)]
    policies: Annotated[tuple[Policy, ...], msgspec.Meta(min_length=1, max_length=8)]
    registrars: Annotated[tuple[Registrar, ...], msgspec.Meta(max_length=64)]
    never_granted: tuple[ShortText, ...]
    minimum_client: ShortText
    successors: tuple[Successor, ...]
    expiry: Natural
    root_keys: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=16)]
    threshold: Positive

    @property
    def directory_origin(self) -> str:
        """The origin of the directory log."""
        return f"{self.hosts[0]}/coffre/directory"

    @property
    def live_keepers(self) -> tuple[Keeper, ...]:
        """The keepers that new grants may name."""
        return tuple(keeper for keeper in self.keepers if keeper.retired_until is None)

    @property
    def policy(self) -> Policy:
        """The policy in force: the strictest that the live keepers can carry. Raises NotPermitted without one."""
        possible = [policy for policy in self.policies if policy.n == len(self.live_keepers)]
        if not possible:
            raise NotPermitted("The trust root names no usable number of keepers. Nothing was done.")
        return max(possible, key=lambda policy: policy.k)

    def registrar_keys(self) -> Registrars:
        """Registrars by key id."""
        found = [
            RegistrarKey(VerifyKey(entry.key), entry.schemes, entry.retired_since)
            for entry in self.registrars
        ]
        return {entry.key.key_id: entry for entry in found}

    def log_key_of(self, origin: str) -> bytes:
        """The key that signs the heads of ``origin``. Raises NotPermitted for a log of another host."""
        if origin == self.directory_origin:
            return self.directory_key
        if any(origin.startswith(f"{host}/coffre/log/") for host in self.hosts):
            return self.log_key
        raise NotPermitted(f"The log {origin} is not one of this service. Nothing from it was believed.")


class InstanceCard(Body, frozen=True):
    """Where a service is and which trust root it started from: shown as QR code or file."""

    suite: Suite
    url: ShortText
    root: RootRef


class Accepted(Body, frozen=True):
    """A verified trust root and its reference."""

    root: TrustRoot
    ref: RootRef


def first(envelope: Envelope, *, card: RootRef | None) -> Accepted:
    """Believe a first trust root: by the card's digest, or, without a card, on first use (the caller says so).

    A later version may also bear signatures by the keys of the one before; unknown here, they are not looked at.
    """
    body = decode(envelope.body, TrustRoot)
    ref = RootRef(version=body.version, digest=envelope.digest)
    if card is not None and card != ref:
        raise NotPermitted(
            "The server's trust root is not the one on the instance card. Nothing was believed."
        )
    own = verify_keys(*body.root_keys)
    by_own = tuple(signature for signature in envelope.signatures if signature.key in own)
    _check(msgspec.structs.replace(envelope, signatures=by_own), body, body)
    return Accepted(root=body, ref=ref)


def advance(current: Accepted, chain: Sequence[Envelope]) -> Accepted:
    """Follow ``chain`` from ``current`` to its end: versions grow by one, each signed by both thresholds."""
    for envelope in chain:
        body = decode(envelope.body, TrustRoot)
        if body.version != current.ref.version + 1 or body.previous != current.ref.digest:
            raise BrokenChain("A new trust root does not follow from the known one. The known one was kept.")
        _check(envelope, body, current.root, body)
        current = Accepted(root=body, ref=RootRef(version=body.version, digest=envelope.digest))
    return current


def check_expiry(accepted: Accepted, now: int) -> None:
    """Raises Stale when the trust root has expired at ``now``."""
    if now >= accepted.root.expiry:
        raise Stale(
            "The service's trust root has expired. Nothing new was believed. Ask the operator for a new one."
        )


def _check(envelope: Envelope, body: TrustRoot, *judges: TrustRoot) -> None:
    """``envelope`` carries the threshold of each of ``judges``, nobody else's signature, and a body that is sound."""
    keys = [verify_keys(*judge.root_keys) for judge in judges]
    signed = verify(envelope, labels.TRUST_ROOT, {name: key for each in keys for name, key in each.items()})
    if any(len(signed & set(each)) < judge.threshold for judge, each in zip(judges, keys, strict=True)):
        raise BadSignature("A trust root is signed by too few of its keys. It was not believed.")
    if body.threshold > len(set(body.root_keys)) or (body.version == 1) != (body.previous is None):
        raise Malformed("A trust root contradicts itself. It was not believed.")
    verify_keys(body.log_key, body.directory_key)
    for keeper in body.keepers:
        CosignerKey(keeper.name, VerifyKey(keeper.cosigning_key))
        check_public_key(keeper.sealing_key)
    if len(body.registrar_keys()) != len(body.registrars):
        raise Malformed("A trust root names one registrar twice. It was not believed.")
    if any((policy.k, policy.n) not in POLICIES for policy in body.policies):
        raise Malformed(
            "A trust root allows a number of keepers that this suite does not know. It was not believed."
        )
    if len({keeper.key_hash for keeper in body.keepers}) != len(body.keepers) or len(
        {keeper.cosigning_key for keeper in body.keepers}
    ) != len(body.keepers):
        raise Malformed("A trust root names one keeper twice. It was not believed.")


def card_text(card: InstanceCard) -> str:
    """The instance card as text, for a file or a QR code."""
    return encode(card).decode()


def read_card(text: str) -> InstanceCard:
    """Read an instance card. Raises Malformed or TooLarge."""
    return decode(text.strip().encode(), InstanceCard, limit=4096)
