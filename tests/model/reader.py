"""An honest reader among liars: the server and every keeper are dishonest, and only clients check anything.

There is one request. The server shows the reader one head with a leaf that is said to stand for it, and the patient any
heads; both remember the newest that they believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from tests.model.explore import Rules
from tests.model.keepers import FOUND, RANDOM, READING, Head, Leaf, conflict

COVER = Leaf("cover")
THE_LEAF = Leaf(READING, 0, FOUND)
LEAVES = (
    COVER,
    THE_LEAF,
    Leaf(READING, 0, RANDOM),
    Leaf(READING, 1, FOUND),
    Leaf(READING, 0, FOUND, granted=False),
)


class Believed(NamedTuple):
    """Every head that a client believed, oldest first."""

    patient: tuple[Head, ...] = ((),)
    reader: tuple[Head, ...] = ((),)
    opened: bool = False


@dataclass(frozen=True)
class Reader:
    """A world. ``longest``: leaves of a log. ``heads``: how many a client is shown."""

    name: str
    longest: int
    heads: int

    def first(self) -> Believed:
        """Nothing was seen."""
        return Believed()

    def steps(self, state: Believed, rules: Rules) -> Iterator[tuple[str, Believed]]:
        """What the server can show, and to whom."""
        if state.opened:
            shown = (head for head in self._heads() if len(state.patient) <= self.heads)
            for head in shown:
                if rules.allow("believe", state.patient[-1], head):
                    yield (
                        f"the patient believes {_said(head)}",
                        state._replace(patient=(*state.patient, head)),
                    )
            return
        for head in self._heads():
            if len(state.reader) > self.heads or not rules.allow("believe", state.reader[-1], head):
                continue
            yield f"the reader believes {_said(head)}", state._replace(reader=(*state.reader, head))
            for leaf in LEAVES:
                if rules.allow("receipt", head, leaf):
                    words = f"the reader opens by a receipt under {_said(head)} for {_said((leaf,))}"
                    yield words, state._replace(reader=(*state.reader, head), opened=True)

    def settle(self, state: Believed, rules: Rules) -> Believed:
        """Nothing more."""
        return state

    def bad(self, state: Believed, rules: Rules) -> str | None:
        """A client that believed two conflicting heads; a reading that is not in a log which both saw."""
        for heads in (state.patient, state.reader):
            if any(conflict(one, other) or len(other) < len(one) for one, other in pairwise(heads)):
                return "d"
        seen, shown = state.patient[-1], state.reader[-1]
        if (
            state.opened
            and len(seen) >= len(shown) > 0
            and not conflict(seen, shown)
            and THE_LEAF not in seen
        ):
            return "a"
        return None

    def _heads(self) -> Iterator[Head]:
        for size in range(1, self.longest + 1):
            yield from product(LEAVES, repeat=size)


def _said(head: Head) -> str:
    names = dict(
        zip(
            LEAVES,
            ("cover", "the request", "the request, slot two random", "another body", "the request, refused"),
            strict=True,
        )
    )
    return "[" + ", ".join(names[leaf] for leaf in head) + "]"
