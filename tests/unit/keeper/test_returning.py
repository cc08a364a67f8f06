"""One of four keepers loses its store, and comes back from what the three others know."""

import json
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.checkpoint import CosignerKey, claimed_origin, cosignatures
from crypto.encoding import decode
from crypto.errors import (
    BadSignature,
    Damaged,
    NotFound,
    NotPermitted,
    NotProven,
    Refusal,
    Stale,
    TooMany,
    Unreachable,
)
from crypto.evidence import KeeperEvidence
from crypto.sealed.held_ends import HeldEnd, HeldEnds, seal_ends
from crypto.sealing import key_hash
from crypto.signing import Envelope, SigningKey, VerifyKey, sign
from crypto.trust_root import Policy
from crypto.wire.keeper_api import (
    HeadsAnswer,
    HeadsQuery,
    HeadsQuestion,
    IdentityHeadQuery,
    KnownHeads,
    ReleaseQuery,
)
from crypto.wire.messages import Empty, Logged
from tests.interop import evidence_second
from tests.support.keeper_story import SmallGrant, Story
from tests.support.log_server import serving
from tests.support.people import DAY, LOG, NOW, KeeperKeys, fresh
from tests.support.several_keepers import SeveralKeepers, several_keepers
from tests.support.small_log import random_leaf
from vault_client.evidence_check import check_evidence
from vault_client.evidence_proofs import TWO_HEADS, proofs_in
from vault_server.keeper import returning as returning_module
from vault_server.keeper.app import make_app
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.evidence import Contradiction
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.keys import load_keys
from vault_server.keeper.known_heads import ASKED
from vault_server.keeper.other_keepers import HttpOtherKeeper
from vault_server.keeper.returning import SILENCE, Returning
from vault_server.keeper.witness import Witness


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[SeveralKeepers]:
    """Four keepers that all cosigned the same heads of a directory and a log of 300 entries."""
    async with several_keepers(tmp_path, 3, 4) as several:
        several.service.shard.fill(300)
        for origin in several.service.logs:
            await several.publish(origin)
        yield several


async def granted(four: SeveralKeepers) -> Story:
    """A patient's grant, as keeper 0 knows it."""
    keeper = four.keepers[0]
    assert keeper is not None
    story = Story(four.service, keeper, four.cards[0], four.time)
    story.maker = SmallGrant(four.service, story.reader)
    story.log_event(0)
    await four.publish(four.service.directory.origin)
    await four.publish()
    return story


def at(story: Story, four: SeveralKeepers, number: int) -> Story:
    """The same story as it is told to another keeper."""
    keeper = four.keepers[number]
    assert keeper is not None
    story.keeper, story.card = keeper, four.cards[number]
    return story


async def ask_all(four: SeveralKeepers, keeper: Keeper) -> list[Callable[[], Any]]:
    """Everything that can be asked of a keeper that is silent."""
    story = await granted(four)
    story = at(story, four, 3)
    query = HeadsQuery(envelope=_question(four, 0, 3))
    request = four.service.shard.extension(0)
    return [
        lambda: keeper.add_checkpoint(request.encode()),
        lambda: keeper.end(story.end_post()),
        lambda: keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain)),
        lambda: keeper.known_heads(query),
    ]


def _question(four: SeveralKeepers, by: int, to: int, **changes: Any) -> Envelope:
    question = HeadsQuestion(
        asker=key_hash(four.cards[by].sealing_key),
        asked=key_hash(four.cards[to].sealing_key),
        trust_root=four.service.accepted.ref,
        nonce=fresh(),
    )
    body = msgspec.structs.replace(question, **changes)
    return sign(labels.HEADS_QUESTION, body, load_keys(four.data(by)).cosigning)


async def test_it_is_silent_and_then_comes_back(four: SeveralKeepers) -> None:
    """For 30 minutes it answers nothing; then it takes the others' heads, goes on from them, and remembers that it is back."""
    keeper = await four.lose(3)
    questions = await ask_all(four, keeper)
    assert not keeper.ready
    assert (await keeper.card(Empty())).name == "keeper-3"
    four.time.now += SILENCE - 1
    with pytest.raises(Unreachable, match="30 minutes"):
        await keeper.come_back()
    for question in questions:
        with pytest.raises(Unreachable, match="has come back"):
            await question()
    with pytest.raises(Unreachable):
        keeper.cosigned_checkpoint("0" * 64)
    assert four.asked == []
    four.time.now += 1
    await keeper.come_back()
    assert keeper.ready
    four.service.shard.fill(2)
    note = await four.publish()
    own = CosignerKey("keeper-3", VerifyKey(four.cards[3].cosigning_key))
    assert list(cosignatures(note, [own]).values()) == [NOW + SILENCE]
    await four.close(3)
    again = await four.open(3)
    assert again.ready


