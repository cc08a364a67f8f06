"""The control of every attack in this folder: the same liars in between, telling the truth."""

from crypto.errors import NotFound
from tests.adversary.story import TEXTS, Story


async def test_an_honest_run_is_believed(story: Story) -> None:
    """Adding, granting, listing, reading, auditing and ending all succeed through liars that do not lie."""
    for number, text in enumerate(TEXTS):
        assert await story.read(number) == text
        story.destination.unlink()
    await story.patient.get(story.documents[0].doc, story.destination)
    assert story.destination.read_bytes() == TEXTS[0]
    story.destination.unlink()

    report = await story.patient.log()
    assert report.alarms == ()
    assert [entry.act for entry in report.entries if entry.kind == "access"] == ["list", "release", "release"]

    ended = await story.patient.revoke(story.grant.entry.gid)
    assert ended.end_in_force
    with story.refused(NotFound):
        await story.read()
    assert (await story.patient.log()).alarms == ()
