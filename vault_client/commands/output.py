"""What a command shows: text and tables for people, one JSON object for programs, progress on stderr.

A command fills ``result`` as it goes, so that what was done before a refusal is reported with it. ``rich`` is imported
when there is something to draw with it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from crypto.encoding import acceptable
from crypto.errors import Unreachable

Progress = Callable[[int, int], None]

# Columns whose cells are compared or copied, and those of short cells, are never broken into lines.
_WHOLE = {"Id", "Subject", "Root", "When (UTC)", "Cosigned (UTC)"}
_SHORT = 12


class Usage(Exception):
    """What was typed cannot be carried out as it stands. Exit code 2."""


class Screen:
    """Where one command shows what it does."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.result: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """One line for people."""
        if not self.as_json:
            print(acceptable(text))

    def aside(self, text: str) -> None:
        """One line for people, on stderr: it is not what the command was asked for."""
        if not self.as_json:
            print(acceptable(text), file=sys.stderr)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows for people. Cells are shown as they are: nothing in them is markup."""
        if self.as_json:
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        shown = [[acceptable(cell) for cell in row] for row in rows]
        for number, column in enumerate(columns):
            is_whole = column in _WHOLE or all(len(row[number]) <= _SHORT for row in shown)
            table.add_column(Text(column), overflow="fold", no_wrap=is_whole)
        for row in shown:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress | None]:
        """A bar while the block runs, when somebody is watching. What is yielded takes bytes done and in all."""
        if self.as_json or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(acceptable(what), total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    def finish(self) -> None:
        """Write the JSON object of a command that did what it was asked."""
        if self.as_json:
            print(json.dumps(self.result))

    def refuse(self, error: str, message: str) -> None:
        """Say what went wrong: with the JSON object, or on stderr."""
        if self.as_json:
            print(json.dumps({**self.result, "error": error, "message": message}))
        else:
            print(f"coffre: {acceptable(message)}", file=sys.stderr)


@contextmanager
def unless_reached(meaning: str) -> Iterator[None]:
    """When the block reaches nobody, say what that means for what was asked."""
    try:
        yield
    except Unreachable as error:
        raise Unreachable(f"{error} {meaning}") from None


def counted(count: int, thing: str, things: str = "") -> str:
    """So many things, as it is shown."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or f'{thing}s'}"


def day(time: int) -> str:
    """A day, as it is shown (UTC)."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def moment(time: int) -> str:
    """A moment, as it is shown (UTC)."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def amount(count: int) -> str:
    """A number of bytes, as it is shown."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
