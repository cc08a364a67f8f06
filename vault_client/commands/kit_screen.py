"""The recovery kit on the terminal: shown to be written down, or seen while it is typed, and then wiped.

It stands on the terminal's second screen, as an editor's text does: nothing of it stays, nor comes back by scrolling.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from languages.asking import at_terminal, forget_typed
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_client.commands.confirmation import asked
from vault_client.stop_signals import ended_at_once, never_suspended

if TYPE_CHECKING:
    from crypto.sealed.recovery import KitFile

_SECOND, _FIRST, _CLEAR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H\x1b[2J"

# What people read
SHOWN = (
    "Your recovery kit. It is shown this once and kept nowhere. With it, and this server's address, what is yours is "
    "restored on a new computer: by you, or by whoever has it. Write its 14 groups down, in their order, and put them "
    "away."
)
THEN_WIPED = "Then they are wiped from the screen."
CONFIRM = "Type OK when it is written down: "
UNCONFIRMED = (
    "The recovery kit was not confirmed. Nobody was enrolled. Start again when you can write it down."
)
HOW = (
    "Type the recovery kit group by group, with Enter after each. Capitals or small letters, it is the same. What you "
    "type is seen, and wiped from the screen afterwards."
)
GROUP = "Group {number} of {count}: "
NOT_THERE = "There are {count} groups in all, and one is typed at a time. Type it again."
COMPARE = (
    "Each group could be one, but together they are no kit: something in them is not as it is on the paper. Compare them; "
    "then type the wrong one again. Ctrl-C stops, and nothing is done."
)
WHICH = "Number of the group that is wrong: "
WIPED = "The recovery kit is read, and wiped from the screen."


def can_wipe() -> bool:
    """Whether somebody is at a terminal that has a second screen, to type at and to be told on."""
    return at_terminal(sys.stdin, sys.stderr) and _has_second_screen()


def show_kit(kit: "KitFile") -> None:
    """Show a new kit until it is written down; it then stays only where there is no second screen.

    Raises NotPermitted when that is not confirmed.
    """
    from crypto.errors import NotPermitted

    with _wiped(sys.stdout):
        said = f"{SHOWN} {THEN_WIPED}" if _has_second_screen() else SHOWN
        print(f"{wrapped(spoken(said), sys.stdout)}\n\n{_numbered(kit.text.split('-'))}\n")
        answer = asked(spoken(CONFIRM))
    if answer.strip().upper() != "OK":
        raise NotPermitted(UNCONFIRMED)


def typed_kit() -> str:
    """A kit that holds together, typed group by group. Raises EOFError when it is not typed to the end."""
    from crypto.errors import Malformed
    from crypto.sealed.recovery import GROUPS, Kit

    groups: list[str] = []
    with _wiped(sys.stderr), ended_at_once():
        _say(HOW)
        forget_typed()
        while len(groups) < GROUPS:
            groups += _typed(len(groups) + 1, GROUPS - len(groups))
        while True:
            try:
                Kit.from_text(text := "-".join(groups))
                break
            except Malformed:
                _say(COMPARE)
            print(_numbered(groups), file=sys.stderr)
            wrong = _wrong(len(groups))
            groups[wrong - 1 : wrong] = _typed(wrong, 1)
    _say(WIPED)
    return text


def _typed(number: int, most: int) -> list[str]:
    """Group ``number``, and those behind it that were typed, or pasted, along with it: ``most`` at most."""
    from crypto.errors import Malformed
    from crypto.sealed.recovery import GROUPS, kit_groups

    while True:
        try:
            groups = kit_groups(_asked(GROUP.format(number=number, count=GROUPS)))
        except Malformed as error:
            _say(str(error))
            continue
        if len(groups) <= most:
            return groups
        _say(NOT_THERE.format(count=GROUPS))


def _wrong(count: int) -> int:
    while True:
        word = _asked(WHICH).strip()
        if word.isascii() and word.isdecimal() and 1 <= int(word[:3]) <= count:
            return int(word[:3])


def _numbered(groups: Sequence[str]) -> str:
    """One line for each group: of two columns nobody knows which way to read them."""
    return "\n".join(f"{number:>4}  {group}" for number, group in enumerate(groups, 1))


def _say(text: str) -> None:
    print(wrapped(spoken(text), sys.stderr), file=sys.stderr)


def _asked(question: str) -> str:
    print(spoken(question), end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextmanager
def _wiped(stream: TextIO) -> Iterator[None]:
    """Have what is written to ``stream``, and typed meanwhile, on the second screen, where there is one.

    Ctrl-Z does nothing meanwhile: it would leave the kit there to be seen.
    """
    if not _has_second_screen():
        yield
        return
    with never_suspended():
        print(_SECOND, _CLEAR, sep="", end="", file=stream, flush=True)
        try:
            yield
        finally:
            print(_CLEAR, _FIRST, sep="", end="", file=stream, flush=True)


def _has_second_screen() -> bool:
    return os.environ.get("TERM", "dumb") != "dumb"
