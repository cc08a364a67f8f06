"""The identity chain: one person's or team's keys, as a short chain of signed links.

Every link is one leaf of the directory log, and a chain is shown with what opens those leaves, so that "live at this
head of the directory" is the same question for everyone.

``extend`` is the whole rule book: it takes the state after link n-1 and a link, and returns the state after link n or
raises. Nothing here knows a clock: delays are measured between the server's times in the leaves.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from crypto import labels
from crypto.encoding import Body, decode
from crypto.errors import BadSignature, BrokenChain, NotPermitted
from crypto.identity_links import (
    AddDevice,
    AddMember,
    AnyOperation,
    Certify,
    Chain,
    Complete,
    Delegate,
    EndDelegation,
    IdentityLink,
    Keyring,
    ReadingKey,
    Recover,
    RemoveMember,
    RemoveUnlockKey,
    Reset,
    RevokeDevice,
    Root,
    RotateRoot,
    Stop,
    UnlockKey,
    Withdraw,
    identity_id,
)
from crypto.identity_state import Certificate, Device, IdentityState, Waiting
from crypto.locators import directory_slot
from crypto.sealing import check_public_key, key_hash
from crypto.signing import Envelope, VerifyKey, verify, verify_keys
from crypto.statements import IdentityRef

SEVEN_DAYS = 7 * 24 * 3600
LONGEST_CERTIFICATE = 400 * 24 * 3600

Key = TypeVar("Key")
Entry = TypeVar("Entry")


class RegistrarKey(NamedTuple):
    """A registrar's key, what it may certify, and since when it may no more (server time of the leaf)."""

    key: VerifyKey
    schemes: tuple[str, ...]
    retired_since: int | None


Registrars = Mapping[bytes, RegistrarKey]


class Known(Body, frozen=True):
    """An identity as one directory head shows it: its reference and what its chain says there."""

    ref: IdentityRef
    state: IdentityState


def known_at(chain: Chain, size: int, origin: str, registrars: Registrars) -> Known:
    """Fold the part of ``chain`` that stood in the directory at ``size`` leaves. Raises as ``fold`` does."""
    part = chain.at(size)
    return Known(ref=part.ref, state=fold(part, origin, registrars))


def fold(chain: Chain, origin: str, registrars: Registrars) -> IdentityState:
    """Verify a disclosed chain from link 0 and return what it says.

    Checks every signature and rule, that each leaf opens to its link, that slot one names (identity, n) in the
    directory log ``origin``, and that indexes grow. Raises BrokenChain, BadSignature or NotPermitted. Whether the
    leaves are in the log, and whether a further link exists, is for a keeper to answer.
    """
    state: IdentityState | None = None
    identity, index = identity_id(chain.links[0].envelope), -1
    for n, link in enumerate(chain.links):
        disclosure = link.disclosure
        disclosure.leaf(link.envelope)
        if disclosure.part.outcome != "accepted":
            raise BrokenChain("An identity's link was not accepted into the directory. It was not believed.")
        if disclosure.index <= index or disclosure.slot_one != directory_slot(origin, identity, n):
            raise BrokenChain(
                "An identity's links do not stand in the directory as they should. It was not believed."
            )
        index = disclosure.index
        state = extend(state, link.envelope, disclosure.part.time, registrars)
    if state is None:
        raise BrokenChain("An identity without links was not believed.")
    return state


def extend(
    state: IdentityState | None, envelope: Envelope, time: int, registrars: Registrars
) -> IdentityState:
    """The state after ``envelope``, whose leaf carries the server time ``time``. Raises when it may not follow."""
    link = decode(envelope.body, IdentityLink)
    if state is None:
        return _found(envelope, link)
    if (
        link.n != state.n + 1
        or link.prev != state.head
        or link.identity != state.identity
        or link.view is None
    ):
        raise BrokenChain("A link does not follow from the one before. It was not believed.")
    state = msgspec.structs.replace(state, n=link.n, head=envelope.digest)
    if isinstance(link.operations[0], Certify | Withdraw | Reset):
        return _registered(state, envelope, link, time, registrars)
    return _changed(state, envelope, link, time)


