"""A clock that is wrong is said to be, by how much, and only by what keepers signed."""

from typing import Any

import pytest

from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosign, sign_checkpoint
from crypto.errors import Stale, Unreachable
from crypto.signing import SigningKey
from vault_client import clock_check
from vault_client.clock_check import check_clock

LOG, KEEPER, STRANGER = (SigningKey.generate() for _ in range(3))
ORIGIN, NOW = "vault.example/coffre/directory", 1_800_000_000
HEAD = Checkpoint(ORIGIN, 7, bytes(32))


class Root:
    """A trust root with one log and one keeper."""

    directory_origin = ORIGIN
    cosigners = (CosignerKey("keeper-1", KEEPER.public),)
    policy = type("Policy", (), {"k": 1})

    def log_key_of(self, origin: str) -> LogKey:
        """The log's key."""
        return LogKey(origin, LOG.public)


class Served:
    """A service whose directory was confirmed ``age`` seconds ago."""

    root = Root()

    def __init__(self, age: int, keeper: SigningKey = KEEPER) -> None:
        self.note = sign_checkpoint(HEAD, LOG) + cosign(HEAD, "keeper-1", keeper, NOW - age)
        self.api = self

    def now(self) -> int:
        """This computer's time."""
        return NOW

    async def checkpoint(self, origin: str) -> bytes:
        """The newest head."""
        return self.note


async def checked(served: Any) -> None:
    """Measure the clock by what is served."""
    await check_clock(served)


@pytest.mark.parametrize("age", [0, 300, 330, -300])
async def test_a_clock_that_may_be_right_is_not_called_wrong(age: int) -> None:
    """An idle log is confirmed every five minutes, so its newest head may be as old as that."""
    await checked(Served(age))


@pytest.mark.parametrize(
    ("age", "said"), [(331, "5 minutes ahead"), (7200, "120 minutes ahead"), (-301, "5 minutes behind")]
)
async def test_a_wrong_clock_is_said_with_by_how_much(age: int, said: str) -> None:
    """Ahead or behind, in minutes."""
    with pytest.raises(Stale, match=said):
        await checked(Served(age))


async def test_a_strangers_word_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server alone, or one that does not answer, says nothing about a clock; the twin believes it."""
    false = Served(7200, STRANGER)
    await checked(false)
    away = Served(7200)

    async def silent(origin: str) -> bytes:
        raise Unreachable("away")

    monkeypatch.setattr(away, "checkpoint", silent)
    await checked(away)
    monkeypatch.setattr(clock_check, "quorum_times", lambda root, note: [NOW - 7200])
    with pytest.raises(Stale):
        await checked(false)
