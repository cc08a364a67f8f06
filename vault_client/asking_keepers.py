"""Asking all keepers the same thing: each at once, none held up by another, and the few that fail decide nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar

from crypto.errors import CoffreError, Unreachable
from crypto.wire.keeper_api import KeeperApi

Answer = TypeVar("Answer")
Question = Callable[[bytes, KeeperApi], Coroutine[None, None, Answer]]
Enough = Callable[[dict[bytes, Answer]], bool]


class AskedKeepers:
    """Keepers with their names, by key hash. Each has ``patience`` seconds, whatever it does meanwhile."""

    def __init__(self, keepers: Mapping[bytes, tuple[str, KeeperApi]], patience: float) -> None:
        self._keepers = keepers
        self._patience = patience

    async def ask(
        self, question: Question[Answer], needed: int, enough: Enough[Answer] | None = None
    ) -> dict[bytes, Answer]:
        """Answers by keeper. With ``enough``, as soon as ``needed`` or more satisfy it; else once all had their time.

        Nor is anybody waited for once so many have refused that the others are too few; but without ``enough`` all are to
        hear the question. Raises such a refusal, or Unreachable, when fewer than ``needed`` answered.
        """
        asked = {asyncio.create_task(self._ask(name, question)): name for name in self._keepers}
        answers: dict[bytes, Answer] = {}
        failed: dict[bytes, CoffreError] = {}
        waiting = set(asked)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    try:
                        answers[asked[task]] = task.result()
                    except CoffreError as error:
                        failed[asked[task]] = error
                if enough is not None and (
                    self._refusal(failed, needed) or (len(answers) >= needed and enough(answers))
                ):
                    break
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if len(answers) < needed:
            raise self._refusal(failed, needed) or self._too_few(failed, needed)
        return answers

    async def _ask(self, name: bytes, question: Question[Answer]) -> Answer:
        called, keeper = self._keepers[name]
        try:
            async with asyncio.timeout(self._patience):
                return await question(name, keeper)
        except TimeoutError:
            raise Unreachable(
                f"The keeper {called} took longer than {self._patience} seconds. It was not waited for. Try again."
            ) from None

    def _refusal(self, failed: Mapping[bytes, CoffreError], needed: int) -> CoffreError | None:
        """A refusal, when no others than those that refuse could be enough."""
        refusals = [error for error in failed.values() if not isinstance(error, Unreachable)]
        return refusals[0] if refusals and len(refusals) > len(self._keepers) - needed else None

    def _too_few(self, failed: Mapping[bytes, CoffreError], needed: int) -> CoffreError:
        silent = {name: error for name, error in failed.items() if isinstance(error, Unreachable)}
        if not self._keepers:
            return Unreachable("No keeper is known. Nothing was opened.")
        if len(self._keepers) == 1:
            return next(iter(silent.values()))
        names = ", ".join(sorted(self._keepers[name][0] for name in silent))
        return Unreachable(
            f"Too few keepers answer: {needed} of {len(self._keepers)} must, and these do not: {names}. Nothing is known "
            "to be done. Try again in a moment."
        )
