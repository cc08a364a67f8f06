"""Purposes as they are typed: codes of HL7 PurposeOfUse."""

import re
from argparse import ArgumentTypeError

_CODE = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")

# What people read
BAD_CODE = "{text} is no code of a purpose, such as TREAT"


def purpose_code(text: str) -> str:
    """Reads a purpose, as the ``type`` of an option."""
    if _CODE.fullmatch(text) is None:
        raise ArgumentTypeError(BAD_CODE.format(text=text))
    return text
