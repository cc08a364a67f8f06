"""The identity chain: one person's or team's keys, as a short chain of signed links.

Every link is one leaf of the directory log, and a chain is shown with what opens those leaves, so that "live at this
head of the directory" is the same question for everyone.

``extend`` is the whole rule book: it takes the state after link n-1 and a link, and returns the state after link n or
raises. Nothing here knows a clock: delays are measured between the server's times in the leaves.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from crypto import labels
from crypto.access_log import FIRST
from crypto.durations import DAY
from crypto.encoding import Body, decode
from crypto.errors import BadSignature, BrokenChain, NotPermitted
from crypto.identity_links import (
    AddDevice,
    AnyOperation,
    Certify,
    Chain,
    Complete,
    IdentityLink,
    Keyring,
    ReadingKey,
    Recover,
    RemoveUnlockKey,
    Reset,
    Root,
    RotateRoot,
    Stop,
    UnlockKey,
    UseRoot,
    Withdraw,
    identity_id,
)
from crypto.identity_state import (
    MAX_WAITING,
    Certificate,
    IdentityState,
    Waiting,
    applied,
    hard_stop,
    refuse,
    replaced_root,
    without_devices,
)
from crypto.locators import directory_slot
from crypto.signing import Envelope, VerifyKey, key_id, verify, verify_keys
from crypto.statements import IdentityRef

SEVEN_DAYS = 7 * DAY
LONGEST_CERTIFICATE = 400 * DAY

# A completed link would bring back an older keyring; the others stand at the beginning of a link, or alone, only.
_NEVER_WAITS = (Keyring, ReadingKey, Root, Certify, Withdraw, Reset, Complete, UseRoot)


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
    directory log ``origin``, and that indexes grow. Raises BrokenChain, BadSignature, NotPermitted, NotProven or
    Malformed. Whether the leaves are in the log, whether their times are true, and whether a further link exists, is
    for a keeper to answer.
    """
    state: IdentityState | None = None
    at_least = 0
    for n, link in enumerate(chain.links):
        disclosure = link.disclosure
        disclosure.leaf(link.envelope)
        if disclosure.part.outcome != "accepted" or disclosure.part.prev != FIRST:
            raise BrokenChain("An identity's link was not accepted into the directory. It was not believed.")
        if disclosure.index < at_least or disclosure.slot_one != directory_slot(origin, chain.identity, n):
            raise BrokenChain(
                "An identity's links do not stand in the directory as they should. It was not believed."
            )
        at_least = disclosure.index + 1
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
        return _found(envelope, link, time)
    if (
        link.n != state.n + 1
        or link.prev != state.head
        or link.identity != state.identity
        or link.view is None
    ):
        raise BrokenChain("A link does not follow from the one before. It was not believed.")
    if time < state.time:
        raise BrokenChain("A link is dated before the one it follows. It was not believed.")
    state = msgspec.structs.replace(state, n=link.n, head=envelope.digest, time=time)
    first = link.operations[0]
    if isinstance(first, Certify | Withdraw | Reset):
        if len(link.operations) != 1:
            raise NotPermitted("A registrar's link may hold one step only. It was not believed.")
        return _registered(state, envelope, first, time, registrars)
    return _changed(state, envelope, link, time)


def _found(envelope: Envelope, link: IdentityLink, time: int) -> IdentityState:
    root = link.operations[0]
    if not isinstance(root, Root) or (link.n, link.prev, link.identity, link.view) != (0, None, None, None):
        raise BrokenChain("An identity's first link does not found one. It was not believed.")
    fresh = IdentityState(
        identity=identity_id(envelope),
        kind=root.kind,
        n=0,
        head=envelope.digest,
        time=time,
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
        retired=frozenset(),
    )
    keys = verify_keys(root.key, *_new_keys(link.operations))
    if verify(envelope, labels.IDENTITY_LINK, keys) != frozenset(keys):
        raise BadSignature(
            "An identity's first link is not signed by all the keys it names. It was not believed."
        )
    state = applied(fresh, link.operations[1:])
    if not state.devices or not state.reading_keys:
        raise NotPermitted(
            "An identity's first link must name a device and a reading key. It was not believed."
        )
    return state


