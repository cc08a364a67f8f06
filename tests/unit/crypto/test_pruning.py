"""What shows that the beginning of a log may be gone: a cosigned head, old enough and beyond it; each broken alone."""

import msgspec
import pytest

from crypto.checkpoint import TEN_MINUTES, Checkpoint, cosign, sign_checkpoint
from crypto.errors import BadSignature, NotProven
from crypto.pruning import RETENTION, check_beginning
from crypto.signing import SigningKey
from crypto.tiles import WIDTH
from tests.support.people import DAY, LOG, NOW, Service, fresh

LOG_KEY = SigningKey.generate()
SERVICE = Service(k=3, n=4)
ROOT = msgspec.structs.replace(SERVICE.root, log_key=LOG_KEY.public.raw)
HEAD = Checkpoint(LOG, 2 * WIDTH, fresh())
THEN = NOW - RETENTION


def dated(*times, head=HEAD, key=LOG_KEY):
    """A head with the log's signature, cosigned by one keeper at each of ``times``."""
    lines = (
        cosign(head, keeper.name, keys.cosigning, time)
        for keeper, keys, time in zip(ROOT.keepers, SERVICE.keepers, times, strict=False)
    )
    return sign_checkpoint(head, key) + b"".join(lines)


def test_entries_may_be_gone_that_a_head_of_three_years_ago_holds():
    """Up to its size in whole bundles, from the second on at which its newest cosignature is three years old."""
    assert RETENTION == 3 * 365 * DAY
    note = dated(THEN - TEN_MINUTES, THEN, THEN - 9)
    for minimum in (WIDTH, 2 * WIDTH):
        assert check_beginning(ROOT, LOG, minimum, note, NOW) == HEAD
    with pytest.raises(NotProven, match="three years"):
        check_beginning(ROOT, LOG, WIDTH, note, NOW - 1)


@pytest.mark.parametrize(
    "times",
    [(THEN, THEN), (THEN - TEN_MINUTES - 1, THEN, THEN)],
    ids=["too few", "too far apart"],
)
def test_a_quorum_dates_a_head(times):
    """Without as many keepers as the policy asks for, within ten minutes of each other, nothing may be gone."""
    with pytest.raises(NotProven):
        check_beginning(ROOT, LOG, WIDTH, dated(*times), NOW)


def test_a_retired_keeper_dates_nothing():
    """Of three cosignatures that would be enough one is by a keeper that has retired."""
    gone = msgspec.structs.replace(ROOT.keepers[0], retired_until=NOW + DAY)
    policies = (*ROOT.policies, msgspec.structs.replace(ROOT.policies[0], k=3, n=3))
    fewer = msgspec.structs.replace(ROOT, keepers=(gone, *ROOT.keepers[1:]), policies=policies)
    assert check_beginning(fewer, LOG, WIDTH, dated(THEN, THEN, THEN, THEN), NOW) == HEAD
    with pytest.raises(NotProven):
        check_beginning(fewer, LOG, WIDTH, dated(THEN, THEN, THEN), NOW)


@pytest.mark.parametrize("minimum", [0, 1, WIDTH - 1, WIDTH + 1, 3 * WIDTH, -WIDTH])
def test_a_beginning_is_of_whole_bundles_below_the_head(minimum):
    """Neither nothing, nor a part of a bundle, nor more than the head holds."""
    with pytest.raises(NotProven, match="newer than the head"):
        check_beginning(ROOT, LOG, minimum, dated(THEN, THEN, THEN), NOW)


def test_one_entry_short_of_a_bundle_dates_none_of_it():
    """A bundle may be gone only when the head holds it whole; a log of one bundle may be gone whole."""
    for size, holds in ((WIDTH - 1, False), (WIDTH, True)):
        head = Checkpoint(LOG, size, fresh())
        note = dated(THEN, THEN, THEN, head=head)
        if holds:
            assert check_beginning(ROOT, LOG, WIDTH, note, NOW) == head
            continue
        with pytest.raises(NotProven, match="newer than the head"):
            check_beginning(ROOT, LOG, WIDTH, note, NOW)


def test_the_head_is_of_this_log():
    """Another key's head, or another log's under the same key, dates nothing here."""
    with pytest.raises(BadSignature):
        check_beginning(ROOT, LOG, WIDTH, dated(THEN, THEN, THEN, key=SigningKey.generate()), NOW)
    other = dated(THEN, THEN, THEN, head=Checkpoint(ROOT.log_origin(1), 2 * WIDTH, fresh()))
    with pytest.raises(BadSignature):
        check_beginning(ROOT, LOG, WIDTH, other, NOW)
