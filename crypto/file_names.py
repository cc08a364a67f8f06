"""File names that mean one file on every system: made from what a patient typed, and checked when others made them.

A name is safe when it has 1 to 180 bytes, holds none of ``< > : " / \\ | ? *``, begins with neither a dot, a hyphen, a
tilde nor a space, ends in neither a dot nor a space, and is no device of Windows, whatever its suffix. Control and
bidirectional characters stand in no signed text anyway.
"""

from typing import Final

from crypto.encoding import acceptable
from crypto.errors import Malformed

MAX_NAME: Final = 180

_FORBIDDEN = frozenset('<>:"/\\|?*')
_FIRST = frozenset(".-~ ")
_NUMBERS = "0123456789¹²³"
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in _NUMBERS
}


def check_name(name: str) -> None:
    """Raises Malformed unless ``name`` is safe."""
    if not 1 <= len(name.encode()) <= MAX_NAME or not _fits(name) or _is_device(name):
        raise Malformed("A file name was refused: it could mean something else than a file of its folder.")


def safe_name(title: str, suffix: str, number: int = 1) -> str:
    """A safe name for ``title`` with ``suffix`` (such as ``.pdf``); from 2 on, ``number`` stands behind the title.

    Two titles may give one name: the caller counts up ``number`` until it is free, with case folded.
    """
    end = (f" ({number})" if number > 1 else "") + suffix
    kept = "".join("_" if character in _FORBIDDEN else character for character in acceptable(title))
    kept = kept.strip().lstrip("".join(_FIRST))
    kept = kept.encode()[: MAX_NAME - 1 - len(end.encode())].decode(errors="ignore").rstrip(". ")
    # Cutting can leave an accent for the next character to compose with.
    name = acceptable(f"{kept or 'document'}{end}")
    return f"_{name}" if _is_device(name) else name


def _fits(name: str) -> bool:
    return name[0] not in _FIRST and name[-1] not in ". " and not set(name) & _FORBIDDEN


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip().casefold() in _DEVICES
