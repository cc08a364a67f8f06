"""What this device believes, decided without I/O: bytes and pins in, verified facts out, or a refusal.

Everything here takes the present time as an argument. What it returns may be stored; what it raises means that
nothing was believed and nothing stored may move.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from crypto import labels, trust_root
from crypto.access_log import Leaf, Outcome
from crypto.checkpoint import AHEAD, TEN_MINUTES, Checkpoint, open_checkpoint
from crypto.encoding import Body, Bytes32, Natural, ShortText
from crypto.errors import NotPermitted, NotProven, Stale
from crypto.identity_chain import Known, fold, known_at
from crypto.identity_links import Chain
from crypto.merkle import EMPTY_ROOT, verify_consistency
from crypto.quorum import quorum_times
from crypto.signing import Envelope, read, verify_keys
from crypto.statements import Head, IdentityRef
from crypto.trust_root import Accepted, Keeper, TrustRoot
from crypto.wire.keeper_api import IdentityHead
from crypto.wire.messages import Logged, ShownChain
from vault_client.version import VERSION

# What people read
NOT_CERTIFIED = (
    "This person has no certificate that allows sharing. Nothing was shared. Ask them to be certified first."
)

OTHER_LOGS = (
    "This service lost its logs and goes on with others, by its operator's word; what was written after the backup that it went "
    "back to may be missing from them. This version of Coffre cannot go on there. Nothing was done. Keep what this device "
    "has, ask the operator what was lost, and update Coffre when there is a version that can."
)
ANOTHER_STATE = "The keepers' word about someone's keys is for another state. Nothing was believed."
TWO_DIRECTORIES = (
    "The directory is shown in two versions that contradict each other. Nothing was believed. Do not go on with this "
    "service before its operator has explained it."
)


class BelievedHead(Body, frozen=True):
    """The newest verified head of a log. ``time``: its newest cosignature, in seconds since 1970."""

    origin: ShortText
    head: Head
    time: Natural


class Pin(Body, frozen=True):
    """Someone whose keys were verified: how the certificate calls them, and how they were met."""

    identity: Bytes32
    root: Bytes32
    subject: ShortText
    name: ShortText
    hard_stops: Natural
    met: Natural


@dataclass(frozen=True)
class Word:
    """A keeper's word that a chain is complete: what it signed, and the head of the directory it speaks of."""

    envelope: Envelope
    head: Head


def independent(root: TrustRoot) -> bool:
    """Whether enough keepers are independent of the operator for the log to bind the operator too."""
    apart = sum(keeper.independent for keeper in root.live_keepers)
    return apart >= root.policy.k


def check_usable(accepted: Accepted) -> None:
    """Raises NotPermitted when a trust root that is signed as it must be is one under which this client can do nothing.

    It asks for a newer client, or has put other logs in the place of lost ones: what is kept here of the lost ones would
    no longer be compared with anything.
    """
    trust_root.check_client(accepted, VERSION)
    if accepted.root.successors:
        raise NotPermitted(OTHER_LOGS)


def believe_note(root: TrustRoot, origin: str, note: bytes, now: int) -> BelievedHead:
    """A head that the log signed and a quorum of keepers cosigned within ten minutes of each other.

    Raises BadSignature, NotProven without a quorum, Stale when the newest cosignature is over ten minutes old or more
    than five minutes ahead of ``now``.
    """
    return _believe_cosigned(root, open_checkpoint(note, root.log_key_of(origin)), note, now)


def believe_logged(
    root: TrustRoot, origin: str, logged: Logged, envelope: Envelope, *, outcome: Outcome, now: int
) -> tuple[BelievedHead, Leaf]:
    """That just ``envelope`` is in the log ``origin``, with ``outcome``, under a quorum head that is fresh."""
    proven = logged.proves(envelope, outcome, root.log_key_of(origin))
    return _believe_cosigned(root, proven.checkpoint, proven.note, now), proven.leaf


def advance(known: BelievedHead, new: BelievedHead, path: Iterable[bytes]) -> BelievedHead:
    """Move from a believed head to a later one of the same log. Raises NotProven for a fork or a step back."""
    if new.head.size < known.head.size:
        raise NotProven(
            "The log shown is older than one already seen: entries were taken back. Nothing was believed."
        )
    verify_consistency(known.head.size, known.head.root, new.head.size, new.head.root, list(path))
    return max(known, new, key=lambda each: (each.head.size, each.time))


def empty_head(origin: str) -> BelievedHead:
    """The head of a log that has not begun."""
    return BelievedHead(origin=origin, head=Head(size=0, root=EMPTY_ROOT), time=0)


