"""Nobody lies: a server that may crash, two devices of a patient, and a reader. Nothing here may be an alarm.

The patient's first device audits, the second writes meanwhile. What a step does is what the programs do between two answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.explore import Rules

LINK, EVENT, END, READING, REFUSED = "link", "event", "end", "request", "refused request"


class Leaf(NamedTuple):
    """A leaf. ``number``: of a link, event or request. ``seen``, ``ghead``: a request's. ``prev``: a link's. ``less``: an
    event's, when it no longer allows what the request asks for.
    """

    kind: str
    number: int
    seen: int = 0
    ghead: int = 0
    prev: int = 0
    less: bool = False


Log = tuple[Leaf, ...]


class Auditor(NamedTuple):
    """The first device: links it knows, what it knew when the audit began, the head it took, what it saw at last."""

    links: int = 1
    held: int = 1
    synced: bool = False
    head: int = -1
    pinned: Log = ()


class Reader(NamedTuple):
    """The reader: its newest head, the one from before it read its mailbox, its newest event, its request."""

    head: int = 0
    before: int = 0
    event: int = 0
    requests: tuple[Leaf, ...] = ()


class Story(NamedTuple):
    """Everything. ``durable``: leaves on disk. ``published``: the newest cosigned head. ``backup``: leaves of a backup."""

    log: Log
    durable: int
    published: int
    auditor: Auditor
    reader: Reader
    backup: int = -1
    crashes: int = 0
    alarm: str = ""


BEGIN: Log = (Leaf(LINK, 0, prev=-1), Leaf(EVENT, 0))


@dataclass(frozen=True)
class Honest:
    """A world. ``links``, ``requests``, ``crashes``: how many at most."""

    name: str
    links: int
    requests: int
    crashes: int

    def first(self) -> Story:
        """A record with one grant, known to all."""
        return Story(BEGIN, 2, 2, Auditor(pinned=BEGIN), Reader(head=2, before=2))

    def steps(self, state: Story, rules: Rules) -> Iterator[tuple[str, Story]]:
        """What can happen next."""
        if state.alarm:
            return
        yield from self._server(state, rules)
        yield from self._writers(state, rules)
        yield from self._reader(state, rules)
        yield from self._audit(state, rules)

    def _server(self, state: Story, rules: Rules) -> Iterator[tuple[str, Story]]:
        size = len(state.log)
        if state.durable < size:
            yield "the server writes to disk", state._replace(durable=size)
        if state.published < size and rules.allow("sign head", state):
            yield f"the server publishes a head of {size}, cosigned", state._replace(published=size)
        if state.crashes < self.crashes:
            if state.durable < size:
                log = state.log[: state.durable]
                yield "the server crashes", state._replace(log=log, crashes=state.crashes + 1)
            if state.backup < 0 and state.durable == size:
                yield "the operator takes a backup", state._replace(backup=size)
            if 0 <= state.backup < size and rules.allow("restore", state):
                back = state._replace(
                    log=state.log[: state.backup], durable=state.backup, published=state.backup
                )
                yield "the operator restores the backup", back._replace(crashes=state.crashes + 1)

    def _writers(self, state: Story, rules: Rules) -> Iterator[tuple[str, Story]]:
        known = len(_links(state.log))
        if known > self.links:
            return
        events = [leaf.number for leaf in state.log if leaf.kind == EVENT]
        ended = any(leaf.kind == END for leaf in state.log)
        yield "the second device writes a link", state._replace(log=_linked(state.log, known - 1))
        if not ended:
            for tagged, words in (
                (Leaf(EVENT, events[-1] + 1), f"writes event {events[-1] + 1}"),
                (Leaf(EVENT, events[-1] + 1, less=True), f"writes event {events[-1] + 1}, which allows less"),
                (Leaf(END, 0), "ends the grant"),
            ):
                yield f"the second device {words}", state._replace(log=_linked(state.log, known - 1, tagged))
        own = state.auditor
        if rules.allow("append", own.links, known):
            counted = own if rules.on("link counts with its receipt") else own._replace(links=known + 1)
            after = state._replace(log=_linked(state.log, own.links - 1), auditor=counted)
            yield "the first device writes a link", after

    def _reader(self, state: Story, rules: Rules) -> Iterator[tuple[str, Story]]:
        reader, events = state.reader, [leaf.number for leaf in state.log if leaf.kind == EVENT]
        if reader.head != state.published:
            words = f"the reader is shown the head of {state.published}"
            yield words, state._replace(reader=reader._replace(head=state.published))
        if (reader.before, reader.event) != (reader.head, events[-1]):
            words = f"the reader reads its mailbox: event {events[-1]}"
            yield words, state._replace(reader=reader._replace(before=reader.head, event=events[-1]))
        if len(reader.requests) < self.requests:
            for seen in sorted({reader.before, reader.head}):
                if rules.allow("request", reader, seen):
                    request = Leaf(READING, len(reader.requests), seen=seen, ghead=reader.event)
                    words = f"the reader signs a request with event {reader.event}, having seen {seen} leaves"
                    yield words, state._replace(reader=reader._replace(requests=(*reader.requests, request)))
        for request in reader.requests:
            if state.log.count(request) > 1 or not rules.allow("log request", state.log, request):
                continue
            if rules.allow("answer request", state.log):
                yield "the server logs the request", state._replace(log=(*state.log, request))
            elif state.log.count(refused := request._replace(kind=REFUSED)) < 1:
                yield (
                    "the server refuses the request, and logs that",
                    state._replace(log=(*state.log, refused)),
                )

    def _audit(self, state: Story, rules: Rules) -> Iterator[tuple[str, Story]]:
        own = state.auditor
        if not own.synced and rules.allow("audit: sync", own):
            shown = state.log[: state.published] if rules.on("links shown when cosigned") else state.log
            synced = own._replace(links=max(own.links, len(_links(shown))), synced=True)
            yield f"the auditor takes in the record: {synced.links} links", state._replace(auditor=synced)
        if own.head < 0 and rules.allow("audit: head", own):
            taken = own._replace(head=state.published)
            yield f"the auditor takes the head of {state.published}", state._replace(auditor=taken)
        if own.synced and own.head >= 0:
            alarm = _judge(own, state.log[: own.head], rules)
            after = Auditor(links=own.links, held=own.links, pinned=state.log[: own.head])
            yield "the auditor judges", state._replace(auditor=after, alarm=alarm)

    def settle(self, state: Story, rules: Rules) -> Story:
        """Where nothing crashes, when it is written to disk does not matter."""
        return state if self.crashes else state._replace(durable=len(state.log))

    def bad(self, state: Story, rules: Rules) -> str | None:
        """An alarm."""
        return "e" if state.alarm else None


def _judge(own: Auditor, log: Log, rules: Rules) -> str:
    """The alarm of an audit under the head over ``log``, if there is one."""
    if len(log) < len(own.pinned):
        return "ROLLBACK"
    links = _links(log)
    if log[: len(own.pinned)] != own.pinned or len({link.prev for link in links}) < len(links):
        return "FORK"
    if len(links) > own.links:
        return "FORK"
    if len(links) < own.held:
        return "UNLOGGED"
    for at, leaf in enumerate(log):
        before = log[:at] if rules.on("judged at its leaf") else log
        if leaf.kind == REFUSED and not rules.on("refused are not judged"):
            return "MISPLACED_BY_READER"
        if leaf.kind == READING and (alarm := _judge_reading(log, at, before)):
            return alarm
    return ""


def _judge_reading(log: Log, at: int, before: Log) -> str:
    request = log[at]
    if request in log[:at]:
        return "REPLAY"
    if any(leaf.kind == END or leaf.less for leaf in before):
        return "OUT_OF_SCOPE"
    if any(leaf.kind == EVENT and leaf.number > request.ghead for leaf in log[: request.seen]):
        return "STALE_VIEW"
    return ""


def _links(log: Log) -> list[Leaf]:
    return [leaf for leaf in log if leaf.kind == LINK]


def _linked(log: Log, prev: int, *tagged: Leaf) -> Log:
    return (*log, Leaf(LINK, len(_links(log)), prev=prev), *tagged)