def _found(envelope: Envelope, link: IdentityLink) -> IdentityState:
    root = link.operations[0]
    if not isinstance(root, Root) or (link.n, link.prev, link.identity, link.view) != (0, None, None, None):
        raise BrokenChain("An identity's first link does not found one. It was not believed.")
    fresh = IdentityState(
        identity=identity_id(envelope),
        kind=root.kind,
        n=0,
        head=envelope.digest,
        root=root.key,
        devices={},
        reading_keys={},
        unlock_keys={},
        keyring=None,
        members=frozenset(),
        delegations={},
        certificates={},
        waiting={},
        hard_stops=(),
    )
    keys = verify_keys(root.key, *_new_keys(link.operations))
    if verify(envelope, labels.IDENTITY_LINK, keys) != frozenset(keys):
        raise BadSignature(
            "An identity's first link is not signed by all the keys it names. It was not believed."
        )
    state = _apply_all(fresh, link.operations[1:], 0)
    if not state.devices or not state.reading_keys or state.keyring is None:
        raise NotPermitted(
            "An identity's first link must name a device and a reading key. It was not believed."
        )
    return state


def _registered(
    state: IdentityState, envelope: Envelope, link: IdentityLink, time: int, registrars: Registrars
) -> IdentityState:
    """A link of a registrar: one step, signed by the registrar (and by the new root of a reset)."""
    step = link.operations[0]
    if len(link.operations) != 1:
        raise NotPermitted("A registrar's link may hold one step only. It was not believed.")
    keys = {
        key_id: entry.key
        for key_id, entry in registrars.items()
        if entry.retired_since is None or time < entry.retired_since
    }
    introduced = verify_keys(step.key) if isinstance(step, Reset) else {}
    signed = verify(envelope, labels.IDENTITY_LINK, keys | introduced)
    by = signed - set(introduced)
    if len(by) != 1 or not signed >= set(introduced):
        raise BadSignature("A registrar's link is not signed by one registrar. It was not believed.")
    (registrar,) = by
    schemes = registrars[registrar].schemes
    if isinstance(step, Reset):
        known = {entry.statement.scheme for entry in state.certificates.values()}
        _refuse(not known & set(schemes), "A registrar reset an identity that it does not vouch for.")
        return msgspec.structs.replace(
            state,
            root=step.key,
            devices={},
            unlock_keys={},
            waiting={},
            delegations={},
            hard_stops=(*state.hard_stops, state.n),
        )
    if isinstance(step, Certify):
        has_value = len(step.subject) > len(step.scheme) + 1
        if (
            step.scheme not in schemes
            or not has_value
            or not 0 < step.until - step.since <= LONGEST_CERTIFICATE
        ):
            raise NotPermitted("A registrar certified what it may not, or for too long. It was not believed.")
        entry = Certificate(statement=step, registrar=registrar, link=state.n)
        return msgspec.structs.replace(state, certificates={**state.certificates, state.n: entry})
    withdrawn = state.certificates.get(step.link) if isinstance(step, Withdraw) else None
    if withdrawn is None or withdrawn.statement.scheme not in schemes:
        raise NotPermitted(
            "A registrar withdrew a certificate that is not there or not its own. Nothing changed."
        )
    kept = {n: entry for n, entry in state.certificates.items() if n != withdrawn.link}
    return msgspec.structs.replace(state, certificates=kept)


def _changed(state: IdentityState, envelope: Envelope, link: IdentityLink, time: int) -> IdentityState:
    """A link of the identity itself, by a device, the root or a recovery key; some of them wait seven days."""
    steps = link.operations
    root = VerifyKey(state.root)
    recovery = verify_keys(*(entry.recovery for entry in state.unlock_keys.values() if entry.recovery))
    introduced = verify_keys(*_new_keys(steps))
    waiting = verify_keys(*(raw for entry in state.waiting.values() for raw in entry.keys))
    devices = state.device_keys()
    known = {**waiting, **introduced, **recovery, root.key_id: root, **devices}
    signed = verify(envelope, labels.IDENTITY_LINK, known)
    if not signed >= set(introduced):
        raise BadSignature("A new key did not sign the link that adds it. The link was not believed.")
    by_root, by_device, by_recovery = (
        root.key_id in signed,
        bool(signed & set(devices)),
        bool(signed & set(recovery)),
    )
    first = steps[0]
    if isinstance(first, Complete):
        return _completed(state, signed, {*devices, *recovery}, steps, first.link, time)
    waits = not by_root and any(_must_wait(state, step) for step in steps)
    if waits and (by_recovery or (by_device and not any(isinstance(step, Recover) for step in steps))):
        entry = Waiting(
            operations=steps, signers=tuple(sorted(signed)), keys=tuple(_new_keys(steps)), since=time
        )
        return msgspec.structs.replace(state, waiting={**state.waiting, state.n: entry})
    if waits or not (by_root or by_device):
        raise BadSignature("A link is not signed by a live device or the root. It was not believed.")
    return _apply_all(state, steps, state.n)