async def test_a_restart_begins_the_silence_anew(four: SeveralKeepers) -> None:
    """Started again within the 30 minutes, it waits for 30 more."""
    await four.lose(3)
    four.time.now += SILENCE - 1
    await four.close(3)
    keeper = await four.open(3)
    four.time.now += SILENCE - 1
    with pytest.raises(Unreachable, match="30 minutes"):
        await keeper.come_back()
    four.time.now += 1
    await keeper.come_back()


async def test_it_takes_the_highest_head(four: SeveralKeepers) -> None:
    """Where the others are not equally far, it goes on from the one that is furthest."""
    keeper = await four.lose(3)
    for number in (1, 2):
        four.service.shard.fill(700)
        await four.publish(to=list(range(number, 3)))
    four.time.now += SILENCE
    await keeper.come_back()
    log = keeper._logs.get(LOG)
    assert log is not None
    assert log.row.size == 1700


async def lost_after_an_end(four: SeveralKeepers) -> tuple[Story, Keeper]:
    """Three keepers acknowledge an end that the server never logs, and one of them loses its store."""
    story = await granted(four)
    for number in (1, 2, 3):
        await at(story, four, number).keeper.end(story.end_post())
    keeper = await four.lose(3)
    four.time.now += SILENCE
    return story, keeper


async def asked_to_open(story: Story, four: SeveralKeepers) -> ReleaseQuery:
    """A request of now, logged in spite of the end, as keeper 3 is asked to release for it."""
    request = story.request()
    envelope = story.signed(request)
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    receipt = four.service.shard.receipt(
        disclosure.index, await four.publish(), len(four.service.shard.leaves)
    )
    return at(story, four, 3).question(envelope, Logged(receipt=receipt, disclosure=disclosure))


async def test_a_forgotten_end_holds_when_it_is_back(four: SeveralKeepers) -> None:
    """An end that it acknowledged, and that no log shows, is shown by the others, and it releases nothing."""
    story, keeper = await lost_after_an_end(four)
    await keeper.come_back()
    with pytest.raises(NotFound):
        await keeper.release(await asked_to_open(story, four))


