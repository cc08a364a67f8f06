"""The faults are those meant, and one that is put in is noticed by the test that reaches it."""

import sys
from functools import partial
from pathlib import Path

import pytest

from tests.mutation import trial
from tests.mutation.__main__ import compared
from tests.mutation.mutants import mutants_of
from tests.mutation.reach import Reach
from tests.mutation.trial import exchange, live_functions, run_fresh, verdicts

SOURCE = '''"""A page."""
SIZE = 3


def short(text: str, most: int = SIZE) -> bool:
    """Says so."""
    if not text or len(text) > most:
        raise ValueError("too long for 3")
    return most - 1 in range(len(text))
'''


def changes(source):
    """What becomes of which places."""
    return {(mutant.before, mutant.after) for mutant in mutants_of("page.py", source)}


def test_every_place_is_written_otherwise():
    """Each number, comparison, condition, sum and statement once each way; no annotation, message or docstring."""
    condition = "not text or len(text) > most"
    assert changes(SOURCE) == {
        ("3", "4"),
        ("3", "2"),
        (condition, "not text"),
        (condition, "len(text) > most"),
        ("not text", "text"),
        ("len(text) > most", "len(text) >= most"),
        ('raise ValueError("too long for 3")', "pass"),
        ("most - 1 in range(len(text))", "most - 1 not in range(len(text))"),
        ("most - 1", "most + 1"),
        ("1", "2"),
        ("1", "0"),
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("f(a, b)", {("f(a, b)", "f(b, a)"), ("f(a, b)", "pass")}),
        ("a = b[1:c]", {("b[1:c]", "b[:c]"), ("b[1:c]", "b[1:]"), ("1", "2"), ("1", "0")}),
        ("a = [b for b in c if d]", {("[b for b in c if d]", "[b for b in c]")}),
        ("a = b if c else d", {("b if c else d", "b"), ("b if c else d", "d")}),
        ("a.b = c", {("a.b = c", "pass")}),
        ("a += b", {("a += b", "a -= b")}),
        ("a = any(b)", {("any", "all")}),
        ("a = b'c'", {("b'c'", "b'cx'")}),
        ("match a:\n case B() | C():\n  d", {("B() | C()", "B()"), ("B() | C()", "C()")}),
        ("class A:\n b: C = 1\n def __repr__(self): return 'd'", {("1", "2"), ("1", "0")}),
        ("import a\nfrom b import c", set()),
        ("T = TypeVar('T')\nf(a, a)", {("f(a, a)", "pass")}),
        ("a = max(b, c)", {("max", "min")}),
        ("a = 'That is so.'", set()),
        ("a = 'That'", {("'That'", "'Thatx'")}),
    ],
)
def test_other_places(source, expected):
    """Arguments, slices, filters, choices, assignments, additions, quantifiers, literals and patterns."""
    assert changes(source) == expected


def test_mutants_can_be_compiled():
    """Every mutant of a whole file of ours is Python, and none is the file itself."""
    path = "crypto/pieces.py"
    source = Path(path).read_text()
    found = list(mutants_of(path, source))
    assert len(found) > 50
    for mutant in found:
        compile(mutant.source, path, "exec")
        assert mutant.source != source


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A module of its own, with a test that looks at half of it; its mutants, by what they change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("page.py").write_text(SOURCE)
    Path("test_page.py").write_text(
        "from page import SIZE, short\ndef test_short():\n    assert short('abc')\n    assert SIZE == 3\n"
    )
    yield {(mutant.before, mutant.after): mutant for mutant in mutants_of("page.py", SOURCE)}
    sys.modules.pop("page", None)


def test_a_function_is_exchanged_where_it_is_in_use(page):
    """What was imported before behaves as the mutant; a name nobody defines is an error."""
    import page as module

    short, mutant = module.short, page["most - 1 in range(len(text))", "most - 1 not in range(len(text))"]
    assert short("abc")
    exchange(mutant, live_functions())
    assert not short("abc")
    with pytest.raises(LookupError):
        exchange(mutant, {})


def test_a_mutant_is_killed_by_a_test_that_sees_it(page):
    """Outside of functions and inside, what the test looks at kills and what it does not look at lives."""
    tried = (
        page["3", "4"],
        page["not text", "text"],
        page["not text or len(text) > most", "not text"],
    )
    trials = [partial(run_fresh, mutant, ["test_page.py"], 1.0) for mutant in tried]
    assert verdicts(trials) == [True, True, False]


def test_each_row_explains_one_mutant(page):
    """What lives beside the rows of the page is named, and so is a row about a mutant that died."""
    one, other = page["3", "4"], page["not text", "text"]
    reason = f"{one.row} because |"
    assert compared([one], [reason]) == ([], [])
    assert compared([one, one], [reason]) == ([one], [])
    assert compared([other], [reason]) == ([other], [reason])


def test_what_loops_for_ever_is_stopped(page, monkeypatch):
    """A trial that does not end counts as killed."""
    monkeypatch.setattr(trial, "COLLECTING", 1.0)
    Path("test_page.py").write_text("def test_for_ever():\n    while True:\n        pass\n")
    lives = page["not text or len(text) > most", "not text"]
    assert verdicts([partial(run_fresh, lives, ["test_page.py"], 0.0)]) == [True]


def test_the_files_own_tests_come_first_and_then_the_quickest(page):
    """All tests that reach the line are run: those named like the file, then those that import it, then the others."""
    Path("test_o.py").write_text("import os\n")
    Path("test_users.py").write_text("from page import short\n")
    mutant = page["not text", "text"]
    names = ["test_page.py::b", "test_page.py::a", "test_users.py::e", "test_o.py::c", "test_o.py::d"]
    seconds = dict(zip(names, (0.5, 2.5, 3.0, 0.1, 9.0), strict=True)) | {"test_o.py::never": 0.0}
    reach = Reach(seconds, {"page.py": {line: set(names) for line in mutant.lines}})
    assert reach.tests_for(mutant) == names
    outside = page["3", "4"]
    assert reach.collected_tests(outside, near=True) == names[:2]
    assert reach.collected_tests(outside, near=False) == [names[2], "test_o.py::never", *names[3:]]
    assert reach.collected_tests(mutant, near=True) == []
    assert Reach(seconds, {"page.py": {}}).tests_for(mutant) == []


def test_what_runs_while_tests_are_collected_is_tried_before(page):
    """Outside of functions always; inside where collecting reaches the line."""
    inside, outside = page["not text", "text"], page["3", "4"]
    assert Reach().is_collected(outside)
    assert not Reach().is_collected(inside)
    assert Reach(collected={"page.py": {inside.lines[-1]}}).is_collected(inside)
