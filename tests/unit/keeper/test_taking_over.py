"""What a keeper takes over from others: every end however many there are, and what keepers of before know when it is new."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.encoding import decode
from crypto.errors import Damaged, NotFound, NotProven, Unreachable
from crypto.locators import event_tag
from crypto.sealed.held_ends import HeldEnd, HeldEnds, seal_ends
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from crypto.statements import RootRef
from crypto.trust_root import Policy
from crypto.wire.keeper_api import HeadsAnswer, KnownHeads
from crypto.wire.messages import Logged
from tests.support.keeper_story import SmallGrant, Story
from tests.support.people import DAY, LOG, NOW, fresh
from tests.support.several_keepers import SeveralKeepers, several_keepers
from tests.support.small_log import random_leaf
from vault_server.keeper import known_heads as known_heads_module
from vault_server.keeper import returning as returning_module
from vault_server.keeper import store as store_module
from vault_server.keeper import trust as trust_module
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.keys import load_keys
from vault_server.keeper.mirror import STEP
from vault_server.keeper.returning import REST, SILENCE, Returning
from vault_server.keeper.rows import HeldPost
from vault_server.limits import Buckets
from vault_server.settings import Rate

FLOOD = 20


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[SeveralKeepers]:
    """Four keepers that follow one service."""
    async with several_keepers(tmp_path, 3, 4) as several:
        for origin in several.service.logs:
            await several.publish(origin)
        yield several


def on(several: SeveralKeepers, number: int) -> Keeper:
    """A keeper that is up."""
    keeper = several.keepers[number]
    assert keeper is not None
    return keeper


async def granted(several: SeveralKeepers) -> Story:
    """A grant that every keeper knows."""
    story = Story(several.service, on(several, 0), several.cards[0], several.time)
    story.maker = SmallGrant(several.service, story.reader)
    story.log_event(0)
    for origin in several.service.logs:
        await several.publish(origin)
    return story


def told(story: Story, several: SeveralKeepers, number: int) -> Story:
    """The same story as it is told to another keeper."""
    story.keeper, story.card = on(several, number), several.cards[number]
    return story


async def post_end(story: Story, several: SeveralKeepers, *numbers: int) -> None:
    """The patient's end, which the server hides from the log."""
    for number in numbers:
        await told(story, several, number).keeper.end(story.end_post())


async def flood(several: SeveralKeepers, *numbers: int) -> None:
    """Somebody logs many grants and ends each at the keepers only."""
    made = [HeldEnd(origin=LOG, gid=fresh(), j=0, end_key=fresh()) for _ in range(FLOOD)]
    for end in made:
        several.service.shard.append(random_leaf(event_tag(SecretBytes(end.end_key), LOG, end.gid, 0)))
    await several.publish()
    for number in numbers:
        ends = on(several, number)._ends
        log = ends._logs.get(LOG)
        assert log is not None
        await ends._store.add_ends([await ends.check(log.row, end) for end in made])


