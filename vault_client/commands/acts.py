"""What a grant lets its reader do, as patients choose it and both sides are shown it."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from languages.catalogue import spoken
from vault_client.sharing_terms import ACTS

if TYPE_CHECKING:
    from crypto.grants import Act

# What people read
ALL_ACTS = "all"
NO_ACT = (
    "“{word}” is no act. The acts are: release (to open), prefetch (to fetch ahead), reopen (to open what was fetched ahead), export (to take "
    "into another system)"
)
NOT_BY_ITSELF = "prefetch and reopen go together: what is fetched ahead is opened again later"
WORDS = {
    "release": "open",
    "prefetch": "fetch ahead",
    "list": "see the list",
    "reopen": "open again",
    "export": "export",
}

CHOSEN: Final = ("release", "prefetch", "reopen", "export")


def add_acts(parser: ArgumentParser, default: "tuple[Act, ...] | None", meaning: str) -> None:
    """The option that says what a grant allows."""
    parser.add_argument("--acts", type=chosen, default=default, metavar="ACT,...", help=meaning)


def chosen(text: str) -> "tuple[Act, ...]":
    """Reads the acts of a grant, as the ``type`` of an option. The list comes with all: without it nothing can be named."""
    words = text.split(",")
    for word in words:
        if word not in CHOSEN:
            raise ArgumentTypeError(NO_ACT.format(word=word))
    if ("prefetch" in words) != ("reopen" in words):
        raise ArgumentTypeError(NOT_BY_ITSELF)
    return tuple(act for act in ACTS if act in {*words, "list"})


def shown(acts: "Sequence[str]") -> str:
    """What a grant allows, in plain words."""
    return spoken(ALL_ACTS) if set(acts) == set(ACTS) else ", ".join(spoken(WORDS[act]) for act in acts)
