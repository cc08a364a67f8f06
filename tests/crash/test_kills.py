"""Forty of the rounds of ``make crash``: kills of programs at work, while one is founded, enrols or restores, and failing disks."""

import secrets
from pathlib import Path

import pytest

from tests.crash.coming import come_under_fire
from tests.crash.disks import failing
from tests.crash.founding import found_under_fire
from tests.crash.rounds import Story, Told

KILLS, AMONG_FOUR, FOUNDINGS, COMING, FAULTS = 18, 4, 4, 4, 10


@pytest.fixture
def seed() -> int:
    """What makes the same choices again."""
    chosen = secrets.randbelow(1 << 32)
    print(f"seed {chosen}")  # shown when it fails
    return chosen


def test_nothing_acknowledged_is_lost_to_kills(tmp_path: Path, seed: int) -> None:
    """Server, keeper and clients are killed under load: every acknowledgement, the log and the files hold."""
    _check(Story(tmp_path, seed).play(KILLS), KILLS)


def test_nothing_acknowledged_is_lost_to_kills_among_four_keepers(tmp_path: Path, seed: int) -> None:
    """The same with four keepers, each a program of its own, of which one at a time is killed and comes back."""
    _check(Story(tmp_path, seed, keepers=4).play(AMONG_FOUR), AMONG_FOUR)


def test_a_founding_that_is_killed_is_finished(tmp_path: Path, seed: int) -> None:
    """An instance killed four times while it is founded comes to be at the fifth start."""
    assert found_under_fire(tmp_path, seed, FOUNDINGS) == []


def test_whoever_is_killed_while_coming_is_not_shut_out(tmp_path: Path, seed: int) -> None:
    """Enrolments and restores that are killed are finished, or begun anew, and the kit is that of what came of it."""
    told = come_under_fire(tmp_path, seed, COMING)
    assert told.broken == []
    assert told.rounds.total() == COMING


def test_nothing_acknowledged_is_lost_to_the_clients_disk(tmp_path: Path, seed: int) -> None:
    """The disk of the profiles fails in every way this machine can make: what was acknowledged holds, profiles open."""
    with failing(tmp_path) as disk:
        if not disk.faults:
            pytest.skip(" ".join(disk.cannot))
        print(*disk.cannot, sep="\n")
        _check(Story(tmp_path, seed, disk, of="clients").play(FAULTS), FAULTS)


def _check(told: Told, rounds: int) -> None:
    assert told.broken == []
    assert told.rounds.total() == rounds
    assert told.acknowledged.total() > rounds
