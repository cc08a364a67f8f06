"""What holds for every quorum: it is the newest that lies within ten minutes, whoever else cosigned and in what order."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.checkpoint import AHEAD, TEN_MINUTES, Checkpoint, cosign, sign_checkpoint
from crypto.errors import NotProven
from crypto.quorum import dated_together, quorum_times
from crypto.signing import SigningKey
from tests.support.people import LOG, NOW, Service, fresh

SERVICE = Service(k=3, n=4)
HEAD = Checkpoint(LOG, 7, fresh())
NOTE = sign_checkpoint(HEAD, SigningKey.generate())

times = st.integers(NOW - 2 * TEN_MINUTES, NOW + 2 * TEN_MINUTES)


def newest_by_definition(dated: list[int], needed: int) -> list[int] | None:
    """Every choice of ``needed`` tried: the one whose times are latest, of those within ten minutes."""
    chosen = [sorted(some) for some in combinations(dated, needed)]
    return max((some for some in chosen if some[-1] - some[0] <= TEN_MINUTES), default=None)


@given(st.lists(times, max_size=7), st.integers(1, 5))
def test_the_newest_quorum_is_found(dated: list[int], needed: int) -> None:
    """As trying every choice finds it, and none where that finds none."""
    assert dated_together(dated, needed) == newest_by_definition(dated, needed)


@given(st.lists(times, max_size=7), times, st.integers(1, 5))
def test_one_more_word_takes_no_quorum_away(dated: list[int], more: int, needed: int) -> None:
    """Whenever one more keeper speaks, a quorum stays one, and is no older."""
    before, after = dated_together(dated, needed), dated_together([*dated, more], needed)
    assert before is None or (after is not None and max(after) >= max(before))


@given(st.lists(times, max_size=4), st.permutations(range(4)), st.none() | times)
def test_a_heads_quorum_is_that_of_its_cosignatures(
    dated: list[int], order: list[int], now: int | None
) -> None:
    """In whatever order the lines stand: the newest quorum not dated ahead, or else the newest of all, or none."""
    signers = list(zip(SERVICE.root.keepers, SERVICE.keepers, strict=True))
    lines = [
        cosign(HEAD, signers[n][0].name, signers[n][1].cosigning, time)
        for n, time in zip(order, dated, strict=False)
    ]
    note = NOTE + b"".join(lines)
    by_now = [time for time in dated if now is None or time <= now + AHEAD]
    expected = newest_by_definition(by_now, 3) or newest_by_definition(dated, 3)
    if expected is None:
        with pytest.raises(NotProven):
            quorum_times(SERVICE.root, note, now)
    else:
        assert quorum_times(SERVICE.root, note, now) == expected
