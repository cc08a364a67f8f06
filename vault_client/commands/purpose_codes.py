"""Purposes, as they are typed and as they are shown: codes of HL7 PurposeOfUse, and what they mean."""

import re
from argparse import ArgumentTypeError
from collections.abc import Iterable

from languages.catalogue import spoken

_CODE = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")

# What people read
BAD_CODE = "“{text}” is no code of a purpose, such as TREAT (treatment)"
SOME_CODES = "TREAT (treatment), ETREAT (emergency), CAREMGT (coordination of care), HRESCH (research) or another code of HL7"
WORDS = {
    "TREAT": "treatment",
    "ETREAT": "emergency",
    "BTG": "emergency, without being granted",
    "CAREMGT": "coordination of care",
    "HRESCH": "research",
    "HPAYMT": "payment",
    "HOPERAT": "running of the practice",
    "PATRQT": "at the patient's request",
    "FAMRQT": "at the family's request",
    "PUBHLTH": "public health",
    "COVERAGE": "insurance",
}


def purpose_code(text: str) -> str:
    """Reads a purpose, as the ``type`` of an option."""
    if _CODE.fullmatch(text) is None:
        raise ArgumentTypeError(BAD_CODE.format(text=text))
    return text


def purposes_shown(codes: Iterable[str]) -> str:
    """Purposes in plain words; a code that is not known here stays as it is."""
    return ", ".join(spoken(WORDS.get(code, code)) for code in codes)
