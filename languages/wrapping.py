"""Sentences at a terminal, broken between words."""

import shutil
import textwrap
from typing import TextIO


def wrapped(text: str, stream: TextIO | None) -> str:
    """``text`` in lines of whole words where ``stream`` is a terminal; elsewhere one line stays one line."""
    if stream is None or not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 1)
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
