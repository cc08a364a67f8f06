"""What a device keeps to show it again: bounded, of the very link, and nothing of what was erased."""

from typing import Any

import pytest
from hypothesis import given, settings

from crypto.access_log import Disclosure, ServerPart
from crypto.encoding import decode, encode
from crypto.signing import Envelope, Signature
from crypto.statements import Head
from crypto.wire.losses import Loss
from crypto.wire.messages import LinkSubmission, OpeningQuery, Openings, SealedOpening
from tests.strategies import bodies
from vault_client import kept_entries
from vault_client.declared_losses import loss_of
from vault_client.device_store import DeviceStore
from vault_client.kept_entries import KeptEntries, KeptLink
from vault_client.trust import BelievedHead

LOSSES = (Loss(start=4, end=7, time=1000), Loss(start=9, end=10, time=5000))


def envelope(name: bytes) -> Envelope:
    """Something signed."""
    return Envelope(type="test", body=name, signatures=(Signature(key=bytes(32), signature=bytes(64)),))


def submission(name: bytes, parts: tuple[bytes, ...] = ()) -> LinkSubmission:
    """A link as it was sent."""
    return LinkSubmission(envelope=envelope(name), scan_key=None, tags=(), events=(), parts=parts)


def disclosure(index: int, body: bytes) -> Disclosure:
    """What opens an entry of a link."""
    part = ServerPart(body=envelope(body).digest, time=0, outcome="accepted", prev=bytes(32))
    slots = bytes(32), bytes(32)
    return Disclosure(index, *slots, salt=bytes(32), part=part)


class Api:
    """Shows openings of entries 0 to ``end``, three on each page."""

    def __init__(self, end: int) -> None:
        self.end, self.asked = end, 0

    async def openings(self, query: OpeningQuery) -> Openings:
        """A page of them."""
        self.asked += 1
        shown = range(query.since, min(query.since + 3, self.end))
        found = tuple(SealedOpening(index=index, epoch=0, box=b"sealed") for index in shown)
        return Openings(openings=found, more=query.since + 3 < self.end)


async def taken_in(entries: KeptEntries, api: Any, end: int) -> list[int]:
    """The entries of which openings are kept once they were fetched."""
    await entries.take_in(api, bytes(32), end)
    return sorted(each.index for each in entries.openings())


@settings(max_examples=10)
@given(bodies(KeptLink))
def test_what_is_kept_is_read_as_it_was(kept: KeptLink) -> None:
    """A kept link comes back from its record, and does not print what is in it."""
    assert decode(encode(kept), KeptLink, limit=1 << 24) == kept
    assert repr(kept) == "KeptLink(…)"


def test_a_link_is_kept_with_what_opens_it(store: DeviceStore) -> None:
    """It can be shown once its entries are proved, as that link and no other; what was kept whole is not kept poorer."""
    entries = KeptEntries(store)
    entries.keep_sent(3, submission(b"one", (b"part",)))
    assert entries.link(3, envelope(b"one")) is None
    entries.keep_proved(3, envelope(b"other"), [disclosure(7, b"other")])
    assert entries.link(3, envelope(b"one")) is None
    entries.keep_proved(3, envelope(b"one"), [disclosure(7, b"one")])
    entries.keep_sent(3, submission(b"one"))
    kept = entries.link(3, envelope(b"one"))
    assert kept is not None
    assert kept.submission.parts == (b"part",)
    assert entries.link(3, envelope(b"other")) is None
    assert (entries.last_index(3), entries.last_index(4)) == (7, -1)
    assert entries.disclosed() == {7: (envelope(b"one"), disclosure(7, b"one"))}


def test_a_scan_finds_what_opens_a_link_in_order(store: DeviceStore) -> None:
    """Each entry is kept once, behind the one before it."""
    entries = KeptEntries(store)
    entries.keep_sent(0, submission(b"one"))
    for index in (5, 6, 5, 6):
        entries.keep_found(0, envelope(b"one"), disclosure(index, b"one"))
    kept = entries.link(0, envelope(b"one"))
    assert kept is not None
    assert [each.index for each in kept.disclosures] == [5, 6]


async def test_openings_are_fetched_once_and_the_newest_kept(
    store: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there is place for; none of entries that are not known yet; none that was erased."""
    monkeypatch.setattr(kept_entries, "OPENINGS", 4)
    entries, api = KeptEntries(store), Api(6)
    assert await taken_in(entries, api, 5) == [1, 2, 3, 4]
    assert await taken_in(entries, api, 6) == [2, 3, 4, 5]
    api.asked = 0
    assert await taken_in(entries, api, 6) == [2, 3, 4, 5]
    assert api.asked == 1
    with store.transaction():
        entries.forget({3, 4})
    assert sorted(each.index for each in entries.openings()) == [2, 5]
    with store.transaction():
        entries.forget_all()
    assert await taken_in(entries, api, 2) == [0, 1]


async def test_openings_without_end_end(store: DeviceStore) -> None:
    """A server that always has more is asked for some pages at a time."""
    api = Api(1 << 40)
    await KeptEntries(store).take_in(api, bytes(32), 1 << 41)  # type: ignore[arg-type]
    assert api.asked == kept_entries.PAGES


def test_where_an_entry_is_lost() -> None:
    """In a loss from its start to before its end; not where a head confirmed later did not reach so far."""
    inside = [index for index in range(12) if loss_of(LOSSES, index) is not None]
    assert inside == [4, 5, 6, 9]
    later = BelievedHead(origin="log", head=Head(size=6, root=bytes(32)), time=2000)
    assert [index for index in range(12) if loss_of(LOSSES, index, [later]) is not None] == [9]
    whole = BelievedHead(origin="log", head=Head(size=7, root=bytes(32)), time=2000)
    assert loss_of(LOSSES, 5, [whole]) == LOSSES[0]
