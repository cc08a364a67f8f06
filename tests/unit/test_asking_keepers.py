"""Asking several keepers: who is waited for, and what is said when too few answer."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.errors import CoffreError, NotFound, Unreachable
from vault_client.asking_keepers import AskedKeepers

GONE, REFUSED, HANGS = Unreachable("gone"), NotFound("This"), object()


async def answered(
    *does: object, needed: int = 3, enough: Callable[[Any], bool] | None = lambda _: True
) -> set[int]:
    """Which of the keepers answered that do as told: raise, hang, or answer anything else."""

    async def question(name: bytes, keeper: Any) -> object:
        if keeper.does is HANGS:
            await asyncio.Event().wait()
        if isinstance(keeper.does, CoffreError):
            raise keeper.does
        return keeper.does

    keepers: Any = {
        bytes([place]): (f"keeper-{place}", SimpleNamespace(does=each)) for place, each in enumerate(does)
    }
    asking = AskedKeepers(keepers, patience=0.2).ask(question, needed, enough)
    return {name[0] for name in await asyncio.wait_for(asking, 30)}


@pytest.mark.parametrize("wrong", [GONE, REFUSED, HANGS])
async def test_one_keeper_of_four_decides_nothing(wrong: object) -> None:
    """Down, refusing or hanging: the three others are enough."""
    for place in range(4):
        does = [wrong if each == place else "yes" for each in range(4)]
        assert await answered(*does) == set(range(4)) - {place}
        assert await answered(*does, enough=None) == set(range(4)) - {place}


async def test_whoever_could_make_it_enough_is_waited_for() -> None:
    """Three answers that are not enough are not the end while a fourth may come; without one they are what there is."""
    assert await answered(1, 2, 3, 4, enough=lambda answers: 4 in answers.values()) == {0, 1, 2, 3}
    assert await answered(1, 2, 3, GONE, enough=lambda answers: 4 in answers.values()) == {0, 1, 2}


async def test_too_few_are_named() -> None:
    """Two of four that do not answer: it is said which, and to try again. A refusal counts once the others are too few."""
    for does in ((GONE, GONE, 1, 2), (GONE, HANGS, 1, 2)):
        with pytest.raises(Unreachable, match="3 of 4 must, and these do not: keeper-0"):
            await answered(*does)
    with pytest.raises(Unreachable, match="these do not: keeper-0\\."):
        await answered(GONE, REFUSED, 1, 2)
    with pytest.raises(NotFound):
        await answered(REFUSED, REFUSED, HANGS, HANGS)
    with pytest.raises(NotFound):
        await answered(GONE, REFUSED, REFUSED, 1)
    with pytest.raises(NotFound):
        await answered(REFUSED, needed=1)
    with pytest.raises(Unreachable, match="gone"):
        await answered(GONE, needed=1)
    with pytest.raises(Unreachable, match="No keeper is known"):
        await answered(needed=1)


async def test_an_end_is_heard_by_all() -> None:
    """Without saying what is enough, no keeper is left out that could still be told."""
    with pytest.raises(NotFound):
        await answered(REFUSED, REFUSED, HANGS, 1, enough=None)
    before = len(asyncio.all_tasks())
    assert await answered(HANGS, 1, 2, 3, enough=None) == {1, 2, 3}
    assert len(asyncio.all_tasks()) == before
