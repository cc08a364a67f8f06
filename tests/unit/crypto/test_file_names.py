"""File names that mean one file on every system."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.encoding import acceptable
from crypto.errors import Malformed
from crypto.file_names import MAX_NAME, check_name, safe_name

HOSTILE = [
    "",
    *(
        ".",
        "..",
        "...",
        "../up",
        "..\\up",
        "/etc/passwd",
        "\\\\host\\share",
        "C:\\autoexec.bat",
        "a/b",
        "a\\b",
    ),
    *(
        "con",
        "CON",
        "con.txt",
        "nul.tar.gz",
        "aux ",
        "prn.log",
        "CONIN$",
        "Aux .pdf",
        "COM1",
        "com¹.pdf",
        "LPT9.txt",
        "CONOUT$",
    ),
    *(
        "-rf",
        "~root",
        ".bashrc",
        " leading",
        "trailing ",
        "trailing.",
        "a:b",
        "a*b",
        "a?b",
        'a"b',
        "a<b",
        "a>b",
        "a|b",
    ),
    *("x" * 181, "é" * 91),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused(name: str) -> None:
    """What could mean another file, a folder or a device on one of three systems is no name."""
    with pytest.raises(Malformed):
        check_name(name)


@pytest.mark.parametrize("name", ["comx", "com.txt", "com10", "printer"])
def test_what_only_begins_like_a_device_is_a_name(name: str) -> None:
    """A device is its whole stem: what goes on otherwise, or is shorter, is a name."""
    check_name(name)


@pytest.mark.parametrize(
    "title", [*HOSTILE, "Compte rendu", "a\nb\0c", "rapport\u202efdp.exe", "e\u0301" * 200]
)
@pytest.mark.parametrize("suffix", ["", ".pdf"])
def test_every_title_gives_a_safe_name(title: str, suffix: str) -> None:
    """Whatever a patient types as a title gives a safe name with the suffix asked for."""
    for number in (1, 2, 1000):
        name = safe_name(title, suffix, number)
        check_name(name)
        assert name.endswith(suffix)
        assert acceptable(name) == name


@given(st.text(max_size=300), st.sampled_from(["", ".pdf", ".bin"]), st.integers(1, 99))
def test_any_text_gives_a_safe_name(title: str, suffix: str, number: int) -> None:
    """Any text at all gives a safe name, and another number another one."""
    name = safe_name(title, suffix, number)
    check_name(name)
    assert len(name.encode()) <= MAX_NAME
    assert name.casefold() != safe_name(title, suffix, number + 1).casefold()


def test_a_name_has_one_to_180_bytes() -> None:
    """The shortest and the longest name are safe."""
    for name in ("a", "x" * 180, "é" * 90):
        check_name(name)
    assert MAX_NAME == 180


def test_a_title_is_cut_no_more_than_it_must() -> None:
    """One byte is kept for what goes before the name of a device."""
    assert safe_name("x" * 300, ".pdf") == "x" * 175 + ".pdf"
    device = safe_name("con." + "x" * 300, "")
    check_name(device)
    assert device == "_con." + "x" * 175


def test_a_plain_title_stays_readable() -> None:
    """A title that is safe as it is keeps every character, and a number stands behind it."""
    assert safe_name("2026-03-14 Bilan sanguin à jeun", ".pdf") == "2026-03-14 Bilan sanguin à jeun.pdf"
    assert safe_name("xérus thorax", ".pdf") == "xérus thorax.pdf"
    assert safe_name("Bilan", ".pdf", 2) == "Bilan (2).pdf"
    assert safe_name("Bilan : T?", ".txt") == "Bilan _ T_.txt"
