"""What an identity chain says after its last link, and what each step of a link does to it.

Who may take a step, and when, is ``crypto.identity_chain``'s to say.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

import msgspec

from crypto.encoding import Body, Bytes32, Natural, SealingKey
from crypto.errors import NotPermitted
from crypto.identity_links import (
    AddDevice,
    AddMember,
    AnyOperation,
    Certify,
    Delegate,
    EndDelegation,
    Keyring,
    ReadingKey,
    Recover,
    RemoveMember,
    RemoveUnlockKey,
    RevokeDevice,
    RotateRoot,
    Stop,
    UnlockKey,
)
from crypto.sealing import check_public_key, key_hash
from crypto.signing import VerifyKey, key_id

# A keyring has at most 4,096 boxes: one for each unlock key, member and delegate.
MAX_DEVICES = 256
MAX_UNLOCK_KEYS = 256
MAX_MEMBERS = 3840
MAX_READING_KEYS = 4096
MAX_WAITING = 256

Key = TypeVar("Key")
Entry = TypeVar("Entry")


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
    """A link that waits: who signed it, the keys it introduces by their ids, since when (server time of its leaf)."""

    operations: tuple[AnyOperation, ...]
    signers: tuple[Bytes32, ...]
    keys: dict[bytes, bytes]
    since: Natural


class IdentityState(Body, frozen=True):
    """What a chain says after its last link.

    Devices are keyed by the id of their signing key, unlock keys by their hash, delegations by identity, certificates
    and waiting links by the number of their link. ``time``: the server's, in the newest leaf. ``retired``: the ids of
    revoked devices' keys and of former roots.
    """

    identity: Bytes32
    kind: Literal["person", "team"]
    n: Natural
    head: Bytes32
    time: Natural
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
    retired: frozenset[bytes]

    @property
    def reading_key(self) -> int:
        """The number of the newest reading key."""
        return max(self.reading_keys)

    def device_keys(self) -> dict[bytes, VerifyKey]:
        """The signing keys of the live devices."""
        return {key: VerifyKey(device.signing) for key, device in self.devices.items()}

    def may_be_acted_for_by(self, identity: bytes, at: int) -> bool:
        """Whether ``identity`` is a member, or a delegate whose time is not over at ``at``."""
        delegation = self.delegations.get(identity)
        return identity in self.members or (delegation is not None and at < delegation.until)

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


def applied(state: IdentityState, steps: Sequence[AnyOperation]) -> IdentityState:
    """The state after ``steps``, in order. Raises NotPermitted, or Malformed for an unsound key."""
    for step in steps:
        state = _apply(state, step)
    within = (
        len(state.devices) <= MAX_DEVICES
        and len(state.unlock_keys) <= MAX_UNLOCK_KEYS
        and len(state.members) + len(state.delegations) <= MAX_MEMBERS
        and len(state.reading_keys) <= MAX_READING_KEYS
    )
    refuse(not within, "An identity may not have so many devices, keys, members or delegates.")
    return state


def replaced_root(state: IdentityState, root: bytes) -> IdentityState:
    """The state with another root; the one before never counts again. Raises NotPermitted for a key used before."""
    _check_unused(state, root)
    return msgspec.structs.replace(state, root=root, retired=state.retired | {key_id(state.root)})


def without_devices(state: IdentityState) -> IdentityState:
    """The state with no device live; the keys of those that were are never live again."""
    return msgspec.structs.replace(state, devices={}, retired=state.retired | set(state.devices))


def hard_stop(state: IdentityState) -> IdentityState:
    """The state after a link that nobody who pinned the identity follows by themselves."""
    if state.n in state.hard_stops:
        return state
    return msgspec.structs.replace(state, hard_stops=(*state.hard_stops, state.n))


def refuse(wrong: bool, why: str) -> None:
    """Raises NotPermitted if ``wrong``."""
    if wrong:
        raise NotPermitted(f"{why} The link was not believed.")


def _apply(state: IdentityState, step: AnyOperation) -> IdentityState:
    replace = msgspec.structs.replace
    match step:
        case AddDevice(signing=signing, sealing=sealing):
            _check_unused(state, signing)
            check_public_key(sealing)
            taken = key_hash(sealing) in state.unlock_keys or _is_of_device(state, sealing)
            refuse(taken, "A device's sealing key is in use already.")
            device = Device(signing=signing, sealing=sealing)
            return replace(state, devices={**state.devices, key_id(signing): device})
        case RevokeDevice(device=name):
            kept = _without(state.devices, name, "A device")
            unlock = key_hash(state.devices[name].sealing)  # no keyring is sealed to it any more
            others = {each: key for each, key in state.unlock_keys.items() if each != unlock}
            return replace(state, devices=kept, unlock_keys=others, retired=state.retired | {name})
        case ReadingKey(number=number, key=public, keyring=keyring):
            check_public_key(public)
            refuse(number != max(state.reading_keys, default=-1) + 1, "Reading keys are numbered in order.")
            return replace(state, reading_keys={**state.reading_keys, number: public}, keyring=keyring)
        case UnlockKey(kind=kind, key=public, recovery=recovery):
            check_public_key(public)
            refuse(key_hash(public) in state.unlock_keys, "An unlock key was added twice.")
            # Revoking a device removes its unlock key: no other kind may be removed, or kept, by that.
            refuse(
                (kind == "device") != _is_of_device(state, public),
                "A device's unlock key is its sealing key, and no other unlock key is.",
            )
            if recovery is not None:
                _check_unused(state, recovery)
            return replace(state, unlock_keys={**state.unlock_keys, key_hash(public): step})
        case RemoveUnlockKey(key=name):
            return replace(state, unlock_keys=_without(state.unlock_keys, name, "An unlock key"))
        case Keyring(keyring=keyring):
            return replace(state, keyring=keyring)
        case AddMember(identity=member):
            refuse(state.kind != "team", "Only a team has members.")
            return replace(state, members=state.members | {member})
        case RemoveMember(identity=member):
            refuse(member not in state.members, "A member was removed who is none.")
            return replace(state, members=state.members - {member})
        case Delegate(identity=delegate):
            return replace(state, delegations={**state.delegations, delegate: step})
        case EndDelegation(identity=delegate):
            return replace(state, delegations=_without(state.delegations, delegate, "A delegation"))
        case RotateRoot(key=root):
            return replaced_root(state, root)
        case Recover():
            kept_keys = {name: key for name, key in state.unlock_keys.items() if key.kind != "device"}
            return hard_stop(replace(without_devices(state), unlock_keys=kept_keys, waiting={}))
        case Stop(link=link):
            return replace(state, waiting=_without(state.waiting, link, "A waiting link"))
        case _:
            raise NotPermitted("A link holds a step that may not stand there. It was not believed.")


def _check_unused(state: IdentityState, signing: bytes) -> None:
    """Nobody is a device or the root by a key that is, or was, one of these already."""
    key = VerifyKey(signing).key_id
    used = key in state.devices or key == key_id(state.root) or key in state.retired
    refuse(used, "A device or a root has a key that was used before.")


def _is_of_device(state: IdentityState, sealing: bytes) -> bool:
    return any(device.sealing == sealing for device in state.devices.values())


def _without(entries: dict[Key, Entry], key: Key, what: str) -> dict[Key, Entry]:
    refuse(key not in entries, f"{what} was removed that is not there.")
    return {name: entry for name, entry in entries.items() if name != key}
