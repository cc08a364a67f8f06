"""Which language a person is spoken to in: French where the system says French, English everywhere else."""

import os
from typing import Literal

Language = Literal["fr", "en"]

# As POSIX orders them; the first that is set decides. COFFRE_LANG is ours: what it says goes before all others.
_VARIABLES = ("COFFRE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> Language:
    """The language of this process."""
    wanted = next(filter(None, map(os.environ.get, _VARIABLES)), "")
    return "fr" if wanted.lower().startswith("fr") else "en"
