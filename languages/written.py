"""How each language writes what is no sentence: a day, a label before its colon, the number of a thing."""

import re

from languages.choice import language

NO_BREAK = "\N{NO-BREAK SPACE}"

_DAY = re.compile(r"\A(\d{4})-(\d{2})-(\d{2})")
_DAY_WITHIN = re.compile(r"(?<![\d-])(\d{4})-(\d{2})-(\d{2})(?![\d-])")


def day(text: str) -> str:
    """``text``, which begins with a day as YYYY-MM-DD, as it is read. One that begins otherwise stays as it is."""
    return _DAY.sub(r"\3/\2/\1", text) if language() == "fr" else text


def days_in(text: str) -> str:
    """``text`` with every day in it, written as YYYY-MM-DD, as it is read."""
    return _DAY_WITHIN.sub(lambda found: day(found[0]), text)


def label(text: str) -> str:
    """``text`` with its colon: what is said behind it is what ``text`` names."""
    return f"{text}{NO_BREAK}:" if language() == "fr" else f"{text}:"


def is_singular_in_french(text: str) -> bool:
    """Whether the number that ``text`` begins with takes the singular in French, as 0 and 1 do."""
    number = re.match(r"\d+", text)
    return number is not None and int(number[0]) < 2
