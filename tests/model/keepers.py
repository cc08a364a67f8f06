"""A grant whose patient and a quorum of whose keepers are honest, and nobody else.

The server forks, hides and delays as it likes, and the reader's software signs what it likes, together with n - k keepers
who say everything they know and sign everything at any time. So a head counts, a share combination opens, and an end is in
force, by the deeds of k - (n - k) honest keepers; these are alike, so a state keeps them sorted.

What only helps a liar happens at once: an honest keeper gives every share that it would give, and signs its head and
acknowledges an end again whenever time goes by. A unit of time is a quarter of an hour: what is done in one unit and the
next may have been done within ten minutes, and half an hour is two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

from tests.model.explore import Rules

NEVER = -1
SILENCE = 2
FOUND, OTHER, RANDOM = "found", "other", "random"
OPENING_ACTS = ("release", "prefetch")
SHARES = (("doc", "list"), ("x", "y"), (0, 1), ("kept", "removed"))


class Request(NamedTuple):
    """An access request, by what a liar may vary. ``two``: its slot two; only a random one is not under Kg."""

    doc: str = "x"
    act: str = "release"
    device: str = "kept"
    rekey: int = 0
    two: str = FOUND
    saw_removal: bool = False
    signed: bool = True
    excluded: bool = False


class Leaf(NamedTuple):
    """A leaf. ``number`` is an event's j, or the request that C opens to."""

    kind: str
    number: int = 0
    two: str = ""
    granted: bool = True
    shard: str = "own"


EVENT, END, READING, COVER = "event", "end", "reading", "cover"
Head = tuple[Leaf, ...]
FIRST: Head = (Leaf(EVENT, 0),)


class Given(NamedTuple):
    """A share that a keeper gave, and for which request. ``to``: whose device can open the box."""

    label: str
    doc: str
    rekey: int
    to: str
    request: int


class Asked(NamedTuple):
    """What the others showed a keeper that lost its store."""

    log: Head
    posted: bool


class Keeper(NamedTuple):
    """An honest keeper: what it keeps, and what liars keep of it (``signed``, ``acks``, ``given``)."""

    log: Head
    signed: tuple[tuple[Head, int], ...]
    removal: int = NEVER
    posted: bool = False
    acks: tuple[int, ...] = ()
    lost: int = NEVER
    asked: tuple[Asked, ...] = ()
    given: tuple[Given, ...] = ()


class Over(NamedTuple):
    """Something came to an end, and the requests that were logged by then."""

    what: str
    before: tuple[int, ...]


class State(NamedTuple):
    """Everything. ``made``: how many events the patient has signed. ``losses``: how many stores are yet to be lost."""

    now: int
    keepers: tuple[Keeper, ...]
    made: int
    ending: bool
    losses: int
    over: tuple[Over, ...] = ()


