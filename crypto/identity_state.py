"""What an identity chain says after its last link: devices, keys, certificates, and what waits."""

from collections.abc import Iterable
from typing import Literal

from crypto.encoding import Body, Bytes32, Natural, SealingKey
from crypto.identity_links import AnyOperation, Certify, Delegate, UnlockKey
from crypto.signing import VerifyKey


class Device(Body, frozen=True):
    """A live device's public keys."""

    signing: Bytes32
    sealing: SealingKey


class Certificate(Body, frozen=True):
    """What a registrar certified, and by which key and link."""

    statement: Certify
    registrar: Bytes32
    link: Natural


class Waiting(Body, frozen=True):
    """A link that waits: who signed it, since when (server time of its leaf)."""

    operations: tuple[AnyOperation, ...]
    signers: tuple[Bytes32, ...]
    keys: tuple[Bytes32, ...]
    since: Natural


class IdentityState(Body, frozen=True):
    """What a chain says after its last link.

    Devices are keyed by the id of their signing key, unlock keys by their hash, delegations by identity, certificates
    and waiting links by the number of their link.
    """

    identity: Bytes32
    kind: Literal["person", "team"]
    n: Natural
    head: Bytes32
    root: Bytes32
    devices: dict[bytes, Device]
    reading_keys: dict[int, bytes]
    unlock_keys: dict[bytes, UnlockKey]
    keyring: Bytes32 | None
    members: frozenset[bytes]
    delegations: dict[bytes, Delegate]
    certificates: dict[int, Certificate]
    waiting: dict[int, Waiting]
    hard_stops: tuple[int, ...]

    @property
    def reading_key(self) -> int:
        """The number of the newest reading key."""
        return max(self.reading_keys)

    def device_keys(self) -> dict[bytes, VerifyKey]:
        """The signing keys of the live devices."""
        return {key: VerifyKey(device.signing) for key, device in self.devices.items()}

    def certified(self, at: int) -> tuple[Certificate, ...]:
        """The certificates in force at time ``at``."""
        return tuple(
            entry
            for entry in self.certificates.values()
            if entry.statement.since <= at < entry.statement.until
        )

    def may_receive(self, at: int, never_granted: Iterable[str]) -> tuple[Certificate, ...]:
        """The certificates by which grants may be received at ``at``: none if one is of a scheme that never may."""
        found = self.certified(at)
        return () if {entry.statement.scheme for entry in found} & set(never_granted) else found