async def test_without_taking_ends_a_forgotten_end_is_forgotten(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: where ends are not taken over, it releases what it had acknowledged to be ended."""

    async def nothing(self: Returning, end: HeldEnd) -> None:
        return None

    monkeypatch.setattr(Returning, "_held", nothing)
    story, keeper = await lost_after_an_end(four)
    await keeper.come_back()
    assert await keeper.release(await asked_to_open(story, four))


async def test_an_end_of_no_grant_is_not_taken(four: SeveralKeepers) -> None:
    """An end that another keeper made up, for a grant that no log has, is left out, and the return goes on."""

    def lie(answer: HeadsAnswer) -> HeadsAnswer:
        del four.answers[0]
        known = decode(answer.envelope.body, KnownHeads)
        false = HeldEnds(ends=(HeldEnd(origin=LOG, gid=fresh(), j=0, end_key=fresh()),))
        box = seal_ends(false, four.cards[3].sealing_key, known.question)
        body = msgspec.structs.replace(known, ends=box)
        return HeadsAnswer(envelope=sign(labels.KNOWN_HEADS, body, load_keys(four.data(0)).cosigning))

    keeper = await four.lose(3)
    four.answers[0] = lie
    four.time.now += SILENCE
    await keeper.come_back()
    assert (await keeper._known_heads._store.heads_and_ends(b"", 9))[1] == []


async def test_one_that_is_needed_and_down_keeps_it_silent(four: SeveralKeepers) -> None:
    """With one of the three others down it stays silent and names it; when that is back, so is this one."""
    keeper = await four.lose(3)
    await four.close(1)
    four.time.now += SILENCE
    with pytest.raises(Unreachable, match=r"\(3\).*rightly: keeper-1\."):
        await keeper.come_back()
    assert not keeper.ready
    await four.open(1)
    await keeper.come_back()
    assert keeper.ready


async def fork(four: SeveralKeepers) -> Keeper:
    """Keepers 1 and 2 go on; keeper 0, once robbed of its store, is on a branch of one size with them, and 3 lost all."""
    keeper = await four.lose(3)
    honest = list(four.service.shard.leaves)
    four.service.shard.leaves = [*honest, random_leaf()]
    await four.publish(to=[0])
    four.service.shard.leaves = [*honest, random_leaf(), random_leaf()]
    await four.publish(to=[1, 2])
    four.time.now += SILENCE
    return keeper


async def test_a_contradiction_is_kept_and_only_a_new_trust_root_helps(four: SeveralKeepers) -> None:
    """Heads of two branches: it says so, stays silent, and its file proves the fork to anybody; a new trust root is asked by."""
    keeper = await fork(four)
    with pytest.raises(Contradiction, match="contradict"):
        await keeper.come_back()
    assert not keeper.ready
    (path,) = (four.data(3) / "evidence").iterdir()
    assert json.loads(four.output[3].getvalue().splitlines()[-1])["file"] == f"evidence/{path.name}"
    checked = check_evidence(path.read_bytes(), four.service.card.root)
    assert proofs_in(checked) == [TWO_HEADS]
    assert isinstance(checked.evidence, KeeperEvidence)
    assert evidence_second.judge(path.read_bytes(), four.service.card.root.digest) == {"two heads"}
    await four.close(0)
    await four.open(0)
    with pytest.raises(NotProven, match="new trust root"):
        await keeper.come_back()
    first, *rest = four.service.root.keepers
    retired = msgspec.structs.replace(first, retired_until=NOW + DAY)
    four.service.next_root(
        keepers=(retired, *rest, KeeperKeys().named("fifth")), policies=(Policy(k=3, n=4),)
    )
    with pytest.raises(Unreachable, match="fifth"):
        await keeper.come_back()


async def test_without_comparing_heads_it_comes_back_on_a_branch(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: with the comparison removed it takes one branch, and signs against the other that it had signed."""
    keeper = await fork(four)

    async def highest_only(self: Witness, origin: str, shown: Any) -> None:
        notes = sorted(shown, key=lambda note: int(note.split(b"\n")[1]))
        await honest(self, origin, notes[-1:])

    honest = Witness.resume
    monkeypatch.setattr(Witness, "resume", highest_only)
    await keeper.come_back()
    assert keeper.ready


@pytest.mark.parametrize("silence", [SILENCE, 0])
async def test_the_silence_and_asking_after_it(
    four: SeveralKeepers, monkeypatch: pytest.MonkeyPatch, silence: int
) -> None:
    """Asked after the silence the others show what they signed meanwhile; the twin without it comes back without that."""
    monkeypatch.setattr(returning_module, "SILENCE", silence)
    keeper = await four.lose(3)
    if silence == 0:
        await keeper.come_back()
    four.service.shard.fill(5)
    await four.publish(to=[0, 1, 2])
    four.time.now += SILENCE
    if silence:
        await keeper.come_back()
    log = keeper._logs.get(LOG)
    assert log is not None
    assert log.row.size == (305 if silence else 300)


async def test_an_earlier_answer_does_not_count(four: SeveralKeepers) -> None:
    """What another keeper signed before, for another question, is not taken for its answer now."""
    keeper = await four.lose(3)
    first = four.keepers[0]
    assert first is not None
    old = await first.known_heads(HeadsQuery(envelope=_question(four, 3, 0)))
    four.answers[0] = lambda _: old
    four.time.now += SILENCE
    with pytest.raises(Unreachable, match="keeper-0"):
        await keeper.come_back()


WRONG: list[tuple[Callable[[SeveralKeepers], Envelope], type[Refusal]]] = [
    (lambda four: _question(four, 3, 0, asked=fresh()), NotPermitted),
    (lambda four: _question(four, 3, 0, asker=fresh()), NotPermitted),
    (lambda four: _question(four, 0, 0), NotPermitted),
    (lambda four: _question(four, 3, 0, asker=key_hash(four.cards[2].sealing_key)), BadSignature),
    (
        lambda four: sign(
            labels.HEADS_QUESTION, decode(_question(four, 3, 0).body, HeadsQuestion), SigningKey.generate()
        ),
        BadSignature,
    ),
    (
        lambda four: sign(
            labels.IDHEAD,
            decode(_question(four, 3, 0).body, HeadsQuestion),
            load_keys(four.data(3)).cosigning,
        ),
        BadSignature,
    ),
]


@pytest.mark.parametrize(
    "made", WRONG, ids=["to-another", "by-nobody", "by-itself", "as-another", "unsigned", "label"]
)
async def test_only_keepers_are_answered(
    four: SeveralKeepers, made: tuple[Callable[[SeveralKeepers], Envelope], type[Refusal]]
) -> None:
    """A question not signed by a live keeper, or for somebody else, is refused."""
    keeper = four.keepers[0]
    assert keeper is not None
    with pytest.raises(made[1]):
        await keeper.known_heads(HeadsQuery(envelope=made[0](four)))


async def test_a_question_is_answered_once_and_by_the_newest_trust_root(four: SeveralKeepers) -> None:
    """The same question again is refused, and so is one by an older trust root."""
    keeper = four.keepers[0]
    assert keeper is not None
    query = HeadsQuery(envelope=_question(four, 3, 0))
    answer = await keeper.known_heads(query)
    known = decode(answer.envelope.body, KnownHeads)
    assert sorted(map(claimed_origin, known.heads)) == sorted(four.service.logs)
    with pytest.raises(TooMany):
        await keeper.known_heads(query)
    four.service.next_root()
    await keeper.refresh_trust()
    with pytest.raises(Stale):
        await keeper.known_heads(HeadsQuery(envelope=_question(four, 3, 0)))


async def test_a_keeper_that_asks_without_end_waits(four: SeveralKeepers) -> None:
    """After many questions at once it is refused until time has passed; what others ask is answered all the same."""
    keeper = four.keepers[0]
    assert keeper is not None
    for _ in range(ASKED.at_once):
        await keeper.known_heads(HeadsQuery(envelope=_question(four, 3, 0)))
    query = HeadsQuery(envelope=_question(four, 3, 0))
    with pytest.raises(TooMany, match="Too many requests"):
        await keeper.known_heads(query)
    await keeper.known_heads(HeadsQuery(envelope=_question(four, 2, 0)))
    four.time.now += 1
    await keeper.known_heads(query)


async def test_a_keeper_is_asked_over_http(four: SeveralKeepers) -> None:
    """At the address of the trust root, as another program; a refusal there is as good as silence, and nobody there too."""
    first = four.keepers[0]
    assert first is not None
    async with serving(make_app(first, EventLog(StringIO()))) as url:
        named = msgspec.structs.replace(four.service.root.keepers[0], url=url)
        other = HttpOtherKeeper(named)
        answer = await other.known_heads(HeadsQuery(envelope=_question(four, 3, 0)))
        assert decode(answer.envelope.body, KnownHeads).heads
        with pytest.raises(Unreachable, match="403"):
            await other.known_heads(HeadsQuery(envelope=_question(four, 3, 2)))
    with pytest.raises(Unreachable):
        await other.known_heads(HeadsQuery(envelope=_question(four, 3, 0)))
    with pytest.raises(NotPermitted):
        HttpOtherKeeper(msgspec.structs.replace(named, url="http://keeper.example"))


async def test_the_last_of_several_keepers_goes_on_by_order(four: SeveralKeepers) -> None:
    """Once the three others have retired there is nobody to ask: the operator's order decides, as with an only keeper."""
    await four.close(3)
    for path in four.data(3).glob("keeper.db*"):
        path.unlink()
    *others, last = four.service.root.keepers
    retired = [msgspec.structs.replace(each, retired_until=NOW + DAY) for each in others]
    four.service.next_root(keepers=(*retired, last), policies=(Policy(k=3, n=4), Policy(k=1, n=1)))
    with pytest.raises(Damaged, match="--accept-lost-store"):
        await four.open(3)
    opening = Keeper.open(
        four.data(3),
        four.service.card,
        four.service,
        events=EventLog(StringIO()),
        clock=four.time.clock,
        accept_lost_store=True,
    )
    async with opening as keeper:
        await keeper.refresh_trust()
        assert keeper.ready
