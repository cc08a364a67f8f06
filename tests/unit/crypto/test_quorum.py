"""The quorum of keepers: who counts towards it, how close together, and what time it gives a head."""

import msgspec
import pytest

from crypto.checkpoint import AHEAD, TEN_MINUTES, Checkpoint, cosign, sign_checkpoint
from crypto.errors import BadSignature, NotProven
from crypto.quorum import dated_together, quorum_times
from crypto.signing import SigningKey
from tests.support.people import DAY, LOG, NOW, Service, fresh

replace = msgspec.structs.replace
SERVICE = Service(k=3, n=4)
ROOT = SERVICE.root
HEAD = Checkpoint(LOG, 7, fresh())
KEY = SigningKey.generate()


def cosigned(*times):
    """A head with one keeper's cosignature for each of ``times``."""
    lines = (
        cosign(HEAD, keeper.name, keys.cosigning, time)
        for keeper, keys, time in zip(ROOT.keepers, SERVICE.keepers, times, strict=False)
    )
    return sign_checkpoint(HEAD, KEY) + b"".join(lines)


def test_a_quorum_is_of_the_newest_within_ten_minutes():
    """Of several sets that lie close enough the newest counts; ten minutes are close enough, a second more is not."""
    assert dated_together([650, 100, 50, 1250], 2) == [650, 1250]
    assert dated_together([650, 100, 50, 1251], 2) == [100, 650]
    assert dated_together([1251, 650], 2) is None
    assert dated_together([1, 2], 3) is None
    assert dated_together([5, 3], 1) == [5]
    assert dated_together([3, 2, 1], 3) == [1, 2, 3]


def test_a_quorum_has_as_many_as_the_policy_asks_for():
    """Three of four, in the order of their times; two are too few, and so are three of which one spoke too early."""
    assert quorum_times(ROOT, cosigned(NOW - TEN_MINUTES, NOW, NOW - 5)) == [NOW - TEN_MINUTES, NOW - 5, NOW]
    for times in ((NOW, NOW), (NOW - TEN_MINUTES - 1, NOW, NOW)):
        with pytest.raises(NotProven):
            quorum_times(ROOT, cosigned(*times))


def test_a_retired_keeper_is_not_of_the_quorum():
    """Of three cosignatures that would be enough one is by a keeper that has retired."""
    gone = replace(ROOT.keepers[0], retired_until=NOW + DAY)
    fewer = replace(ROOT, keepers=(gone, *ROOT.keepers[1:]), policies=(replace(ROOT.policies[0], k=3, n=3),))
    assert quorum_times(fewer, cosigned(NOW, NOW - 1, NOW - 2, NOW - 3)) == [NOW - 3, NOW - 2, NOW - 1]
    with pytest.raises(NotProven):
        quorum_times(fewer, cosigned(NOW, NOW, NOW))


def test_one_keeper_counts_once():
    """The first of them at three times is one keeper, and the second makes two."""
    name, key = ROOT.keepers[0].name, SERVICE.keepers[0].cosigning
    again = b"".join(cosign(HEAD, name, key, NOW - n) for n in (1, 2))
    with pytest.raises(NotProven):
        quorum_times(ROOT, cosigned(NOW, NOW) + again)


def test_a_stranger_is_not_of_the_quorum_and_a_false_line_spoils_it():
    """A line by nobody that is known counts for nothing; one in a keeper's name that does not fit refuses the note."""
    stranger = cosign(HEAD, "stranger.example", SigningKey.generate(), NOW)
    with pytest.raises(NotProven):
        quorum_times(ROOT, cosigned(NOW, NOW) + stranger)
    assert quorum_times(ROOT, cosigned(NOW, NOW, NOW) + stranger) == [NOW] * 3
    other = Checkpoint(LOG, 8, fresh())
    false = cosign(other, ROOT.keepers[3].name, SERVICE.keepers[3].cosigning, NOW)
    with pytest.raises(BadSignature):
        quorum_times(ROOT, cosigned(NOW, NOW, NOW) + false)


def test_one_that_dates_ahead_spoils_nothing_where_the_others_are_enough():
    """With a time of one's own a quorum by then comes first; without one such, or without a time, the newest counts."""
    early = cosigned(NOW + AHEAD, NOW - 9, NOW, NOW)
    assert quorum_times(ROOT, early, NOW) == [NOW, NOW, NOW + AHEAD]
    assert quorum_times(ROOT, early, NOW - 1) == [NOW - 9, NOW, NOW]
    assert quorum_times(ROOT, early) == [NOW, NOW, NOW + AHEAD]
    assert quorum_times(ROOT, cosigned(NOW, NOW, NOW), NOW - DAY) == [NOW] * 3
