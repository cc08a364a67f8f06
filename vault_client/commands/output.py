"""What a command shows: text and tables for people, one JSON object for programs, progress on stderr.

A command fills ``result`` as it goes, so that what was done before a refusal is reported with it. ``rich`` is imported
when there is something to draw with it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from crypto.encoding import acceptable
from crypto.errors import Unavailable
from languages.asking import at_terminal
from languages.catalogue import spoken
from languages.choice import language
from languages.wrapping import wrapped
from languages.written import day as written_day
from vault_client.progress import Progress

_LAST_MOMENT = 253402300799
_NAMED = 3

# What people read
UNSHOWN = (
    "What there was to say could not be written out ({why}). What was done by then stays done: look before you do it "
    "again."
)


class Usage(Exception):
    """What was typed cannot be carried out as it stands. Exit code 2."""


class Screen:
    """Where one command shows what it does."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.result: dict[str, Any] = {}
        self._doubt = ""
        self._is_mute = False

    def say(self, text: str) -> None:
        """One line for people."""
        if not self.as_json:
            self._show(wrapped(acceptable(spoken(text)), sys.stdout))

    def aside(self, text: str) -> None:
        """One line for people, on stderr: it is not what the command was asked for."""
        if not self.as_json:
            _written(wrapped(acceptable(spoken(text)), sys.stderr), sys.stderr)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows for people. Cells are shown as they are: nothing in them is markup."""
        if not self.as_json:
            from vault_client.commands.tables import drawn

            self._show(drawn(columns, [[acceptable(cell) for cell in row] for row in rows]))

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress | None]:
        """A bar while the block runs, when somebody is watching. What is yielded takes bytes done and in all."""
        if self.as_json or not at_terminal(sys.stderr):
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(acceptable(what), total=None, amounts="")
            yield lambda done, total: bars.update(
                task, completed=done, total=total, amounts=f"{amount(done)} / {amount(total)}"
            )

    @contextmanager
    def unless_done(self, meaning: Callable[[], str]) -> Iterator[None]:
        """When the block is cut short, say with the reason what that means for what was asked: what ``meaning`` gives."""
        try:
            yield
        except BaseException:
            if said := meaning():
                self._doubt += f" {said}"
            raise

    @contextmanager
    def if_stopped(self, meaning: str) -> Iterator[None]:
        """When the block is stopped from the keyboard or by a signal, say what that means for what was asked."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):
                self._doubt = f" {meaning}"
            raise

    def finish(self) -> None:
        """Write the JSON object of a command that did what it was asked. What programs read is English."""
        if self.as_json:
            self._show(json.dumps(self.result))

    def line(self, described: dict[str, Any]) -> None:
        """One JSON object for programs, on a line of its own: of a command that says many things, each when it happens."""
        if self.as_json:
            self._show(json.dumps(described))

    def refuse(self, error: str, message: str) -> None:
        """Say what went wrong: with the JSON object, or on stderr."""
        message += self._doubt
        said = json.dumps({**self.result, "error": error, "message": message})
        if not self.as_json or self._is_mute or _written(said, sys.stdout):
            _written(wrapped(f"coffre: {acceptable(spoken(message))}", sys.stderr), sys.stderr)

    def _show(self, text: str) -> None:
        if why := _written(text, sys.stdout):
            self._is_mute = True
            raise Unavailable(UNSHOWN.format(why=why))


def _written(text: str, stream: TextIO | None) -> str:
    """Write a line through. Returns why it could not be written; whoever closed a pipe has seen enough."""
    if stream is None:
        return ""
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # else the rest of it fails again at exit
        return "" if isinstance(error, BrokenPipeError) else error.strerror or type(error).__name__
    return ""


def counted(count: int, thing: str, things: str = "") -> str:
    """So many things, as it is shown."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or f'{thing}s'}"


def several(names: Sequence[str]) -> str:
    """The first few of ``names``, and how many there are when those are not all: the same in every language."""
    more = [f"… ({len(names)})"] if len(names) > _NAMED else []
    return " · ".join([*names[:_NAMED], *more])


def day(time: int) -> str:
    """A day, as it is shown (UTC)."""
    return written_day(f"{_date(time):%Y-%m-%d}")


def moment(time: int) -> str:
    """A moment, as it is shown (UTC)."""
    return f"{day(time)} {_date(time):%H:%M:%S}"


def _date(time: int) -> datetime:
    # Times are others' claims: what is behind the last day of the calendar is shown as that day.
    return datetime.fromtimestamp(min(time, _LAST_MOMENT), UTC)


def amount(count: int) -> str:
    """A number of bytes, as it is shown."""
    size, unit = float(count), ""
    for larger in ("k", "M", "G"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    number = f"{size:.0f}" if not unit or size >= 100 else f"{size:.1f}"
    return f"{number.replace('.', ',')} {unit}o" if language() == "fr" else f"{number} {unit}B"
