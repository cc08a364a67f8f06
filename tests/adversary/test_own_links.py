"""A server that logs the patient's own changes where nobody finds them, and proves that it logged them."""

import secrets

import pytest

from crypto.access_log import Disclosure
from crypto.errors import NotProven, Unreachable
from crypto.locators import Locator
from crypto.secret_bytes import SecretBytes
from crypto.wire.messages import LinkAccepted, LinkSubmission
from tests.adversary.forged_log import ForgedLog
from tests.adversary.modified_sdk import fresh
from tests.adversary.story import Story
from tests.adversary.twins import WithAnything

NOT_FOUND = "where it cannot be found"


async def logs_ends(story: Story, *, leaf: int, slot: str | None) -> None:
    """Have the server log the link of an end and its end, all as it must, but for a random ``slot`` of one ``leaf``.

    No keeper answers, so that an end is in force by its receipt only.
    """
    log, replica = await ForgedLog.after(story), story.patient.replica
    scan = Locator(SecretBytes(replica.epoch().scan_key), story.origin)

    def append_link(query: LinkSubmission) -> LinkAccepted:
        made: list[Disclosure] = []
        for number, tag in enumerate((fresh(), *query.tags)):
            slots = {"slot_one": scan.make(secrets.token_bytes(16)), "slot_two": tag}
            if number == leaf and slot is not None:
                slots[slot] = fresh()
            made.append(log.append(query.envelope, "accepted", **slots))
        return LinkAccepted(logged=tuple(log.logged(each) for each in made))

    def cut(_: object) -> None:
        raise Unreachable("cut")

    story.patient_vault.forge("append_link", append_link)
    log.show_to(story.patient_vault)
    story.patient_keeper.tamper("end", cut)


async def test_a_change_that_is_logged_as_it_must_be_is_taken(story: Story) -> None:
    """The control: the end is in the record and in force by the receipts of its two leaves."""
    await logs_ends(story, leaf=1, slot=None)
    assert (await story.patient.revoke(story.grant.entry.gid)).end_in_force


@pytest.mark.parametrize("leaf", [0, 1])
async def test_a_change_under_a_wrong_mark_is_not_taken(
    story: Story, monkeypatch: pytest.MonkeyPatch, leaf: int
) -> None:
    """A51: a link, or an end, that is logged under no locator of the record's scan key does not count, with whatever receipt.

    The twin believes each receipt as it is.
    """
    await logs_ends(story, leaf=leaf, slot="slot_one")
    with story.refused(NotProven) as refused:
        await story.patient.revoke(story.grant.entry.gid)
    assert NOT_FOUND in str(refused.value)
    assert not story.patient.grants()[0].end_in_force
    with monkeypatch.context() as twin:
        twin.setattr(Locator, "matches", lambda *_: True)
        assert (await story.patient.revoke(story.grant.entry.gid)).end_in_force


async def test_an_end_under_a_wrong_tag_is_not_in_force(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A44: an end that the log has under no tag of the grant's stops no keeper, and is not called in force.

    The twin does not look at the tag.
    """
    await logs_ends(story, leaf=1, slot="slot_two")
    with story.refused(NotProven) as refused:
        await story.patient.revoke(story.grant.entry.gid)
    assert NOT_FOUND in str(refused.value)
    assert not story.patient.grants()[0].end_in_force
    believe = type(story.patient.service).believe_logged

    async def whatever_tag(*told: object) -> object:
        return WithAnything(await believe(*told), "slot_two")  # type: ignore[arg-type]

    with monkeypatch.context() as twin:
        twin.setattr(type(story.patient.service), "believe_logged", whatever_tag)
        assert (await story.patient.revoke(story.grant.entry.gid)).end_in_force
