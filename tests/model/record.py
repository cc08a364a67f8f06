"""A patient's record with two devices, one of which is stolen, and then removed, while the server is the thief's.

The thief knows what its device knew, and signs as it, with any head of the directory that the server shows it. What it must
not do: open what was added, or change the record, after the removal stands in the record that the other device has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.explore import Rules

THIEF, OWNER = "the removed device", "the patient's device"


class Link(NamedTuple):
    """A link of the record: who signed it, at which head of the directory, and what it does.

    ``key``: the epoch whose secret is made, or under which a document or a grant's rekey is. The thief knows epoch 0.
    """

    by: str
    dir: int
    what: str
    key: int


class Chain(NamedTuple):
    """The record as the honest device believes it. ``removed``: whether the removal is in the directory."""

    links: tuple[Link, ...] = ()
    removed: bool = False


@dataclass(frozen=True)
class Record:
    """A world. ``longest``: links of the chain."""

    name: str
    longest: int

    def first(self) -> Chain:
        """A record in epoch 0, with both devices live."""
        return Chain()

    def steps(self, state: Chain, rules: Rules) -> Iterator[tuple[str, Chain]]:
        """What either device can do."""
        if not state.removed:
            yield "the patient removes the stolen device", state._replace(removed=True)
        if len(state.links) >= self.longest:
            return
        newest, epoch = int(state.removed), _epoch(state)
        links = [
            Link(by, dir_, what, key)
            for by in (THIEF, OWNER)
            for dir_ in range(newest + 1)
            for what in ("add", "rotate", "grant")
            for key in (0, 1)
        ]
        for link in links:
            honest = link.by == OWNER
            if honest and link.dir != newest:
                continue
            if link.what == "rotate" and (epoch == 1 or link.key != 1 or not honest):
                continue  # the thief lacks the secrets which a new keyring must hold
            if honest and not rules.allow("sign", state, link, epoch):
                continue
            if rules.allow("link", state, link, epoch):
                yield (
                    f"{link.by} signs '{_said(link)}' at directory head {link.dir}",
                    state._replace(links=(*state.links, link)),
                )

    def settle(self, state: Chain, rules: Rules) -> Chain:
        """Nothing more."""
        return state

    def bad(self, state: Chain, rules: Rules) -> str | None:
        """A removed device opens what was added after it was removed, or its link is believed then."""
        removed = False
        for link in state.links:
            removed = removed or link.dir == 1
            if link.by == THIEF and removed:
                return "f"
            if removed and link.by == OWNER and link.what in {"add", "grant"} and link.key == 0:
                return "c"
        return None


def _epoch(state: Chain) -> int:
    return int(any(link.what == "rotate" for link in state.links))


def _said(link: Link) -> str:
    return {
        "add": f"add a document under epoch {link.key}",
        "rotate": "a new epoch, 1",
        "grant": f"a grant's event keyed from epoch {link.key}",
    }[link.what]
