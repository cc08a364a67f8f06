"""Our own vectors: every file still gives what it says, and is still what the generator makes."""

import json

import pytest

from tests.vectors.case import FOLDER
from tests.vectors.generate import cases, expected, main
from tests.vectors.runs import OUTCOMES, RUNS

FILES = sorted(FOLDER.glob("*/*.json"))
CASES = {case.name: case for case in cases()}


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_each_vector_ends_as_it_says(path):
    """A vector gives exactly what is expected, or is refused by exactly the error that it names."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    assert vector["format"] == path.parent.name
    run = RUNS[vector["format"]]
    if vector["outcome"] == "ok":
        assert json.loads(json.dumps(run(vector["inputs"]))) == vector["expected"]
        return
    with pytest.raises(OUTCOMES[vector["outcome"]]) as raised:
        run(vector["inputs"])
    assert raised.type is OUTCOMES[vector["outcome"]]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_vector_is_made_again(case):
    """The generator makes each file again, byte for byte; one that holds a box, as far as it is not drawn afresh."""
    made, stored = case.text(expected(case)), case.path.read_text(encoding="utf-8")
    if not case.once:
        assert made == stored
        return
    again, before = json.loads(made), json.loads(stored)
    for field in ("what", "format", "outcome"):
        assert again[field] == before[field]
    assert again["inputs"].keys() == before["inputs"].keys()
    assert again["expected"].keys() == before["expected"].keys()


def test_there_is_no_other_vector():
    """Each file belongs to a case of the generator, and each format has at least one that is accepted."""
    assert {name_of(path) for path in FILES} == set(CASES)
    assert {case.format for case in CASES.values()} == set(RUNS)
    refused_only = set(RUNS) - {case.format for case in CASES.values() if case.outcome == "ok"}
    assert not refused_only


def test_files_are_kept():
    """Generating again without force writes nothing."""
    assert main(force=False) == 0
