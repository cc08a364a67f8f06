"""What people type for a document or a grant: its number in the last list, or the beginning of its id."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import msgspec

from crypto.encoding import Body
from vault_client.commands.output import Usage

if TYPE_CHECKING:
    from vault_client.device_store import DeviceStore

SHOWN = 8
MIN_PREFIX = 4
NAME = "a number of the last list, or four or more characters of an id"

_NUMBERS = 10 ** (MIN_PREFIX - 1) - 1

# What people read
TOO_SHORT = "“{word}” is neither a number of the last list nor four characters of an id. Nothing was done."
NO_NUMBER = "The last list has no number {word}. Nothing was done. Show the list again."
UNKNOWN = "“{word}” is not the beginning of an id in this list. Nothing was done. Show the list."
SEVERAL = "“{word}” is the beginning of several ids. Nothing was done. Type more of it, or its number."


class Shown(Body, frozen=True):
    """The ids of the list shown last, in its order: those that a number can name."""

    ids: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=_NUMBERS)]


def remember(store: "DeviceStore", what: str, ids: Iterable[bytes]) -> None:
    """Keep the order of a list that is being shown."""
    store.put(f"shown/{what}", Shown(ids=tuple(islice(ids, _NUMBERS))))


def pick(store: "DeviceStore", what: str, word: str, known: Iterable[bytes]) -> bytes:
    """The one id of ``known`` that ``word`` means. Raises Usage for none or several.

    Up to three digits are a number of the last list; from four characters on it is the beginning of an id.
    """
    if len(word) < MIN_PREFIX:
        return _numbered(store, what, word)
    found = {each for each in known if each.hex().startswith(word.lower())}
    if len(found) != 1:
        raise Usage((SEVERAL if found else UNKNOWN).format(word=word))
    return found.pop()


def pick_all(store: "DeviceStore", what: str, words: Sequence[str], known: Iterable[bytes]) -> list[bytes]:
    """``pick`` for each of ``words``; one named twice counts once."""
    candidates = list(known)
    return list(dict.fromkeys(pick(store, what, word, candidates) for word in words))


def short(identifier: bytes) -> str:
    """An id as it is shown."""
    return identifier.hex()[:SHOWN]


def _numbered(store: "DeviceStore", what: str, word: str) -> bytes:
    if not (word.isascii() and word.isdecimal()):
        raise Usage(TOO_SHORT.format(word=word))
    shown = store.get(f"shown/{what}", Shown)
    if shown is None or not 1 <= int(word) <= len(shown.ids):
        raise Usage(NO_NUMBER.format(word=word))
    return shown.ids[int(word) - 1]
