"""``log verify``: a log that is not shown, or not shown whole, is no log that is not there."""

from typing import Any

import pytest

from crypto.errors import NotFound, NotProven
from tests.adversary.story import Story
from tests.adversary.test_directory import verified
from vault_client import public_log


def _hide(story: Story, operation: str) -> None:
    """Have the server say that there is nothing of the first access log, but its entries, where ``operation`` asks for it."""
    service = story.patient.service
    hidden, honest = service.root.log_origin(0), getattr(story.patient_vault.honest, operation)

    async def answer(origin: str, *rest: Any) -> Any:
        if origin == hidden and not any("entries" in each for each in rest):
            raise NotFound("A log")
        return await honest(origin, *rest)

    story.patient_vault.forge(operation, answer)


async def test_a_log_that_a_keeper_knows_is_missed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard left out is known to the keepers that followed it; the twin does not ask them and finds all whole."""
    honest = await verified(story)
    assert (len(honest.logs), honest.keepers) == (2, 1)
    _hide(story, "checkpoint")
    with pytest.raises(NotProven, match="which the server does not show"):
        await verified(story)

    async def nobody(*_: Any) -> int:
        return 0

    monkeypatch.setattr(public_log, "no_keeper_knows", nobody)
    assert len((await verified(story)).logs) == 1


async def test_a_head_without_its_entries_is_not_whole(story: Story) -> None:
    """A log whose head is signed and whose tiles are said not to be there is not taken for one that is not there."""
    _hide(story, "tile")
    with pytest.raises(NotProven, match="does not show what it is of"):
        await verified(story)


async def test_keepers_that_do_not_answer_are_not_counted(story: Story) -> None:
    """Silence of a keeper is no word about other logs."""
    story.patient_keeper.tamper("checkpoint", lambda note: b"nothing that is signed")
    _hide(story, "checkpoint")
    checked = await verified(story)
    assert (len(checked.logs), checked.keepers) == (1, 0)
