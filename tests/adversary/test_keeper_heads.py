"""A keeper that is asked by the patient itself shows which log it was shown; the server cannot choose what it says."""

import msgspec
import pytest

from crypto.errors import Unreachable
from tests.adversary.forged_log import ForgedLog, random_leaf
from tests.adversary.story import Story
from tests.adversary.test_evidence import proven
from vault_client import audit
from vault_client import evidence_proofs as proofs
from vault_client.keeper_heads import SHOWN_WITHIN, HeadAhead, compare_with_keeper
from vault_client.trust import believe_note


async def codes(story: Story) -> list[str]:
    """What an audit raises."""
    return [alarm.code for alarm in (await story.patient.log()).alarms]


async def shown_to_keeper(story: Story, *, other: int | None, more: int = 0, less: int = 0) -> ForgedLog:
    """The keeper was shown another log: ``other`` is the place of a leaf that differs; it is so much longer or shorter."""
    forged = await ForgedLog.after(story)
    if other is not None:
        forged.leaves[other] = random_leaf()
    forged.leaves += [random_leaf() for _ in range(more)]
    forged.leaves = forged.leaves[: len(forged.leaves) - less]
    note = forged.note()
    story.patient_keeper.tamper("checkpoint", lambda _: note)
    return forged


def long_ago(story: Story) -> None:
    """Make the keeper's longer head one that was met twenty minutes ago."""
    store, name = story.patient._store, f"ahead/{story.origin}"
    ahead = store.get(name, HeadAhead)
    assert ahead is not None
    store.put(name, msgspec.structs.replace(ahead, met=ahead.met - SHOWN_WITHIN))


async def test_an_honest_keeper_agrees(story: Story) -> None:
    """At every audit the keeper is asked about the record's log, and what it says raises nothing."""
    assert await codes(story) == []
    await story.add(b"One more entry. " * 9, "more.txt")
    assert await codes(story) == []
    assert story.patient_keeper.asked("checkpoint") == [story.origin] * 2
    await shown_to_keeper(story, other=None, less=1)
    assert await codes(story) == []


@pytest.mark.parametrize("less", [0, 1])
async def test_a_keeper_that_was_shown_another_log_tells(story: Story, less: int) -> None:
    """Two heads, both signed by the log, that contradict each other: FORK, with a proof for anybody."""
    await shown_to_keeper(story, other=0, less=less)
    assert await codes(story) == ["FORK"]
    assert proven(story, "FORK") == [proofs.TWO_HEADS]


async def test_a_longer_log_of_a_keeper_is_compared_when_the_server_gets_there(story: Story) -> None:
    """What the keeper knows beyond the server's head is kept, and is a fork as soon as the server shows another."""
    await shown_to_keeper(story, other=None, more=1)
    assert await codes(story) == []
    story.patient_keeper.be_honest()
    await story.add(b"One more entry. " * 9, "more.txt")
    assert await codes(story) == ["FORK"]
    assert proven(story, "FORK") == [proofs.TWO_HEADS]


async def test_a_log_that_the_server_does_not_come_to_show_is_stale(story: Story) -> None:
    """A server that goes on showing an older log than a keeper's is told on after twenty minutes, and not before."""
    await shown_to_keeper(story, other=None, more=1)
    assert await codes(story) == []
    assert await codes(story) == []
    long_ago(story)
    assert await codes(story) == ["STALE"]
    assert proven(story, "STALE") == []


async def test_a_race_raises_nothing(story: Story) -> None:
    """A keeper that is ahead of what the server showed a moment ago, and a server that then shows it, are honest."""
    service = story.patient.service
    before = await service.api.checkpoint(story.origin)
    await story.add(b"One more entry. " * 9, "more.txt")
    later = await service.keepers[next(iter(service.keepers))].checkpoint(story.origin)
    believed = await service.refresh(story.origin)
    earlier = believe_note(service.root, story.origin, before, service.now())
    await compare_with_keeper(service, story.patient._store, earlier, before)
    ahead = story.patient._store.get(f"ahead/{story.origin}", HeadAhead)
    assert ahead is not None
    assert ahead.note == later
    long_ago(story)
    assert await codes(story) == []
    assert believed.head.size == ahead.head.head.size
    assert story.patient._store.get(f"ahead/{story.origin}", HeadAhead) is None


async def test_a_keeper_that_lies_or_is_silent_is_passed_over(story: Story) -> None:
    """What it did not sign, or the log did not, proves nothing; and silence is none."""
    forged = await shown_to_keeper(story, other=0)
    forged.cosigned = False
    unsigned = forged.note()
    story.patient_keeper.tamper("checkpoint", lambda _: unsigned)
    assert await codes(story) == []
    story.patient_keeper.tamper("checkpoint", lambda _: b"nothing")
    assert await codes(story) == []

    def silent(_: bytes) -> bytes:
        raise Unreachable("Nobody answers.")

    story.patient_keeper.tamper("checkpoint", silent)
    assert await codes(story) == []


async def test_without_asking_a_keeper_the_other_log_is_never_met(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: where no keeper is asked, the audit finds nothing."""

    async def nobody(*_: object) -> None:
        pass

    monkeypatch.setattr(audit, "compare_with_keeper", nobody)
    await shown_to_keeper(story, other=0)
    assert await codes(story) == []
