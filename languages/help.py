"""The help of a program, and what argparse says of mistyped words, in the language of whoever reads it."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from languages.catalogue import spoken
from languages.written import label

Acting = TypeVar("Acting", bound=argparse.Action)


class SpokenHelp(argparse.HelpFormatter):
    """Lays help out as argparse does, with every text looked up before it is wrapped."""

    def start_section(self, heading: str | None) -> None:
        """Begin a section under ``heading``, to which argparse adds a colon."""
        super().start_section(label(spoken(heading)).removesuffix(":") if heading else heading)

    def add_text(self, text: str | None) -> None:
        """A description or an epilog."""
        super().add_text(spoken(text) if text else text)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """The first lines: what may be typed."""
        super().add_usage(usage, actions, groups, spoken("usage: ") if prefix is None else prefix)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # The one place argparse has for changing an option's help; its own formatters use it so.
        return spoken(action.help) if action.help else action.help


class SpokenParser(argparse.ArgumentParser):
    """Reads what was typed; the parsers of its commands are of the same kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=SpokenHelp, **options)

    def _add_action(self, action: Acting) -> Acting:
        # Every way to add an argument ends here, and usage, help and refusals take the word for its value from it.
        if isinstance(action.metavar, str):
            action.metavar = spoken(action.metavar)
        return super()._add_action(action)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with what was typed, and end with exit code 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {spoken(message)}\n")
