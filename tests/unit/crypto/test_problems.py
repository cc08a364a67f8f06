"""Errors across the wire and back."""

import pytest

from crypto import errors
from crypto.encoding import decode
from crypto.wire.problems import TABLE, UNAVAILABLE, Problem, error_of, problem_bytes, problem_of

REFUSALS = [kind for kind in errors.Refusal.__subclasses__() if kind.__module__ == "crypto.errors"]


def made(kind: type[errors.CoffreError]) -> errors.CoffreError:
    """An error of ``kind`` with a message of its own where it takes one."""
    return kind("What happened. What to do.")


@pytest.mark.parametrize("kind", [kind for _, kind, _ in TABLE], ids=lambda kind: kind.__name__)
def test_an_error_crosses_the_wire(kind):
    """Each error of the table arrives as the same class with the same words, under its own status."""
    error = made(kind)
    status, body = problem_bytes(error)
    problem = decode(body, Problem)
    arrived = error_of(problem)
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert (status, problem.status) == (problem.status, problem_of(error).status)
    assert 400 <= status < 600


def test_every_refusal_is_in_the_table():
    """No refusal of ours turns into another on its way; codes and classes are there once."""
    assert REFUSALS
    assert set(REFUSALS) <= {kind for _, kind, _ in TABLE}
    assert len({code for code, _, _ in TABLE}) == len(TABLE) == len({kind for _, kind, _ in TABLE})


def test_what_is_not_in_the_table_is_unavailable():
    """A fault of storage without a code of its own arrives as Unavailable."""
    arrived = error_of(problem_of(errors.Damaged("The store cannot be read.")))
    assert type(arrived) is errors.Unavailable
    assert problem_of(errors.Damaged("x")).type == UNAVAILABLE


def test_an_unknown_code_is_a_plain_refusal():
    """A server cannot invent a meaning: an unknown code is a Refusal and nothing more."""
    for code in ("coffre:granted", "coffre:Malformed", "about:blank", "malformed"):
        arrived = error_of(Problem(type=code, title="t", status=200, detail="words"))
        assert type(arrived) is errors.Refusal
        assert str(arrived) == "words"


def test_one_answer_hides_its_cause():
    """Whatever makes something not be there, status and body of the answer are the same."""
    assert problem_bytes(errors.NotFound()) == problem_bytes(errors.NotFound())
    assert problem_bytes(errors.NotFound())[0] == 404
