"""The quorum of keepers: as many cosignatures as the policy in force asks for, by live keepers, and of about one time.

Keepers that spoke at times of their own have not confirmed the same thing: within ten minutes of each other they count together.
"""

from collections.abc import Iterable

from crypto.checkpoint import AHEAD, TEN_MINUTES, cosignatures
from crypto.errors import NotProven
from crypto.trust_root import TrustRoot


def dated_together(times: Iterable[int], needed: int) -> list[int] | None:
    """The newest ``needed`` of ``times`` that lie within ten minutes of each other, if there are so many."""
    dated = sorted(times)
    for first in range(len(dated) - needed, -1, -1):
        if dated[first + needed - 1] - dated[first] <= TEN_MINUTES:
            return dated[first : first + needed]
    return None


def quorum_times(root: TrustRoot, note: bytes, now: int | None = None) -> list[int]:
    """The times, in order, of the newest quorum that cosigned ``note``; who signed it as a log is not looked at.

    With ``now``, one of cosignatures that are not dated over five minutes later, if there is: a keeper that dates ahead
    spoils nothing for the others. Raises NotProven without a quorum, BadSignature when a known keeper's line does not fit.
    """
    dated = cosignatures(note, root.cosigners).values()
    by_now = [time for time in dated if now is None or time - now <= AHEAD]
    together = dated_together(by_now, root.policy.k) or dated_together(dated, root.policy.k)
    if together is None:
        raise NotProven(
            "A log head lacks the keepers' signatures. It was not believed, and nothing was done."
        )
    return together
