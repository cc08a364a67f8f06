"""The demo judges strictly: what was not refused, or refused otherwise than it must be, is a problem."""

from pathlib import Path

import pytest

from crypto.errors import CoffreError, NotFound, NotProven, Stale, Unavailable
from vault_client.demo.narration import ATTEMPTS, Narration
from vault_client.demo.processes import Program, finish
from vault_client.demo.refusals import attempted, with_nothing_released
from vault_client.demo.told import Told


async def trying(error: CoffreError | None) -> None:
    """Something that is refused with ``error``, or is not."""
    if error is not None:
        raise error


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize(
    ("error", "held"),
    [
        (NotFound(), True),
        (NotProven("It was not believed."), False),
        (Unavailable("Away."), False),
        (None, False),
    ],
)
async def test_only_the_refusal_that_must_come_holds(
    attempt: str, error: CoffreError | None, *, held: bool
) -> None:
    """A refusal of another kind, an outage and no refusal at all are problems by the attempt's name."""
    told = Told()
    told.note(await attempted(attempt, trying(error), NotFound), Narration(quiet=True))
    assert bool(told.problems) is not held
    assert all(attempt in problem for problem in told.problems)
    assert [each["held"] for each in told.to_object()["refusals"]] == [held]
    assert told.to_object()["ok"] is False  # the public log was not looked at


async def test_what_was_written_is_not_refused(tmp_path: Path) -> None:
    """An attempt that is refused and leaves something of a document all the same does not hold."""
    attempt = await attempted("hidden-end", trying(NotFound()), NotFound)
    assert with_nothing_released(attempt, tmp_path / "letter.pdf").held
    (tmp_path / ".letter.part").write_bytes(b"some of it")
    assert not with_nothing_released(attempt, tmp_path / "letter.pdf").held


async def test_a_program_that_refuses_to_serve_is_told_from_one_that_fails(tmp_path: Path) -> None:
    """Exit code 1 is a refusal, in the program's words, which are the demo's; any other end is none."""
    card, output = tmp_path / "no-card.json", tmp_path / "output.log"
    words = ["serve", "--data", str(tmp_path), "--server", "http://127.0.0.1:1", "--card", str(card)]
    keeper = Program("keeper", words, output)
    keeper.start()
    with pytest.raises(Stale, match=r"instance card .* cannot be read"):
        await keeper.ready()
    mistyped = Program("keeper", ["serve"], output)
    mistyped.start()
    with pytest.raises(Unavailable, match="did not start"):
        await mistyped.ready()
    await mistyped.stop()
    with pytest.raises(Unavailable, match="keeper did not do its part"):
        await finish("keeper", words, output)