@dataclass(frozen=True)
class Keepers:
    """A world. ``rekeys``: the rekey of each event; document y is taken out by the first rekey. ``longest``: leaves."""

    name: str
    k: int
    n: int
    requests: tuple[Request, ...]
    readings: tuple[Leaf, ...]
    longest: int
    rekeys: tuple[int, ...] = (0,)
    ends: bool = False
    ends_in_log: bool = True
    removes: bool = False
    losses: int = 0
    last: int = 0
    expiry: int = 99
    forks: bool = True

    def needed(self, rules: Rules) -> int:
        """How many honest keepers must do a thing for it to count: the dishonest n - k do everything."""
        k = self.k if self.n == 1 or rules.on("k above two thirds") else self.k - 1
        return k - (self.n - self.k)

    def to_open(self, rules: Rules) -> int:
        """How many honest keepers must give a share for a document to open."""
        return self.needed(rules) if rules.on("k keepers to open") else 1

    def first(self) -> State:
        """Event 0 is logged, and every keeper follows."""
        ending = self.ends and self.losses > 0
        return State(0, (Keeper(FIRST, ()),) * self.k, 1, ending=ending, losses=self.losses)

    # What counts

    def counting(self, state: State, rules: Rules) -> list[Head]:
        """The heads that bear k cosignatures of one time."""
        heads = sorted({head for keeper in state.keepers for head, _ in keeper.signed})
        dates = {
            head: [[time for signed, time in keeper.signed if signed == head] for keeper in state.keepers]
            for head in heads
        }
        return [FIRST, *(head for head in heads if self._together(dates[head], rules))]

    def _together(self, times: list[list[int]], rules: Rules) -> bool:
        """Whether enough keepers did it within ten minutes of each other."""
        apart = 1 if rules.on("dated together") else 99
        starts = {time for each in times for time in each}
        return any(
            sum(any(start <= time <= start + apart for time in each) for each in times) >= self.needed(rules)
            for start in starts
        )

    # Steps

    def steps(self, state: State, rules: Rules) -> Iterator[tuple[str, State]]:
        """What anybody can do next."""
        counting = self.counting(state, rules)
        if state.made < len(self.rekeys) and not state.ending and rules.allow("next link", state, counting):
            words = f"the patient signs event {state.made} (rekey {self.rekeys[state.made]})"
            yield words, state._replace(made=state.made + 1)
        if self.ends and not state.ending and rules.allow("next link", state, counting):
            yield "the patient ends the grant", state._replace(ending=True)
        if state.now < self.last:
            keepers = tuple(
                _still(keeper, state.now + 1) if self.losses else keeper for keeper in state.keepers
            )
            yield "a quarter of an hour goes by", state._replace(now=state.now + 1, keepers=keepers)
        for place, keeper in enumerate(state.keepers):
            if place and keeper == state.keepers[place - 1]:
                continue
            for words, changed in self._keeper_moves(state, place, keeper, rules):
                yield f"{_who(keeper)} {words}", _with(state, place, changed)
            if keeper.lost == NEVER and state.losses:
                gone = keeper._replace(log=(), posted=False, lost=state.now)
                words = f"{_who(keeper)} loses its store"
                yield words, _with(state, place, gone)._replace(losses=state.losses - 1)

    def _keeper_moves(
        self, state: State, place: int, keeper: Keeper, rules: Rules
    ) -> Iterator[tuple[str, Keeper]]:
        if keeper.lost != NEVER:
            yield from self._return(state, place, keeper, rules)
            return
        for base in self._bases(state, keeper):
            if len(base) < self.longest and rules.allow("cosign", keeper, base):
                for leaf in self._leaves(state, base):
                    head = (*base, leaf)
                    yield f"cosigns {_words(head)}", _signed(keeper._replace(log=head), self._date(state))
        date, logged = self._date(state), Leaf(END) in keeper.log
        if (
            state.ending
            and not keeper.posted
            and date not in keeper.acks
            and not (logged and _over(state, "end"))
        ):
            yield "acknowledges the end", keeper._replace(posted=not logged, acks=_sorted(keeper.acks, date))
        if self.removes and keeper.removal == NEVER:
            words = "cosigns the directory in which the device is removed"
            yield words, keeper._replace(removal=state.now)

    def _date(self, state: State) -> int:
        """The date of what is signed now: the same always where no store is lost, so that all of it counts."""
        return state.now if self.losses else 0

    def _bases(self, state: State, keeper: Keeper) -> list[Head]:
        """The heads that a keeper may be asked to continue: its own, or an earlier one, to fork it."""
        return [keeper.log[:size] for size in range(1, len(keeper.log) + 1)] if self.forks else [keeper.log]

    def _leaves(self, state: State, base: Head) -> Iterator[Leaf]:
        for j in range(1, state.made):
            if Leaf(EVENT, j) not in base:
                yield Leaf(EVENT, j)
        if state.ending and self.ends_in_log and Leaf(END) not in base:
            yield Leaf(END)
        yield from self.readings

    def _return(self, state: State, place: int, keeper: Keeper, rules: Rules) -> Iterator[tuple[str, Keeper]]:
        others = [other for at, other in enumerate(state.keepers) if at != place and other.lost == NEVER]
        if not keeper.asked and rules.allow("ask", state, keeper):
            for count in range(len(others) + 1):
                for asked in combinations(others, count):
                    shown = tuple(Asked(other.log, other.posted) for other in asked)
                    yield f"asks {count} other honest keepers what they hold", keeper._replace(asked=shown)
        if keeper.asked and rules.allow("return", self, state, keeper):
            heads = {FIRST, *(shown.log for shown in keeper.asked)}
            for head, posted in product(sorted(heads), (False, True)):
                if rules.allow("take", keeper, head, posted):
                    back = _signed(keeper._replace(log=head, posted=posted, lost=NEVER, asked=()), state.now)
                    yield f"is back at {_words(head)}{', holding the end' if posted else ''}", back
        if self.n == 1 and not rules.on("explicit order"):
            yield "is back with nothing", _signed(keeper._replace(log=FIRST, lost=NEVER), state.now)

    # What follows at once

    def settle(self, state: State, rules: Rules) -> State:
        """The state with what liars have of it at once: shares, and what has come to its end."""
        counting = self.counting(state, rules)
        keepers = tuple(
            keeper._replace(given=_sorted(keeper.given, *self._gives(state, keeper, counting, rules)))
            for keeper in state.keepers
        )
        state = state._replace(keepers=tuple(sorted(keepers)))
        logged = tuple(sorted({leaf.number for head in counting for leaf in head if leaf.kind == READING}))
        new = [
            Over(what, logged)
            for what in ("end", "rekey", "removal", "expiry")
            if not _over(state, what) and self._is_over(state, what, counting, rules)
        ]
        state = state._replace(over=_sorted(state.over, *new))
        if _over(state, "end"):  # who acknowledged it, and when, matters no more
            state = state._replace(
                keepers=tuple(sorted(keeper._replace(acks=()) for keeper in state.keepers))
            )
        return state

    def _is_over(self, state: State, what: str, counting: list[Head], rules: Rules) -> bool:
        if what == "expiry":
            return state.now >= self.expiry
        if what == "removal":
            return sum(keeper.removal != NEVER for keeper in state.keepers) >= self.needed(rules)
        if what == "rekey":
            return any(leaf.kind == EVENT and self.rekeys[leaf.number] for head in counting for leaf in head)
        acknowledged = self._together([list(keeper.acks) for keeper in state.keepers], rules)
        return acknowledged or any(Leaf(END) in head for head in counting)

    def _gives(self, state: State, keeper: Keeper, counting: list[Head], rules: Rules) -> Iterator[Given]:
        """Every share that ``keeper`` gives, whatever it is shown."""
        if keeper.lost != NEVER:
            return
        signed = sorted({head for other in state.keepers for head, _ in other.signed})
        by_log_only = ((*FIRST, leaf) for leaf in self.readings)
        heads = ((), FIRST, *signed, *by_log_only)  # the empty one: no leaf is shown at all
        places = [
            (head, at)
            for head in heads
            if rules.allow("release: head", keeper, counting, head)
            for at in range(max(1, len(head)))
        ]
        for number, request in enumerate(self.requests):
            if not rules.allow("release: request", request) or not any(
                rules.allow("release: chain", state, keeper, request, whole) for whole in (False, True)
            ):
                continue
            rekeys = {
                self.rekeys[j]
                for j in range(state.made)
                if rules.allow("release: policy", self, state, keeper, request, j, self.rekeys[j])
            }
            if not rekeys or not any(
                rules.allow("release: leaf", number, request, *place) for place in places
            ):
                continue
            for rekey, *choice in product(sorted(rekeys), *SHARES):
                given = Given(*choice, number)
                if given not in keeper.given and rules.allow("release: share", request, given, rekey):
                    yield given

    # Bad states

    def bad(self, state: State, rules: Rules) -> str | None:
        """The first of the bad states that this is."""
        counting = self.counting(state, rules)
        for one, other in combinations(counting, 2):
            if conflict(one, other):
                return "d"
        for (doc, to), requests in sorted(self.opened(state, rules).items()):
            opened = [self.requests[number] for number in requests]
            if any(request.act not in OPENING_ACTS or request.excluded for request in opened):
                return "c"
            if not any(self._found(counting, number, doc) for number in requests):
                return "a"
            for over in state.over:
                if set(over.before) & requests:
                    continue
                if over.what in {"end", "expiry"} or (over.what == "rekey" and doc == "y"):
                    return "b"
                if over.what == "removal" and to == "removed":
                    return "c"
        return None

    def opened(self, state: State, rules: Rules) -> dict[tuple[str, str], set[int]]:
        """What opened, and for whose device: under which requests. Rekey 1 has no wrap of document y."""
        wraps = (("x", 0), ("y", 0), ("x", 1))
        opened: dict[tuple[str, str], set[int]] = {}
        for (doc, rekey), to in product(wraps, ("kept", "removed")):
            by = [
                {given.request for given in keeper.given if given[:4] == ("doc", doc, rekey, to)}
                for keeper in state.keepers
            ]
            if sum(map(bool, by)) >= self.to_open(rules):
                opened[doc, to] = opened.get((doc, to), set()) | set().union(*by)
        return opened

    def _found(self, counting: list[Head], number: int, doc: str) -> bool:
        """Whether the patient finds the reading: under Kg, first in its slot, granted, and opening to this request."""
        two = self.requests[number].two
        return self.requests[number].doc == doc and any(
            leaf == Leaf(READING, number, two) and two != RANDOM and first_in_slot(head, at)
            for head in counting
            for at, leaf in enumerate(head)
        )


