"""Folding what machines do by themselves, so that a busy log stays readable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from crypto.durations import DAY

if TYPE_CHECKING:
    from vault_client.audit_report import Entry

MACHINE_LIKE: Final = ("list", "prefetch")

Line = tuple[object, ...]


def line_of(entry: "Entry", *, everything: bool) -> Line:
    """What names the line on which ``entry`` is shown.

    Of each reader, day, grant and machine-like act there is one. All other entries, and with ``everything`` all of them,
    have a line each.
    """
    if entry.kind == "access" and entry.act in MACHINE_LIKE and not everything:
        return (entry.identity, entry.grant, entry.act, entry.time // DAY)
    return (entry.index,)


def folded(entries: "Sequence[Entry]", *, everything: bool) -> "list[Sequence[Entry]]":
    """The lines to show, each where its last entry stands in the order of the log."""
    lines: dict[Line, list[Entry]] = {}
    for entry in entries:
        lines.setdefault(line_of(entry, everything=everything), []).append(entry)
    return sorted(lines.values(), key=lambda line: line[-1].index)
