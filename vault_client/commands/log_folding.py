"""Folding what machines do by themselves, so that a busy log stays readable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vault_client.audit_report import Entry

MACHINE_LIKE: Final = ("list", "prefetch")
_DAY: Final = 86_400


def folded(entries: "Sequence[Entry]", *, everything: bool) -> "list[Sequence[Entry]]":
    """The lines to show: of each reader, day, grant and machine-like act one, where its last entry stands.

    All other entries, and with ``everything`` all of them, have a line each, in the order of the log.
    """
    lines: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        is_machine_like = entry.kind == "access" and entry.act in MACHINE_LIKE and not everything
        key: tuple[object, ...] = (entry.index,)
        if is_machine_like:
            key = (entry.identity, entry.grant, entry.act, entry.time // _DAY)
        lines.setdefault(key, []).append(entry)
    return sorted(lines.values(), key=lambda line: line[-1].index)