def conflict(one: Head, other: Head) -> bool:
    """Whether neither of two heads continues the other."""
    size = min(len(one), len(other))
    return one[:size] != other[:size]


def first_in_slot(head: Head, at: int) -> bool:
    """Whether the leaf at ``at`` is the lowest with its slot two. Another shard is another log."""
    place = (head[at].two, head[at].shard)
    return all((leaf.two, leaf.shard) != place for leaf in head[:at])


def _over(state: State, what: str) -> bool:
    return any(over.what == what for over in state.over)


def _still(keeper: Keeper, now: int) -> Keeper:
    """A keeper at a later time: what it signed before and still holds, it signs again."""
    if keeper.lost != NEVER:
        return keeper
    ends = keeper.posted or Leaf(END) in keeper.log
    acks = _sorted(keeper.acks, now) if keeper.acks and ends else keeper.acks
    return _signed(keeper._replace(acks=acks), now)


def _signed(keeper: Keeper, date: int) -> Keeper:
    """A keeper that has signed its head. The first head was signed by all, and counts anyhow."""
    return (
        keeper if keeper.log == FIRST else keeper._replace(signed=_sorted(keeper.signed, (keeper.log, date)))
    )


def _with(state: State, place: int, keeper: Keeper) -> State:
    others = (*state.keepers[:place], *state.keepers[place + 1 :])
    return state._replace(keepers=tuple(sorted((*others, keeper))))


def _sorted(known: tuple[Any, ...], *new: object) -> tuple[Any, ...]:
    return tuple(sorted({*known, *new}))


def _who(keeper: Keeper) -> str:
    if keeper.lost != NEVER:
        return "the keeper without a store"
    return f"a keeper at {_words(keeper.log)}{', holding the end,' if keeper.posted else ''}"


def _words(head: Head) -> str:
    return "[" + ", ".join(map(_leaf_words, head)) + "]"


def _leaf_words(leaf: Leaf) -> str:
    if leaf.kind == EVENT:
        return f"event {leaf.number}"
    if leaf.kind == COVER:
        return f"cover {leaf.number}"
    if leaf.kind == END:
        return "end"
    where = "" if leaf.two == FOUND else f", slot two {leaf.two}"
    return f"request {leaf.number}{where}{'' if leaf.granted else ', refused'}{'' if leaf.shard == 'own' else ', in another shard'}"
