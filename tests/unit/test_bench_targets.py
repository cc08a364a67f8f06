"""When the many readers' target counts as reached: by measured figures only."""

from typing import Any

import pytest

from bench.targets import verdicts

MISSED: dict[str, Any] = {
    "times_one": 3.0,
    "server_first_share": 0.5,
    "keeper_first_share": 0.4,
    "core_shares": [0.99, 0.99],
    "own_share": 0.5,
}


def _verdict(**measured: Any) -> tuple[str, bool]:
    ((_, figure, holds),) = verdicts({"readers": [{"times_one": 1.0}, MISSED | measured]})
    return figure, holds


def test_cores_that_others_filled_excuse_nothing() -> None:
    """Where this bench had half of the machine, a missed ratio is missed."""
    assert _verdict() == ("3.00", False)


@pytest.mark.parametrize("measured", [{"own_share": 0.97, "core_shares": [0.99, 0.9]}, {"own_share": 0.97}])
def test_every_core_has_to_be_full(measured: dict[str, Any]) -> None:
    """One core with room left is no full machine; the same with none left is, and the line says so."""
    figure, holds = _verdict(**measured)
    assert holds == ("core_shares" not in measured)
    assert ("99% and 99%" in figure) == holds


def test_a_full_first_thread_is_a_full_core() -> None:
    """A server that answers from one thread has no more to give once that has a whole core."""
    assert _verdict(server_first_share=0.96) == ("3.00; the server's first thread had 96% of a core", True)


def test_the_ratio_alone_suffices() -> None:
    """Five times one reader is what was asked for."""
    assert _verdict(times_one=5.2) == ("5.20", True)
