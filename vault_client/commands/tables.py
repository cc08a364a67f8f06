"""Rows as people read them: a table where there is room for one, lines where there is not."""

import os
import sys
from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from vault_client.commands.output import at_terminal

# Columns whose cells are compared or copied, and those of short cells, are never broken into lines.
_WHOLE = {"Id", "Subject", "Root", "When (UTC)", "Cosigned (UTC)"}
_SHORT = 12
_ENDLESS = 10_000  # a pipe or a file has no edge to keep within


def drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``rows`` under ``columns`` for stdout. Cells are shown whole and as they are: nothing in them is markup."""
    page = _Page()
    console = Console(file=page, highlight=False, legacy_windows=False, width=_width())
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        is_whole = column in _WHOLE or all(len(row[number]) <= _SHORT for row in rows)
        table.add_column(
            Text(column), overflow="fold", no_wrap=is_whole, min_width=None if is_whole else _SHORT
        )
    for row in rows:
        table.add_row(*map(Text, row))
    needed = Measurement.get(console, console.options.update(width=_ENDLESS), table).minimum
    if needed > console.width:
        return "\n\n".join(_lines(columns, row) for row in rows)
    console.print(table)
    return page.getvalue().removesuffix("\n")


class _Page(StringIO):
    """What is drawn for stdout, before it is written there."""

    encoding: str = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it may be coloured."""
        return at_terminal(sys.stdout)


def _lines(columns: Sequence[str], row: Sequence[str]) -> str:
    named = zip(columns, row, strict=True)
    return "\n".join(f"{column}: {cell}" if column else cell for column, cell in named if cell)


def _width() -> int | None:
    is_free = "COLUMNS" not in os.environ and not at_terminal(sys.stdout)
    return _ENDLESS if is_free else None