async def asked_of(story: Story, several: SeveralKeepers, number: int) -> Any:
    """What a keeper answers to a request of now, logged in spite of the end."""
    request = story.request()
    envelope = story.signed(request)
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    shard = several.service.shard
    receipt = shard.receipt(disclosure.index, await several.publish(), len(shard.leaves))
    proof = Logged(receipt=receipt, disclosure=disclosure)
    told(story, several, number)
    return await story.keeper.release(story.question(envelope, proof))


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_flood_of_ends_hides_none(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """More ends than one answer holds are shown in as many as it takes; the twin takes the first answer for all there are."""
    monkeypatch.setattr(known_heads_module, "SHOWN", 3)
    story = await granted(four)
    story.maker.end_key = highest_tag(story.maker)
    story.log_event(0)
    await flood(four, 0, 1, 2, 3)
    await post_end(story, four, 1, 2, 3)
    if is_twin:
        monkeypatch.setattr(Returning, "_ask_for_ends", first_only)
    keeper = await four.lose(3)
    four.time.now += SILENCE
    await keeper.come_back()
    assert len(held(keeper)) == (3 if is_twin else FLOOD + 1)
    if is_twin:
        assert await asked_of(story, four, 3)
    else:
        with pytest.raises(NotFound):
            await asked_of(story, four, 3)


@pytest.mark.parametrize("is_twin", [False, True])
async def test_who_has_many_pages_to_ask_for_rests(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A flood of ends is taken over within what a keeper answers; the twin, which does not rest, is refused as too many."""
    monkeypatch.setattr(known_heads_module, "SHOWN", 3)
    monkeypatch.setattr(returning_module, "STRETCH", 99 if is_twin else 2)
    await flood(four, 0, 1, 2, 3)
    for number in range(3):
        on(four, number)._known_heads._asked = Buckets(Rate(1, 4), lambda: four.time.now)
    keeper = await four.lose(3)
    four.time.now += SILENCE
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        four.time.now += seconds

    monkeypatch.setattr(returning_module, "asyncio", SimpleNamespace(sleep=rest, gather=asyncio.gather))
    if is_twin:
        with pytest.raises(Unreachable):
            await keeper.come_back()
        return
    await keeper.come_back()
    assert len(held(keeper)) == FLOOD
    assert set(rests) == {REST}


def highest_tag(maker: SmallGrant) -> SecretBytes:
    """An end key whose tag comes behind most others."""
    while maker.end_tag[0] < 0xF0:
        maker.end_key = SecretBytes.random()
    return maker.end_key


async def first_only(returning: Returning, keeper: Any) -> Any:
    """The twin: what is shown first is all that is taken."""
    shown = await returning._ask(keeper)
    found = [await returning._held(end) for end in shown.ends.values()]
    await returning._store.add_ends([end for end in found if end is not None])
    return shown


def held(keeper: Keeper) -> list[Any]:
    """The ends that a keeper holds."""
    return keeper._ends._store._reader.all("SELECT * FROM ends")


async def test_an_end_logged_while_ends_are_shown_is_not_lost(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that leaves a keeper's store before its turn comes stands in the log under the head that is shown last."""
    monkeypatch.setattr(known_heads_module, "SHOWN", 3)
    story = await granted(four)
    story.maker.end_key = highest_tag(story.maker)
    story.log_event(0)
    await flood(four, 0, 1, 2)
    await post_end(story, four, 0, 1, 2)
    keeper = await four.lose(3)
    four.time.now += SILENCE
    original, logged = Returning._ask, []

    async def asked(self: Returning, named: Any, after: bytes = b"") -> Any:
        shown = await original(self, named, after)
        if after and not logged:
            logged.append(four.service.shard.append(random_leaf(story.maker.end_tag)))
            await four.publish(to=[0, 1, 2])
        return shown

    monkeypatch.setattr(Returning, "_ask", asked)
    await keeper.come_back()
    log = keeper._logs.get(LOG)
    assert log is not None
    assert await keeper._logs.places(log.row, [story.maker.end_tag]) == {story.maker.end_tag: logged[0]}


LIES: dict[str, Callable[[list[HeldEnd]], list[HeldEnd]]] = {
    "again": lambda ends: ends,
    "endless": lambda _: [HeldEnd(origin=LOG, gid=fresh(), j=0, end_key=fresh())],
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_keeper_that_goes_on_for_ever_is_left(four: SeveralKeepers, lie: str) -> None:
    """One that shows the same ends again, or ever more that it made up, is as good as silent; the control is believed."""
    story = await granted(four)
    await post_end(story, four, 0, 1, 2)
    keeper = await four.lose(3)
    key = load_keys(four.data(0)).cosigning
    first: list[HeldEnd] = []

    def changed(answer: HeadsAnswer) -> HeadsAnswer:
        _, query = four.asked[-1]
        known = decode(answer.envelope.body, KnownHeads)
        after = getattr(query, "after", b"")
        about = (known.question, after) if after else (known.question,)
        made = HeldEnds(ends=tuple(LIES[lie](first)))
        box = seal_ends(made, four.cards[3].sealing_key, *about)
        return HeadsAnswer(envelope=sign(labels.KNOWN_HEADS, msgspec.structs.replace(known, ends=box), key))

    first.append(HeldEnd(origin=LOG, gid=story.maker.gid, j=0, end_key=story.maker.end_key.reveal()))
    four.answers[0] = changed
    four.time.now += SILENCE
    with pytest.raises(Unreachable, match="keeper-0"):
        await keeper.come_back()
    del four.answers[0]
    await keeper.come_back()
    assert keeper.ready


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_draft_is_no_log(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """An end posted while the server shows it among entries that it then takes back is held all the same.

    The twin takes what was fetched for logged: the end is acknowledged, and forgotten with the draft.
    """
    if is_twin:
        monkeypatch.setattr(store_module, "_add_end", without_size)
    story = await granted(four)
    keeper, log = on(four, 3), four.service.shard
    honest = list(log.leaves)
    log.append(random_leaf(story.maker.end_tag))
    log.fill(STEP + 512)
    request = log.extension(len(honest))
    log.leaves[-1] = random_leaf()  # not what the head was signed for
    shown = four.service.bundle

    async def bundle(origin: str, tile: Any) -> bytes:
        if tile.n * 256 > STEP + 255:
            await post_end(story, four, 3)
        return await shown(origin, tile)

    monkeypatch.setattr(four.service, "bundle", bundle)
    with pytest.raises(NotProven):
        await keeper.add_checkpoint(request.encode())
    log.leaves = honest
    if is_twin:
        assert await asked_of(story, four, 3)
    else:
        with pytest.raises(NotFound):
            await asked_of(story, four, 3)


def without_size(db: Any, end: HeldPost) -> None:
    """The twin: any entry that was fetched counts."""
    db.all(
        "INSERT INTO ends (log, tag, post) SELECT ?1, ?2, ?3 "
        "WHERE NOT EXISTS (SELECT 1 FROM slots WHERE log = ?1 AND slot = ?2) ON CONFLICT DO NOTHING",
        *(end.log, end.tag, end.post),
    )


@pytest.fixture
async def five(tmp_path: Path) -> AsyncIterator[SeveralKeepers]:
    """Four keepers, and a fifth that the trust root does not name yet and that has not been started."""
    async with several_keepers(tmp_path, 3, 4, more=1) as several:
        for origin in several.service.logs:
            await several.publish(origin)
        yield several


def name_the_fifth(several: SeveralKeepers, retired: int, until: int = NOW + 400 * DAY) -> None:
    """The next trust root: the fifth keeper in the place of one of the four."""
    keepers = list(several.service.root.keepers)
    keepers[retired] = msgspec.structs.replace(keepers[retired], retired_until=until)
    fifth = several.named(4)
    several.service.next_root(keepers=(*keepers, fifth), policies=(Policy(k=3, n=4),))
    several.time.now += 2  # each asks the server for it at most once a second


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_new_keeper_knows_the_ends_of_before(
    five: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """An end that two live keepers and one that retires acknowledged holds at the keeper named in its place.

    Until it has asked it answers nothing. The twin begins with nothing, and does not know of the end.
    """
    story = await granted(five)
    await post_end(story, five, 0, 2, 3)
    name_the_fifth(five, 2)
    if is_twin:
        monkeypatch.setattr(Returning, "before", None)
    keeper = await five.open(4)
    if is_twin:
        assert keeper.ready
        assert held(keeper) == []
        return
    assert not keeper.ready
    with pytest.raises(Unreachable, match="is new"):
        await keeper.end(story.end_post())
    await keeper.come_back()
    assert keeper.ready
    assert [tag for _, tag, _ in held(keeper)] == [story.maker.end_tag]
    await five.close(4)
    assert (await five.open(4)).ready


async def test_a_new_keeper_needs_a_quorum_of_those_before(five: SeveralKeepers) -> None:
    """With two of four down it does not begin; the retired one counts as long as it answers."""
    name_the_fifth(five, 2)
    keeper = await five.open(4)
    await five.close(0)
    await five.close(1)
    with pytest.raises(Unreachable, match=r"is new.*\(3\).*keeper-0, keeper-1\."):
        await keeper.come_back()
    await five.open(1)
    await keeper.come_back()
    assert keeper.ready


async def test_a_time_that_is_over_excuses_nobody(five: SeveralKeepers) -> None:
    """An operator who lets the time of the retired keeper be over from the start does not keep the new one from asking it."""
    name_the_fifth(five, 2, until=1)
    keeper = await five.open(4)
    await five.close(1)
    await five.close(2)
    with pytest.raises(Unreachable, match=r"\(3\).*keeper-1, keeper-2\."):
        await keeper.come_back()
    await five.open(2)
    await keeper.come_back()
    assert keeper.ready


async def test_a_keeper_of_the_first_trust_root_asks_nobody(five: SeveralKeepers) -> None:
    """Those that founded the service are ready at once, and under later trust roots too."""
    name_the_fifth(five, 2)
    for number in range(4):
        await on(five, number).refresh_trust()
        assert on(five, number).ready
    assert five.asked == []


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_later_card_makes_no_founder(
    five: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A card that pins the version which first names the keeper leaves out nobody who was one before, nor does a server.

    Shown the trust roots from its card's on only, it believes none; the twin takes itself for a founder.
    """
    name_the_fifth(five, 2)
    newest = five.service.chain[-1]
    pinned = msgspec.structs.replace(five.service.card, root=RootRef(version=2, digest=newest.digest))
    five.service.pinned = pinned
    shown, five.service.chain = five.service.chain, [newest]
    if is_twin:
        monkeypatch.setattr(trust_module, "_check_from_first", lambda _: None)
    keeper = await five.open(4)
    assert (keeper.has_trust_root, keeper.ready) == (is_twin, is_twin)
    if not is_twin:
        five.service.chain = shown
        await keeper.refresh_trust()
        assert (keeper.has_trust_root, keeper.ready) == (True, False)


async def test_a_card_of_another_service_is_refused(five: SeveralKeepers) -> None:
    """Trust roots that do not lead through the one that the card pins are not believed, however well they are signed."""
    five.service.pinned = msgspec.structs.replace(five.service.card, root=RootRef(version=1, digest=fresh()))
    keeper = await five.open(4)
    assert not keeper.has_trust_root


async def test_a_lost_store_of_a_new_keeper_is_a_lost_store(five: SeveralKeepers) -> None:
    """A keeper that had begun and lost its store is silent for 30 minutes, as any other."""
    name_the_fifth(five, 2)
    keeper = await five.open(4)
    await keeper.come_back()
    keeper = await five.lose(4)
    with pytest.raises(Unreachable, match="30 minutes"):
        await keeper.come_back()
    with pytest.raises(Damaged):
        await store_module.Store.open(five.data(4), fresh())
