"""What two things that a service showed of its logs contradict each other in: the finding that is kept of it.

Nothing is asked and nothing stored here. Whether a third person finds it proven rests on what the finding shows.
"""

from crypto import labels
from crypto.errors import Refusal
from crypto.evidence import Beginning, Finding
from crypto.signing import read, verify_keys
from crypto.trust_root import TrustRoot
from crypto.wire.keeper_api import IdentityHead
from crypto.wire.messages import ShownChain
from vault_client.trust import BelievedHead

# What people read
FORK = "The service signed two versions of a log that contradict each other."
UNSHOWN = "The service does not show that its log goes on from the one it showed before."
ROLLBACK = "The service shows an older log than it showed before."
DIR_FORK = "The directory of people's keys is shown in two versions that contradict each other."


def of_heads(
    known: tuple[BelievedHead, bytes | None],
    new: tuple[BelievedHead, bytes],
    beginning: Beginning | None,
    now: int,
) -> Finding:
    """``new`` does not fit ``known``, each with the note that shows it, where that is kept.

    ``beginning``: what the larger of the two has in the place of the smaller, if that is shown.
    """
    (believed, _), (shown, _) = known, new
    is_older = shown.head.size < believed.head.size
    small = shown if is_older else believed
    differs = beginning is not None and beginning.root != small.head.root
    is_forked = differs or (shown.head.size == believed.head.size and shown.head.root != believed.head.root)
    if is_older and not is_forked:
        return _of_log("ROLLBACK", ROLLBACK, known, new, beginning, now)
    return _of_log("FORK", FORK if is_forked else UNSHOWN, known, new, beginning, now)


def not_shown(known: tuple[BelievedHead, bytes | None], new: tuple[BelievedHead, bytes], now: int) -> Finding:
    """A service that answers does not show, of two heads that its log signed, that the larger goes on from the smaller."""
    return _of_log("FORK", UNSHOWN, known, new, None, now)


def _of_log(
    code: str,
    text: str,
    known: tuple[BelievedHead, bytes | None],
    new: tuple[BelievedHead, bytes],
    beginning: Beginning | None,
    now: int,
) -> Finding:
    (believed, ours), (shown, note) = known, new
    is_older = shown.head.size < believed.head.size
    notes = (note,) if ours is None else (note, ours) if is_older else (ours, note)
    return Finding(
        code=code,
        text=text,
        time=now,
        origin=shown.origin,
        notes=notes,
        beginning=beginning if len(notes) == 2 else None,
        entries=(),
        people=(),
    )


def of_directories(
    root: TrustRoot, believed: BelievedHead, note: bytes | None, shown: ShownChain, now: int
) -> Finding | None:
    """Keepers' answers about somebody name two directories of one size, ``believed`` among them. None where they do not.

    An answer that is not a keeper's proves nothing, and nothing beside it does. ``note``: shows ``believed``.
    """
    keys = verify_keys(*(keeper.cosigning_key for keeper in root.live_keepers))
    try:
        said = [read(envelope, labels.IDHEAD, IdentityHead, keys) for envelope in shown.heads]
    except Refusal:
        return None
    roots = {believed.head.size: believed.head.root}
    heads = [answer.head for answer in said if answer.origin == believed.origin]
    if all(roots.setdefault(head.size, head.root) == head.root for head in heads):
        return None
    return Finding(
        code="DIR_FORK",
        text=DIR_FORK,
        time=now,
        origin=believed.origin,
        notes=() if note is None else (note,),
        beginning=None,
        entries=(),
        people=(shown,),
    )
