"""The trust root: who the log, the keepers and the registrars are.

A versioned statement of the operator, pinned by clients. How one version follows another: ``trust_root_chain``.
"""

import hashlib
import re
from collections.abc import Collection, Hashable
from typing import Annotated

import msgspec

from crypto import labels
from crypto.access_log import Leaf
from crypto.checkpoint import CosignerKey, LogKey
from crypto.encoding import (
    Body,
    Bytes32,
    Natural,
    Positive,
    SealingKey,
    ShortText,
    Suite,
    decode_text,
    encode,
    pae,
)
from crypto.errors import Malformed, NotPermitted, Stale
from crypto.identity_chain import RegistrarKey, Registrars
from crypto.sealing import check_public_key, key_hash
from crypto.signing import VerifyKey, verify_keys
from crypto.statements import Head, RootRef

# One number for cosigning and releasing. 1 of 1 stands beside the server and is not independent.
POLICIES = ((1, 1), (3, 4), (4, 5), (5, 7))

_HOST = re.compile(r"[a-z0-9.-]{1,253}(?::[1-9][0-9]{0,4})?")
_LOG = re.compile(rf"({_HOST.pattern})/coffre/log/(?:0|[1-9][0-9]{{0,9}})")
_FIRST_DIRECTORY = re.compile(rf"({_HOST.pattern})/coffre/directory")
_NEXT_DIRECTORY = re.compile(rf"({_HOST.pattern})/coffre/directory/(?:0|[1-9][0-9]{{0,9}})")
_CLIENT = re.compile(r"(?:(?:0|[1-9][0-9]{0,5})\.){2}(?:0|[1-9][0-9]{0,5})")


class Policy(Body, frozen=True):
    """``k`` of ``n`` keepers must cosign a head, and must answer to open a document."""

    k: Positive
    n: Positive


def policy_of(count: int) -> Policy:
    """How many of ``count`` keepers must sign. Raises NotPermitted for a number that no policy is for."""
    for k, n in POLICIES:
        if n == count:
            return Policy(k=k, n=n)
    raise NotPermitted(
        f"A service cannot have this number of keepers: {count}. Nothing was made or started. Name 1 keeper, which must "
        "sign; or 4, of which 3 must sign; or 5, of which 4; or 7, of which 5."
    )


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

    @property
    def cosigner(self) -> CosignerKey:
        """The key of its cosignatures. Raises Malformed for a name or a key that is none."""
        return CosignerKey(self.name, VerifyKey(self.cosigning_key))


class Registrar(Body, frozen=True):
    """A key that may certify subjects of the named schemes.

    A registrar that stops stays listed with the time (``retired_since``): what it certified before goes on counting.
    """

    key: Bytes32
    schemes: tuple[ShortText, ...]
    retired_since: Natural | None


class Successor(Body, frozen=True):
    """After a disaster: the log that takes the place of one that was lost. ``last_head``: its last witnessed head."""

    old_origin: ShortText
    last_head: Head
    new_origin: ShortText

    @property
    def leaf(self) -> Leaf:
        """Leaf 0 of the new log."""
        digest = hashlib.sha256(pae(labels.SUCCESSOR, encode(self))).digest()
        return Leaf(slot_one=digest, slot_two=bytes(32), commitment=bytes(32))


class TrustRoot(Body, frozen=True):
    """One version. ``expiry`` in seconds since 1970; ``minimum_client``: see ``check_client``."""

    suite: Suite
    version: Positive
    previous: Bytes32 | None
    hosts: Annotated[tuple[ShortText, ...], msgspec.Meta(min_length=1, max_length=16)]
    log_key: Bytes32
    directory_key: Bytes32
    keepers: Annotated[tuple[Keeper, ...], msgspec.Meta(min_length=1, max_length=32)]
    policies: Annotated[tuple[Policy, ...], msgspec.Meta(min_length=1, max_length=8)]
    registrars: Annotated[tuple[Registrar, ...], msgspec.Meta(max_length=1024)]
    never_granted: tuple[ShortText, ...]
    minimum_client: ShortText
    successors: tuple[Successor, ...]
    expiry: Natural
    root_keys: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=16)]
    threshold: Positive

    @property
    def directory_origin(self) -> str:
        """The origin of the directory log: the first one's, or that of the last to take its place."""
        lost = (entry.old_origin for entry in self.successors if _FIRST_DIRECTORY.fullmatch(entry.old_origin))
        return self.newest_origin(next(lost, f"{self.hosts[0]}/coffre/directory"))

    @property
    def live_keepers(self) -> tuple[Keeper, ...]:
        """The keepers that new grants may name."""
        return tuple(keeper for keeper in self.keepers if keeper.retired_until is None)

    def answering_keepers(self, now: int) -> tuple[Keeper, ...]:
        """The live keepers, and those retired ones that still answer for what was granted before."""
        return tuple(
            entry for entry in self.keepers if entry.retired_until is None or now < entry.retired_until
        )

    @property
    def cosigners(self) -> tuple[CosignerKey, ...]:
        """The live keepers' cosigning keys: the only ones that count towards a quorum today."""
        return tuple(keeper.cosigner for keeper in self.live_keepers)

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

    def log_origin(self, shard: int) -> str:
        """The origin of a shard's log."""
        return f"{self.hosts[0]}/coffre/log/{shard}"

    def newest_origin(self, origin: str) -> str:
        """The log that now stands where ``origin`` is named: itself, or the last to take its place."""
        taken = {entry.old_origin: entry.new_origin for entry in self.successors}
        while origin in taken:
            origin = taken.pop(origin)  # taken out, so that a circle ends too
        return origin

    def log_key_of(self, origin: str) -> LogKey:
        """The key that signs the heads of ``origin``. Raises NotPermitted for anything but a log of this service."""
        if origin == self.directory_origin:
            return LogKey(origin, VerifyKey(self.directory_key))
        log = _LOG.fullmatch(origin)
        if log is not None and log[1] in self.hosts:
            return LogKey(origin, VerifyKey(self.log_key))
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


