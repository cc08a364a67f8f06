"""French from English: every sentence a program can say, and what stands for it.

``french.toml`` holds each French text under its English one. A name in braces stands for what varies. In the French,
``{name:spoken}`` is a part that is looked up in its turn, ``{name:day}`` begins with a day, and of ``{name:one|many}``
the number that the part begins with chooses. A text is taken apart into sentences that are there; one that
is not known stays English. So what a server answers in English is shown in French too, and nothing is ever shown empty
or half. A test holds the texts in the code and those in the catalogue to each other.
"""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

from languages.choice import language
from languages.written import day, is_singular_in_french

NAME = re.compile(r"\{(\w+)\}")
# Names that say what they stand for: a number, alone or with its thing; one word.
SHAPES = {"count": re.compile(r"\d"), "id": re.compile(r"\S+\Z")}
LONGEST = 2048  # a text that somebody else sent may be as long as they like: it is then shown as it is

_STOP = re.compile(r"[.:?!] (?=\S)|\n+")


class Template(NamedTuple):
    """An English text with names in it: what stands between them, and the French."""

    names: tuple[str, ...]
    literals: tuple[str, ...]
    french: str

    def parts(self, text: str) -> dict[str, str] | None:
        """What the names stand for in ``text``; None when it is another text. Looks at each character once."""
        first, *others, last = self.literals
        at, end = len(first), len(text) - len(last)
        if not (text.startswith(first) and text.endswith(last) and at <= end):
            return None
        found: dict[str, str] = {}
        for name, literal in zip(self.names, [*others, ""], strict=True):
            stop = text.find(literal, at, end) if literal else end
            if stop < 0 or found.setdefault(name, text[at:stop]) != text[at:stop]:
                return None
            at = stop + len(literal)
        return found if all(SHAPES[name].match(found[name]) for name in SHAPES.keys() & found) else None


class Catalogue(NamedTuple):
    """Texts without names, by their English; and those with names, the more telling first."""

    texts: dict[str, str]
    templates: tuple[Template, ...]


class _Part(str):
    """What a name stands for, and what is made of it where the French asks for more than to have it as it is."""

    __slots__ = ()

    def __format__(self, kind: str) -> str:
        one, is_choice, many = kind.partition("|")
        if is_choice:
            return one if is_singular_in_french(self) else many
        if kind == "day":
            return day(str(self))
        return _found(self) or str(self) if kind == "spoken" else str(self)


def spoken(text: str) -> str:
    """``text``, which the code says in English, in the language of this process."""
    body = text.rstrip()
    if language() == "en" or len(body) > LONGEST:
        return text
    return (_found(body) or body) + text[len(body) :]


@cache
def entries() -> dict[str, str]:
    """Every English text with its French."""
    tables = tomllib.loads(resources.files("languages").joinpath("french.toml").read_text(encoding="utf-8"))
    return {english: french for table in tables.values() for english, french in table.items()}


@cache
def catalogue() -> Catalogue:
    """The entries as they are looked up."""
    known = entries()
    named = sorted(filter(NAME.search, known), key=lambda english: -len(NAME.sub("", english)))
    return Catalogue(
        texts={english: french for english, french in known.items() if not NAME.search(english)},
        templates=tuple(
            Template(tuple(NAME.findall(english)), tuple(NAME.split(english)[::2]), known[english])
            for english in named
        ),
    )


def _found(text: str) -> str | None:
    """The French of ``text``, sentence by sentence or whole; None where a part of it is not known."""
    ends = [stop.end() for stop in _STOP.finditer(text)]
    known: dict[int, str | None] = {len(text): None}
    for start in reversed([0, *ends]):
        known[start] = _whole(text[start:])
        for end in ends:
            rest = known[end] if end > start else None
            if rest is not None and (begun := _whole(text[start:end].rstrip())) is not None:
                gap = text[start:end]
                known[start] = begun + gap[len(gap.rstrip()) :] + rest
                break
    return known[0]


def _whole(text: str) -> str | None:
    texts, templates = catalogue()
    stop = (
        "." if text.endswith(".") else ""
    )  # what is a sentence only here may stand in the catalogue without its stop
    bare = text.removesuffix(".")
    if text in texts or bare in texts:
        return texts.get(text) or f"{texts[bare]}{stop}"
    for template in templates:
        for form, end in ((text, ""), (bare, stop)):
            if (parts := template.parts(form)) is not None:
                named = {name: _Part(part) for name, part in parts.items()}
                return f"{template.french.format_map(named)}{end}"
    return None
