"""The table of permitted characters, beside Python's own where that is of the same version."""

import sys
import unicodedata

import pytest

from crypto.unicode14 import is_permitted

REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_the_table_is_unicode_14():
    """Every code point is permitted by its category in Unicode 14, the two joiners apart."""
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("this Python knows another version of Unicode")
    wrong = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if is_permitted(chr(code))
        != (unicodedata.category(chr(code)) not in REFUSED or chr(code) in "\u200c\u200d")
    ]
    assert wrong == []


def test_the_table_does_not_move():
    """On any Python: how many code points are permitted, and some of each side."""
    permitted = sum(is_permitted(chr(code)) for code in range(sys.maxunicode + 1))
    assert permitted == 144_532 + 2  # the graphic characters that the standard counts, and the joiners
    assert all(map(is_permitted, " ~é\u200c\u200dك日\U0001fae0\U0002a6df"))
    assert not any(
        map(is_permitted, "\0\n\x1f\x7f\x80\xad\u200e\u202e\u2066\ufeff\ud800\ue000\U0001fae8\U0010ffff")
    )