def check_expiry(accepted: Accepted, now: int) -> None:
    """Raises Stale when the trust root has expired at ``now``."""
    if now >= accepted.root.expiry:
        raise Stale(
            "The service's trust root has expired. Nothing new was believed. Ask the operator for a new one."
        )


def check_client(accepted: Accepted, version: str) -> None:
    """Raises NotPermitted when the trust root asks for a newer client than ``version``, Malformed when it is none."""
    least = accepted.root.minimum_client
    if _client_version(version) < _client_version(least):
        raise NotPermitted(
            f"This service asks for version {least} of Coffre or a newer one; this is {version}. Nothing was done. "
            "Update Coffre and try again."
        )


def check_host(host: str) -> None:
    """Raises Malformed unless ``host`` can stand in the name of a log."""
    if _HOST.fullmatch(host) is None:
        raise Malformed(
            f"A trust root names the host {host}, which cannot stand in the name of a log: it takes small letters "
            "without accents, digits, dots and hyphens, and a port. It was not believed."
        )


def check_sound(body: TrustRoot) -> None:
    """Raises Malformed for a body that contradicts itself or names what cannot be."""
    if (body.version == 1) != (body.previous is None):
        raise Malformed("A trust root contradicts itself. It was not believed.")
    for host in body.hosts:
        check_host(host)
    _client_version(body.minimum_client)
    verify_keys(body.log_key, body.directory_key, *(entry.key for entry in body.registrars))
    for keeper in body.keepers:
        check_public_key(keeper.sealing_key)
    if any((policy.k, policy.n) not in POLICIES for policy in body.policies):
        raise Malformed(
            "A trust root allows a number of keepers that this suite does not know. It was not believed."
        )
    _check_distinct("host", body.hosts)
    _check_distinct("policy", body.policies)
    _check_distinct("root key", body.root_keys)
    _check_distinct("registrar", [entry.key for entry in body.registrars])
    _check_distinct("keeper", [keeper.key_hash for keeper in body.keepers])
    _check_distinct("keeper", [keeper.cosigner.key.raw for keeper in body.keepers])
    _check_successors(body)


def _check_distinct(what: str, entries: Collection[Hashable]) -> None:
    if len(set(entries)) != len(entries):
        raise Malformed(f"A trust root names one {what} twice. It was not believed.")


def _check_successors(body: TrustRoot) -> None:
    """Raises Malformed unless each log is taken over once, by a log of the same kind on a host of the service."""
    old = [entry.old_origin for entry in body.successors]
    _check_distinct("lost log", old)
    _check_distinct("new log", [entry.new_origin for entry in body.successors])
    _check_distinct("first directory", [None for origin in old if _FIRST_DIRECTORY.fullmatch(origin)])
    for entry in body.successors:
        lost, new = _LOG.fullmatch(entry.old_origin), _LOG.fullmatch(entry.new_origin)
        if lost is None:
            directory = _FIRST_DIRECTORY.fullmatch(entry.old_origin)
            lost = directory or _NEXT_DIRECTORY.fullmatch(entry.old_origin)
            new = _NEXT_DIRECTORY.fullmatch(entry.new_origin)
        if lost is None or new is None or new[1] not in body.hosts:
            raise Malformed("A trust root puts something in a log's place that is none. It was not believed.")
        if body.newest_origin(entry.old_origin) in old:
            raise Malformed("A trust root puts logs in each other's place. It was not believed.")


def _client_version(text: str) -> tuple[int, ...]:
    if _CLIENT.fullmatch(text) is None:
        raise Malformed("A client version is not three numbers with dots between them. Nothing was done.")
    return tuple(map(int, text.split(".")))


def card_text(card: InstanceCard) -> str:
    """The instance card as text, for a file or a QR code."""
    return encode(card).decode()


def read_card(text: str) -> InstanceCard:
    """Read an instance card. Raises Malformed or TooLarge."""
    return decode_text(text, InstanceCard, limit=4096)
