"""A keeper that lies in named ways: ``KeeperApi`` around an honest one. ``heard`` keeps every question in order."""

from collections.abc import Callable
from typing import Any

from crypto.wire.keeper_api import OPERATIONS, KeeperApi

_NAMES = {"checkpoint", *(operation.name for operation in OPERATIONS)}


class LyingKeeper:
    """Answers as the honest keeper does, except where it was told to lie."""

    def __init__(self, honest: KeeperApi) -> None:
        self.honest = honest
        self.heard: list[tuple[str, Any]] = []
        self._lies: dict[str, Callable[[Any], Any]] = {}

    def tamper(self, operation: str, change: Callable[[Any], Any]) -> None:
        """Answer what ``change`` makes of the honest answer."""
        self._lies[operation] = change

    def be_honest(self) -> None:
        """Stop lying."""
        self._lies.clear()

    def asked(self, operation: str) -> list[Any]:
        """The questions put to ``operation``."""
        return [question for name, question in self.heard if name == operation]

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)

        async def call(question: Any) -> Any:
            self.heard.append((name, question))
            answer = await getattr(self.honest, name)(question)
            change = self._lies.get(name)
            return answer if change is None else change(answer)

        return call
