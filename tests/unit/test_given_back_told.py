"""What a device gave back to a service that lost it is said by whichever command did so, and also by one that fails."""

from types import SimpleNamespace
from typing import Any

import pytest

from crypto.errors import NotFound
from crypto.wire.losses import Loss
from vault_client.commands.output import Screen
from vault_client.commands.patient_queue import went_on
from vault_client.giving_back import GivenBack

OUTCOME = SimpleNamespace(sent=[], dropped=[], refused=[])


def record(back: GivenBack | None) -> Any:
    """A record on which nothing waits, and of which ``back`` was given back."""
    return SimpleNamespace(given_back=back, waiting=list, outcome=OUTCOME, asked=None)


async def test_a_command_that_gave_back_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What was given back while the command ran is said once, with its numbers, and stands in the object for programs."""
    screen = Screen(as_json=False)
    async with went_on(screen, record(GivenBack((Loss(start=3, end=5, time=0),), changes=2, contents=1))):
        pass
    assert capsys.readouterr().err.count("gave it back what it has: 2 changes, 1 document.") == 1
    assert screen.result["given_back"]["losses"] == [{"start": 3, "end": 5, "time": 0}]


async def test_a_command_that_fails_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal after the giving back takes nothing of what is said about that."""
    with pytest.raises(NotFound):
        async with went_on(
            Screen(as_json=False), record(GivenBack((Loss(start=3, end=5, time=0),), changes=1))
        ):
            raise NotFound("Nothing was done.")
    assert "gave it back what it has: 1 change" in capsys.readouterr().err


async def test_where_nothing_was_lost_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The control: a command of every day says nothing of losses."""
    screen = Screen(as_json=False)
    async with went_on(screen, record(None)):
        pass
    assert capsys.readouterr().err == ""
    assert "given_back" not in screen.result