def _registered(
    state: IdentityState,
    envelope: Envelope,
    step: Certify | Withdraw | Reset,
    time: int,
    registrars: Registrars,
) -> IdentityState:
    """A registrar's one step, signed by the registrar (and by the new root of a reset)."""
    keys = {
        key_id: entry.key
        for key_id, entry in registrars.items()
        if entry.retired_since is None or time < entry.retired_since
    }
    introduced = verify_keys(step.key) if isinstance(step, Reset) else {}
    signed = verify(envelope, labels.IDENTITY_LINK, keys | introduced)
    by = signed - set(introduced)
    if len(by) != 1 or signed - by != set(introduced):
        raise BadSignature("A registrar's link is not signed by one registrar. It was not believed.")
    (registrar,) = by
    schemes = registrars[registrar].schemes
    if isinstance(step, Reset):
        known = {entry.statement.scheme for entry in state.certificates.values()}
        refuse(not known & set(schemes), "A registrar reset an identity that it does not vouch for.")
        fresh = without_devices(replaced_root(state, step.key))
        return hard_stop(msgspec.structs.replace(fresh, unlock_keys={}, waiting={}, delegations={}))
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
    withdrawn = state.certificates.get(step.link)
    if withdrawn is None or withdrawn.statement.scheme not in schemes:
        raise NotPermitted(
            "A registrar withdrew a certificate that is not there or not its own. Nothing changed."
        )
    kept = {n: entry for n, entry in state.certificates.items() if n != withdrawn.link}
    return msgspec.structs.replace(state, certificates=kept)


def _changed(state: IdentityState, envelope: Envelope, link: IdentityLink, time: int) -> IdentityState:
    """A link of the identity itself, by a device, the root or a recovery key; some of them wait seven days."""
    steps, first = link.operations, link.operations[0]
    introduced = verify_keys(*_new_keys(steps))
    root = key_id(state.root)
    recovery = {
        key_id(entry.recovery): entry.recovery for entry in state.unlock_keys.values() if entry.recovery
    }
    own = {name: device.signing for name, device in state.devices.items()} | {root: state.root}
    waiting = {name: key for entry in state.waiting.values() for name, key in entry.keys.items()}
    named = {name: key for name, key in {**waiting, **recovery, **own}.items() if name in envelope.signers}
    signed = verify(envelope, labels.IDENTITY_LINK, {**introduced, **verify_keys(*named.values())})
    if not signed >= set(introduced):
        raise BadSignature("A new key did not sign the link that adds it. The link was not believed.")
    by_root, by_device = root in signed, bool(signed & set(state.devices))
    if isinstance(first, UseRoot):
        if len(steps) != 1 or not by_root or not signed <= set(own):
            raise NotPermitted("A link shows a use of the root as it may not. It was not believed.")
        return state
    if isinstance(first, Complete):
        return _completed(state, signed, {*own, *recovery}, steps, first.link, time)
    if _waits(state, steps, by_root=by_root, by_device=by_device):
        recovers = any(isinstance(step, Recover) for step in steps)
        if not (by_root or signed & set(recovery) or (by_device and not recovers)):
            raise BadSignature("A link is not signed by whom it takes to ask for that. It was not believed.")
        refuse(any(isinstance(step, _NEVER_WAITS) for step in steps), "A link holds a step that cannot wait.")
        refuse(len(state.waiting) >= MAX_WAITING, "Too many links wait already.")
        entry = Waiting(
            operations=steps,
            signers=tuple(sorted(signed)),
            keys={name: key.raw for name, key in introduced.items()},
            since=time,
        )
        return msgspec.structs.replace(state, waiting={**state.waiting, state.n: entry})
    if not (by_root or by_device):
        raise BadSignature("A link is not signed by a live device or the root. It was not believed.")
    return applied(state, steps)


def _waits(state: IdentityState, steps: Sequence[AnyOperation], *, by_root: bool, by_device: bool) -> bool:
    """Whether a link takes seven days: what is the root's, without the root; all else, with nothing but the root."""
    if not by_root:
        return any(_is_of_root(state, step) for step in steps)
    if by_device or isinstance(steps[0], Recover):
        return False
    return not all(isinstance(step, Stop) or _is_of_root(state, step) for step in steps)


def _is_of_root(state: IdentityState, step: AnyOperation) -> bool:
    """Whether ``step`` is the root's own affair: recovery, and whatever changes the kit."""
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
    done = applied(msgspec.structs.replace(state, waiting=rest), entry.operations)
    rotated = any(isinstance(step, RotateRoot) for step in entry.operations)
    by_root = key_id(state.root) in signed | set(entry.signers)
    return hard_stop(done) if rotated and not by_root else done


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
