"""A memory of bounded size."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Recent(OrderedDict[Name, Value]):
    """What was set last, under so many names at most: one more makes the one set longest ago go."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, name: Name, value: Value) -> None:
        super().__setitem__(name, value)
        self.move_to_end(name)
        if len(self) > self._most:
            self.popitem(last=False)
