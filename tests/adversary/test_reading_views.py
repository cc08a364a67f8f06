"""What readers show of what they saw: their own keys as they stand now, and the log as it was when they read their mailbox."""

import pytest

from crypto.errors import NotFound
from crypto.requests import read_request
from tests.adversary.modified_sdk import logged, request
from tests.adversary.story import Story
from vault_client.believed_heads import BelievedHeads


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_longer_chain_is_shown_with_the_same_request(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A reader certified anew since is refused by the keepers, shows the longer chain with the same request, and reads.

    The twin takes the refusal for the last word.
    """
    card, own = story.folder / "card-again.json", story.reader.own
    before = own.profile.chain
    await story.instance.certify(story.reader, card, "demo:1")
    if is_twin:
        monkeypatch.setattr(story.reader._reading, "_release", story.reader._opener.release)
        with pytest.raises(NotFound):
            await story.read()
    else:
        assert await story.read()
        assert len(own.profile.chain.links) == len(before.links) + 1
    report = await story.patient.log()
    assert [entry.act for entry in report.entries if entry.kind == "access"] == ["list", "release"]
    assert report.alarms == ()


async def test_a_refusal_stays_one_when_the_chain_is_withheld(story: Story) -> None:
    """A server that answers for the reader's keys with somebody else's changes nothing about a keeper's refusal."""
    story.reader_keeper.tamper("release", refuse)
    story.reader_vault.replay("identity_chain", story.patient.own.profile.chain)
    with story.refused(NotFound):
        await story.read()


def refuse(*_: object) -> None:
    """As a keeper does, whatever is asked."""
    raise NotFound("This was not released")


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_reader_names_the_head_of_before_its_mailbox(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A45: a reader that saw a newer head and not yet the event below it accuses nobody by its request.

    The twin names the newest head that it saw, and stands there as one that passed the event over.
    """
    added = await story.add(b"A third document. " * 9, "third.txt")
    await story.patient.extend(story.grant.entry.gid, [added.doc])
    newest = await story.reader.service.refresh(story.origin)
    if is_twin:
        monkeypatch.setattr(BelievedHeads, "reading_view", BelievedHeads.view)
    envelope = await request(story)
    assert (read_request(envelope).view.seen == newest.head) is is_twin
    await logged(story, envelope)
    alarms = [alarm.code for alarm in (await story.patient.log()).alarms]
    assert alarms == (["STALE_VIEW"] if is_twin else [])