def _must_wait(state: IdentityState, step: AnyOperation) -> bool:
    """Whether ``step`` takes seven days when the root does not sign it: recovery, and whatever changes the kit."""
    match step:
        case Recover() | RotateRoot() | UnlockKey(kind="kit"):
            return True
        case RemoveUnlockKey(key=name):
            return name in state.unlock_keys and state.unlock_keys[name].kind == "kit"
        case _:
            return False


def _completed(
    state: IdentityState,
    signed: frozenset[bytes],
    entitled: set[bytes],
    steps: Sequence[AnyOperation],
    number: int,
    time: int,
) -> IdentityState:
    entry = state.waiting.get(number)
    if entry is None or len(steps) != 1 or not signed & set(entry.signers):
        raise NotPermitted("A link completes nothing that waits. It was not believed.")
    # Revoking a stolen device must also end what it had asked for.
    if not entitled & set(entry.signers):
        raise NotPermitted("A link completes what a key asked for that is live no more. It was not believed.")
    if time - entry.since < SEVEN_DAYS:
        raise NotPermitted(
            "The seven days of a recovery are not over. Nothing changed. Try again when they are."
        )
    rest = {n: other for n, other in state.waiting.items() if n != number}
    return _apply_all(msgspec.structs.replace(state, waiting=rest), entry.operations, state.n)


def _apply_all(state: IdentityState, steps: Sequence[AnyOperation], n: int) -> IdentityState:
    for step in steps:
        state = _apply(state, step, n)
    return state


def _apply(state: IdentityState, step: AnyOperation, n: int) -> IdentityState:
    replace = msgspec.structs.replace
    match step:
        case AddDevice(signing=signing, sealing=sealing):
            check_public_key(sealing)
            key = VerifyKey(signing).key_id
            _refuse(key in state.devices, "A device was added twice.")
            return replace(state, devices={**state.devices, key: Device(signing=signing, sealing=sealing)})
        case RevokeDevice(device=device):
            kept = _without(state.devices, device, "A device")
            unlock = key_hash(state.devices[device].sealing)  # no keyring is sealed to it any more
            others = {name: key for name, key in state.unlock_keys.items() if name != unlock}
            return replace(state, devices=kept, unlock_keys=others)
        case ReadingKey(number=number, key=public, keyring=keyring):
            check_public_key(public)
            _refuse(number != max(state.reading_keys, default=-1) + 1, "Reading keys are numbered in order.")
            return replace(state, reading_keys={**state.reading_keys, number: public}, keyring=keyring)
        case UnlockKey(key=public):
            check_public_key(public)
            _refuse(key_hash(public) in state.unlock_keys, "An unlock key was added twice.")
            return replace(state, unlock_keys={**state.unlock_keys, key_hash(public): step})
        case RemoveUnlockKey(key=name):
            return replace(state, unlock_keys=_without(state.unlock_keys, name, "An unlock key"))
        case Keyring(keyring=keyring):
            return replace(state, keyring=keyring)
        case AddMember(identity=member):
            _refuse(state.kind != "team", "Only a team has members.")
            return replace(state, members=state.members | {member})
        case RemoveMember(identity=member):
            _refuse(member not in state.members, "A member was removed who is none.")
            return replace(state, members=state.members - {member})
        case Delegate(identity=delegate):
            return replace(state, delegations={**state.delegations, delegate: step})
        case EndDelegation(identity=delegate):
            return replace(state, delegations=_without(state.delegations, delegate, "A delegation"))
        case RotateRoot(key=root):
            return replace(state, root=root)
        case Recover():
            kept_keys = {name: key for name, key in state.unlock_keys.items() if key.kind != "device"}
            return replace(state, devices={}, unlock_keys=kept_keys, hard_stops=(*state.hard_stops, n))
        case Stop(link=link):
            return replace(state, waiting=_without(state.waiting, link, "A waiting link"))
        case _:
            raise NotPermitted("A link holds a step that may not stand there. It was not believed.")


def _new_keys(steps: Sequence[AnyOperation]) -> list[bytes]:
    """The signing keys that ``steps`` introduce: each must sign the link that introduces it."""
    keys = []
    for step in steps:
        if isinstance(step, AddDevice):
            keys.append(step.signing)
        elif isinstance(step, RotateRoot):
            keys.append(step.key)
        elif isinstance(step, UnlockKey) and step.recovery is not None:
            keys.append(step.recovery)
    return keys


def _without(entries: dict[Key, Entry], key: Key, what: str) -> dict[Key, Entry]:
    _refuse(key not in entries, f"{what} was removed that is not there.")
    return {name: entry for name, entry in entries.items() if name != key}


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise NotPermitted(f"{why} The link was not believed.")
