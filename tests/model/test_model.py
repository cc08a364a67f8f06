"""The protocol's rules hold together: with all of them nothing bad is reached, without one of them something is."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.explore import Rules, explore
from tests.model.keepers import NEVER, Keepers, Request, State
from tests.model.removed import BAD, COVERED, NEEDLESS, REACHED, Reached
from tests.model.rules import ALL
from tests.model.worlds import ONE, POLICIES, quick

WORLDS = quick()
NAMES = Counter(rule.name for rule in ALL)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "threat-model" / "model.md"


def cases(table: dict[str, Reached]) -> list[tuple[str, str, str]]:
    """Rule, world and bad state, one of each at a time."""
    return [(rule, world, reached.bad) for rule, reached in table.items() for world in reached.worlds]


def without(world: str, *rules: str) -> str | None:
    """The bad state that a world comes to without some rules."""
    return explore(WORLDS[world], Rules(ALL, frozenset(rules))).bad


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_bad_is_reached(world: str) -> None:
    """With every rule in force no state of a world is bad."""
    explored = explore(WORLDS[world], Rules(ALL))
    assert explored.bad is None, "\n".join(explored.trace)
    assert explored.states > 1


@pytest.mark.parametrize(("rule", "world", "bad"), cases(REACHED))
def test_without_one_rule_a_bad_state_is_reached(rule: str, world: str, bad: str) -> None:
    """Each rule is needed: taken away alone, it lets in the bad state that the table names."""
    assert without(world, rule) == bad


@pytest.mark.parametrize("rule", COVERED)
def test_a_rule_that_another_covers(rule: str) -> None:
    """Two rules that do the same work: with either of them nothing bad is reached, with neither something is."""
    other, reached = COVERED[rule]
    for world in reached.worlds:
        assert without(world, rule) is None
        assert without(world, rule, other) == reached.bad


@pytest.mark.parametrize(("rule", "world"), [(rule, world) for rule in NEEDLESS for world in NEEDLESS[rule]])
def test_a_rule_that_the_others_make_needless(rule: str, world: str) -> None:
    """What the page calls needless is: without it, too, nothing bad is reached."""
    assert without(world, rule) is None


class Until:
    """A world in which the states that are wanted take the place of the bad ones."""

    def __init__(self, world: Keepers, wanted: Callable[[State, Rules], bool]) -> None:
        self.name, self.first, self.steps, self.settle = world.name, world.first, world.steps, world.settle
        self._wanted = wanted

    def bad(self, state: State, rules: Rules) -> str | None:
        """Whether this is one of them."""
        return "reached" if self._wanted(state, rules) else None


@pytest.mark.parametrize(("k", "n"), POLICIES)
def test_a_document_opens(k: int, n: int) -> None:
    """The control: with every rule in force, what is granted opens, for the device that asked."""
    world = Keepers("control", k, n, (Request(),), (ONE,), longest=2)
    explored = explore(Until(world, lambda state, rules: bool(world.opened(state, rules))), Rules(ALL))
    assert explored.bad == "reached"


def test_a_keeper_that_lost_its_store_comes_back() -> None:
    """The control of the wait: with every rule in force, a keeper of four returns, holding an end it was told of."""
    world = WORLDS["lost ends 3/4"]
    assert isinstance(world, Keepers)

    def is_back(state: State, _: Rules) -> bool:
        return state.losses == 0 and all(keeper.lost == NEVER and keeper.posted for keeper in state.keepers)

    assert explore(Until(world, is_back), Rules(ALL)).bad == "reached"


def test_every_rule_is_accounted_for() -> None:
    """A rule has one row, and is removed here in one way or another."""
    assert set(NAMES.values()) == {1}
    assert set(NAMES) == {*REACHED, *COVERED, *NEEDLESS}
    assert {reached.bad for reached in REACHED.values()} == set(BAD)


def test_the_page_says_what_was_reached() -> None:
    """docs/threat-model/model.md has a row for each rule, with the bad state that its removal reaches."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and line.count("|") == 6:
            name, _, _, bad, _ = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name] = bad
    assert {name: rows.get(name) for name in NAMES} == {
        name: f"({REACHED[name].bad})" if name in REACHED else "none" for name in NAMES
    }
