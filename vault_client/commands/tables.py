"""Rows as people read them: a table where there is room for one, lines where there is not."""

import os
import sys
import textwrap
from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from languages.asking import at_terminal
from languages.catalogue import spoken
from languages.written import label

# Columns whose cells are compared or copied, and those of short cells, are never broken into lines.
_WHOLE = {"Id", "Subject", "Root", "SHA-256", "When (UTC)", "Cosigned (UTC)"}
_SHORT = 12
# Others are broken between words; a word longer than this is taken for no word.
_WORD = 32
_ENDLESS = 10_000  # a pipe or a file has no edge to keep within


def drawn(columns: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0) -> str:
    """``rows`` under ``columns`` for stdout, ``indent`` from its edge, with an empty line behind them.

    Cells are shown whole and as they are: nothing in them is markup.
    """
    page = _Page()
    console = Console(file=page, highlight=False, legacy_windows=False, width=_width())
    console.width = max(console.width - indent, 1)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        cells = [row[number] for row in rows]
        is_whole = column in _WHOLE or all(len(cell) <= _SHORT for cell in cells)
        heading = spoken(column)
        table.add_column(
            Text(heading),
            overflow="fold",
            no_wrap=is_whole,
            min_width=_widest([heading, *cells]) if is_whole else _foldable(cells),
        )
    for row in rows:
        table.add_row(*map(Text, row))
    needed = Measurement.get(console, console.options.update(width=_ENDLESS), table).minimum
    if needed > console.width:
        shown = "".join(f"{_lines(columns, row, console.width)}\n\n" for row in rows)
    else:
        console.print(table)
        shown = page.getvalue()
    return textwrap.indent(shown.removesuffix("\n"), " " * indent)


class _Page(StringIO):
    """What is drawn for stdout, before it is written there."""

    encoding: str = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it may be coloured."""
        return at_terminal(sys.stdout)


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _foldable(cells: Sequence[str]) -> int:
    """The width down to which ``cells`` are broken between words only."""
    return max(_SHORT, min(_WORD, _widest([word for cell in cells for word in cell.split()])))


def _lines(columns: Sequence[str], row: Sequence[str], width: int) -> str:
    named = zip(columns, row, strict=True)
    lines = (f"{label(spoken(column))} {cell}" if column else cell for column, cell in named if cell)
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def _width() -> int | None:
    is_free = "COLUMNS" not in os.environ and not at_terminal(sys.stdout)
    return _ENDLESS if is_free else None
