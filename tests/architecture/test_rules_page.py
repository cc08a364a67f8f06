"""The page of rules says what the tests do: each rule has one that breaks it, or it is said why not."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
THREATS = PROJECT / "docs" / "threat-model"
PAGE = (THREATS / "rules.md").read_text()
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| rule |", "| attack |"))
]
NAMED = re.findall(r"`([\w/]*test_\w+)::(\w+)`", PAGE)


def test_there_are_rules() -> None:
    """The page was read as it is written."""
    assert len(ROWS) > 120
    assert len(set(NAMED)) > 120


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)), ids="::".join)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    """A function of this name is in this file of ``tests``, or of its folder ``adversary``; a question is in its table too."""
    text = (PROJECT / "tests" / ("" if "/" in file else "adversary") / f"{file}.py").read_text()
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)
    assert name.startswith("test_") or re.search(rf"^    {name}: ", text, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_every_rule_is_tried_or_is_said_not_to_be(row: str) -> None:
    """A rule names a test, a non-guarantee that is there, or the part that does not exist yet."""
    tried = row.rstrip(" |").rpartition("|")[2]
    numbers = re.findall(r"non-guarantee (\d+)", tried)
    page = (THREATS / "non-guarantees.md").read_text()
    assert all(re.search(rf"^{number}\. ", page, re.MULTILINE) for number in numbers)
    assert "::" in tried or numbers or re.search(r"not built\b.*, part ", tried)


def test_every_rule_of_the_model_is_there() -> None:
    """What the model found a rule to be for is tried in the code, under the same name."""
    table = (THREATS / "model.md").read_text().partition("## Rules")[2].partition("## Outside")[0]
    rules = re.findall(r"^\| ([^|]+?) \| (?:design )?\d", table, re.MULTILINE) + re.findall(
        r"^\| ([^|]+?) \| built", table, re.MULTILINE
    )
    assert len(rules) > 50
    assert [rule for rule in rules if f"`{rule}`" not in PAGE] == []