def believe_word(root: TrustRoot, keeper: Keeper, envelope: Envelope, ref: IdentityRef, at: Head) -> Word:
    """What ``keeper`` signed of just ``ref``, at ``at`` of the directory or later. Raises BadSignature, NotProven."""
    answer = read(envelope, labels.IDHEAD, IdentityHead, verify_keys(keeper.cosigning_key))
    if not answer.is_of(ref, root.directory_origin, at.size):
        raise NotProven(ANOTHER_STATE)
    return Word(envelope, answer.head)


def agreeing(words: Mapping[bytes, Word], at: Head, needed: int) -> tuple[bytes, ...] | None:
    """Those keepers of ``words``, by key hash, that show one directory, of which ``at`` is a head; None without ``needed``.

    As few as possible are left out.
    """
    for count in range(len(words) - needed + 1):
        for left_out in combinations(sorted(words), count):
            named = tuple(name for name in sorted(words) if name not in left_out)
            heads = {(words[name].head.size, words[name].head.root) for name in named} | {(at.size, at.root)}
            if len({size for size, _ in heads}) == len(heads):
                return named
    return None


def believe_chain(root: TrustRoot, shown: ShownChain, at: Head) -> Known:
    """An identity as it stood at ``at`` of the directory, its chain proved complete there by a quorum of keepers.

    Answers may stand at different heads, but not at two of one size: that is a fork of the directory.
    """
    origin = root.directory_origin
    fold(shown.chain, origin, root.registrar_keys())
    keys = verify_keys(*(keeper.cosigning_key for keeper in root.live_keepers))
    answered: set[bytes] = set()
    roots = {at.size: at.root}
    for envelope in shown.heads:
        answer = read(envelope, labels.IDHEAD, IdentityHead, keys)
        if not answer.is_of(shown.chain.ref, origin, at.size):
            raise NotProven(ANOTHER_STATE)
        if roots.setdefault(answer.head.size, answer.head.root) != answer.head.root:
            raise NotProven(TWO_DIRECTORIES)
        answered |= set(envelope.signers)
    if len(answered) < root.policy.k:
        raise NotProven("Too few keepers vouch that someone's keys are complete. Nothing was believed.")
    return known_at(shown.chain, at.size, origin, root.registrar_keys())


def certified_subject(root: TrustRoot, known: Known, now: int) -> tuple[str, str]:
    """Subject and name of someone who may receive a grant. Raises NotPermitted without a certificate."""
    may = known.state.may_receive(now, root.never_granted)
    if not may:
        raise NotPermitted(NOT_CERTIFIED)
    return may[0].statement.subject, may[0].statement.name


def check_pin(pin: Pin | None, known: Known) -> None:
    """Raises NotPermitted when someone's root key changed otherwise than by their own old root key."""
    if pin is not None and len(known.state.hard_stops) != pin.hard_stops:
        raise NotPermitted(
            "This person's keys were recovered or reset since you met. Nothing was shared. Ask them in person whether it was "
            "they; if so, share with a new card that they hand you: coffre patient authorise CARD DOC... --met-again"
        )


def check_met_again(card: Chain, known: Known) -> None:
    """Raises NotPermitted unless ``card``, which somebody handed over, shows their newest recovery or reset."""
    stops = known.state.hard_stops
    if stops and stops[-1] >= len(card.links):
        raise NotPermitted(
            "This card is from before the person's keys were recovered or reset. Nothing was shared. Ask them for a new one."
        )


def chain_extends(old: Chain, new: Chain) -> None:
    """Raises NotProven unless ``new`` is ``old`` or goes on from it."""
    if new.links[: len(old.links)] != old.links:
        raise NotProven("The chain of keys shown is not the one already known. It was not believed.")


def _believe_cosigned(root: TrustRoot, checkpoint: Checkpoint, note: bytes, now: int) -> BelievedHead:
    times = quorum_times(root, note, now)
    if now - max(times) > TEN_MINUTES:
        raise Stale(
            f"The log shown was confirmed {(now - max(times)) // 60} minutes ago by this computer's clock: it is too old, or the "
            "clock is ahead. It was not believed. Check the clock, or try again in a moment."
        )
    if max(times) - now > AHEAD:
        raise Stale(
            f"The log is dated {(max(times) - now) // 60} minutes after this computer's clock, which is behind, or the keepers' "
            "are ahead. It was not believed. Check the clock."
        )
    return _head(checkpoint, max(times))


def _head(checkpoint: Checkpoint, time: int) -> BelievedHead:
    return BelievedHead(
        origin=checkpoint.origin, head=Head(size=checkpoint.size, root=checkpoint.root), time=time
    )
