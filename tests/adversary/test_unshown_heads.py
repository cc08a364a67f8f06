"""A server that signs a second version of its log and then shows nothing of it: refusing and being away are not the same."""

from typing import Any

import pytest

from crypto.errors import (
    CoffreError,
    Malformed,
    NotFound,
    NotProven,
    TooLarge,
    TooMany,
    Unavailable,
    Unreachable,
)
from crypto.evidence import read_evidence
from tests.adversary.forged_log import ForgedLog, random_leaf
from tests.adversary.story import Story
from tests.adversary.test_evidence import files, only, proven
from vault_client import contradictions
from vault_client import evidence_proofs as proofs
from vault_client.alarms import kept_alarms
from vault_client.believed_heads import BelievedHeads, UnprovedHead


async def without_tiles(story: Story, error: CoffreError, *, forked: bool = True) -> ForgedLog:
    """The patient is shown a longer log, another one if ``forked``; of its tiles only ``error``."""
    forged = await ForgedLog.after(story)
    if forked:
        forged.leaves[0] = random_leaf()
    forged.leaves.append(random_leaf())
    forged.show_to(story.patient_vault)

    async def refuse(*_: Any) -> bytes:
        raise error

    story.patient_vault.forge("tile", refuse)
    return forged


def kept(story: Story) -> list[tuple[str, str]]:
    """Code and words of the alarms."""
    return [(alarm.code, alarm.text) for alarm in kept_alarms(story.patient._store)]


@pytest.mark.parametrize("error", [NotFound("A tile"), Malformed("no tile"), TooLarge("no tile")])
async def test_a_signed_head_that_is_not_shown_is_an_alarm(
    story: Story, monkeypatch: pytest.MonkeyPatch, error: CoffreError
) -> None:
    """A41, A48: a server that signs a head and refuses its tiles is FORK, not shown: no proof, but both heads are kept.

    Once it shows the tiles of what it had signed, the same heads are proof. The twin does not take a refusal for one.
    """
    forged = await without_tiles(story, error)
    with monkeypatch.context() as twin:
        twin.setattr(BelievedHeads, "_not_shown", lambda *_: None)
        with story.refused(NotProven):
            await story.patient.log()
        assert kept(story) == []
    with story.refused(NotProven):
        await story.patient.log()
    assert kept(story) == [("FORK", contradictions.UNSHOWN)]
    assert proven(story, "FORK") == []
    assert len(read_evidence(only(story, "FORK"))[0].finding.notes) == 2
    forged.show_to(story.patient_vault)
    for _ in range(2):
        with story.refused(NotProven):
            await story.patient.log()
        assert proven(story, "FORK") == [proofs.TWO_HEADS]
        story.patient_vault.withhold("tile", error)  # what was shown is not unsaid


@pytest.mark.parametrize("error", [Unreachable("gone"), Unavailable("full"), TooMany("wait")])
async def test_a_service_that_is_away_is_asked_about_its_head_later(
    story: Story, monkeypatch: pytest.MonkeyPatch, error: CoffreError
) -> None:
    """A42, A48: a second version, signed and shown before the server fell silent, is not forgotten: FORK, with proof.

    While it is silent it is not accused. The twin throws the head away.
    """
    await without_tiles(story, error)
    for is_twin in (True, False):
        with monkeypatch.context() as twin:
            if is_twin:
                twin.setattr(BelievedHeads, "_keep_unproved", lambda *_: None)
            with story.refused(type(error)):
                await story.patient.log()
        assert files(story) == {}
    story.patient_vault.be_honest()
    await story.add(b"Something that makes the log grow. " * 9, "more.txt")
    assert [alarm.code for alarm in (await story.patient.log()).alarms] == ["FORK"]
    assert proven(story, "FORK") == [proofs.TWO_HEADS]


async def test_an_honest_head_that_could_not_be_shown_accuses_nobody(story: Story) -> None:
    """The control: a server that is away while it is asked for tiles, and shows them later, raises nothing and leaves nothing."""
    forged = await without_tiles(story, Unreachable("gone"), forked=False)
    with story.refused(Unreachable):
        await story.patient.log()
    store, name = story.patient._store, f"unproved/{story.origin}"
    assert store.get(name, UnprovedHead) is not None
    forged.show_to(story.patient_vault)
    assert (await story.patient.log()).alarms == ()
    assert store.get(name, UnprovedHead) is None


async def test_what_a_keeper_was_shown_is_asked_for_too(story: Story) -> None:
    """A keeper's smaller head of another log, which the server refuses to compare with its own, is FORK, not shown."""
    forged = await ForgedLog.after(story)
    forged.leaves[0] = random_leaf()
    del forged.leaves[-1]
    note, tile = forged.note(), story.patient_vault.honest.tile
    story.patient_keeper.tamper("checkpoint", lambda _: note)

    async def no_hashes(origin: str, path: str) -> bytes:
        if origin == story.origin and "/entries/" not in path:
            raise NotFound("A tile")
        return await tile(origin, path)

    story.patient_vault.forge("tile", no_hashes)
    await story.patient.log()
    assert kept(story) == [("FORK", contradictions.UNSHOWN)]
