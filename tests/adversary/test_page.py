"""The page of attacks says what the tests do."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "threat-model" / "attacks.md"


def test_every_attack_has_a_line() -> None:
    """The 66 published attacks are there, once each and in order; those that apply now name a test."""
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| A\d\d ", line)]
    assert [line[2:5] for line in lines] == [f"A{number:02d}" for number in range(1, 67)]
    without = [line[2:5] for line in lines if "| now |" in line and "test_" not in line]
    assert without == []


def test_every_test_named_is_there() -> None:
    """Each file and function the page names exists."""
    for name in re.findall(r"`(tests/[\w/]+\.py)`", PAGE.read_text()):
        assert (PROJECT / name).is_file(), name
    for file, function in re.findall(r"`(test_\w+)::(test_\w+)`", PAGE.read_text()):
        text = (Path(__file__).parent / f"{file}.py").read_text()
        assert f"def {function}(" in text, function


def test_every_adversary_test_is_on_the_page() -> None:
    """A test that names an attack is named by the attack's line."""
    page = PAGE.read_text()
    for path in Path(__file__).parent.glob("test_*.py"):
        found = re.findall(r'def (test_\w+)\([^"]*?"""(A\d\d[^:]*):', path.read_text())
        for function, attacks in found:
            for attack in re.findall(r"A\d\d", attacks):
                (line,) = [line for line in page.splitlines() if line.startswith(f"| {attack} |")]
                assert f"{path.stem}::{function}" in line, (function, attack)
