"""When the beginning of a log may be gone: the minimum index of C2SP tlog-tiles, believed only with a head that dates it.

Without that, a server could call gone what it would rather not show. See docs/format/tree.md.
"""

from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.durations import DAY
from crypto.errors import NotProven
from crypto.quorum import quorum_times
from crypto.tiles import WIDTH
from crypto.trust_root import TrustRoot

RETENTION = 3 * 365 * DAY
"""So long every entry of a log is shown, at least; a grant lasts no longer."""


def check_beginning(root: TrustRoot, origin: str, minimum: int, note: bytes, now: int) -> Checkpoint:
    """The head in ``note``, which shows that the entries below ``minimum`` were in the log three years before ``now``.

    ``now`` is a time of the keepers' too. That the head is one of this log's is for the caller to compare. Raises
    BadSignature, or NotProven when a quorum of keepers has not dated it so, or it has fewer than ``minimum`` leaves.
    """
    checkpoint = open_checkpoint(note, root.log_key_of(origin))
    if now - max(quorum_times(root, note)) < RETENTION:
        raise NotProven(
            "Entries of the log are not shown, and not shown to be over three years old either. Nothing was believed."
        )
    if not 0 < minimum <= checkpoint.size or minimum % WIDTH:
        raise NotProven(
            "Entries of the log are not shown that are newer than the head that dates them. Nothing was believed."
        )
    return checkpoint
