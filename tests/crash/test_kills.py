"""Forty of the rounds of ``make crash``, and a founding under fire."""

import secrets
from pathlib import Path

from tests.crash.founding import found_under_fire
from tests.crash.rounds import Story

ROUNDS = 40


def test_nothing_acknowledged_is_lost_to_kills(tmp_path: Path) -> None:
    """Server, keeper and clients are killed forty times under load: every acknowledgement, the log and the files hold."""
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    told = Story(tmp_path, seed).play(ROUNDS)
    assert told.broken == []
    assert told.rounds.total() == ROUNDS
    assert told.acknowledged.total() > ROUNDS


def test_a_founding_that_is_killed_is_finished(tmp_path: Path) -> None:
    """An instance killed four times while it is founded comes to be at the fifth start."""
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    assert found_under_fire(tmp_path, seed, 4) == []
