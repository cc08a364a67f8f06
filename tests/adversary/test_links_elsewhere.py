"""Links that come from elsewhere: of another device of the patient, or of this one, which was told that they were refused."""

from typing import Any

import pytest

from crypto.errors import Conflict, NotPermitted, NotProven, Unreachable
from crypto.signing import Envelope
from crypto.wire.messages import LinkAccepted, Links, LinkSubmission
from tests.adversary.story import Story
from tests.adversary.test_audit import forged_link
from tests.adversary.test_record import unproved
from vault_client.audit_report import AuditReport
from vault_client.unanswered_links import UnansweredLinks


def alone(link: Envelope) -> LinkSubmission:
    """A link without anything that belongs to it."""
    return LinkSubmission(envelope=link, scan_key=None, tags=(), events=(), parts=())


def codes(report: AuditReport) -> list[str]:
    """The codes of a report's alarms."""
    return [alarm.code for alarm in report.alarms]


async def written_meanwhile(story: Story, *, before: bool) -> None:
    """Have another device of the patient write a link when this one asks for links: before it is answered, or just after."""
    honest, link = story.patient_vault.honest, await forged_link(story, story.patient.own.device)
    waiting = [link]

    async def links(query: Any) -> Links:
        if before and waiting:
            await honest.append_link(alone(waiting.pop()))
        answer = await honest.links(query)
        if waiting:
            await honest.append_link(alone(waiting.pop()))
        return answer

    story.patient_vault.forge("links", links)


@pytest.mark.parametrize("before", [True, False])
async def test_a_link_that_comes_between_two_questions_accuses_nobody(story: Story, before: bool) -> None:
    """The audit takes the head before the record: whatever another device writes meanwhile is there at the next audit."""
    await story.patient.log()
    await written_meanwhile(story, before=before)
    for _ in range(2):
        assert codes(await story.patient.log()) == []
    story.patient_vault.be_honest()
    report = await story.patient.log()
    assert (codes(report), report.entries[-1].changes) == ([], ("masked",))


async def test_a_head_taken_after_the_record_would_accuse_the_server(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: the head that is taken last has a leaf of which the record knows no link, and the honest server is accused."""
    await story.patient.log()
    await written_meanwhile(story, before=False)
    replica, service = story.patient.replica, story.patient.service
    sync, witnessed, taken_in = replica.sync, service.witnessed, []

    async def nothing() -> int:
        return 0

    async def after_the_record(origin: str) -> Any:
        if not taken_in:
            taken_in.append(await sync())
        return await witnessed(origin)

    with monkeypatch.context() as twin:
        twin.setattr(type(replica), "sync", lambda _: nothing())
        twin.setattr(service, "witnessed", after_the_record)
        assert codes(await story.patient.log()) == ["FORK"]


async def test_a_link_that_is_not_in_the_log_is_not_in_the_record(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A41, A51: a true link that the server shows before it is under a cosigned head, or never, is not taken in."""
    kept: list[LinkAccepted] = []
    story.patient_vault.tamper("append_link", lambda answer: kept.append(answer) or answer)
    await story.patient.mask(story.documents[1].doc)
    replica = story.patient.replica
    link, head = await forged_link(story, story.patient.own.device), replica.local.head

    def show() -> None:
        answers = [Links(links=(link,), more=False)]
        story.patient_vault.forge(
            "links", lambda _: answers.pop() if answers else Links(links=(), more=False)
        )

    lies: list[tuple[Any, type[Exception]]] = [
        (Unreachable("not cosigned yet"), Unreachable),
        (Conflict("another is there"), NotProven),
        (LinkAccepted(logged=()), NotProven),
        (kept[0], NotProven),
    ]
    for lie, error in lies:
        show()
        if isinstance(lie, Exception):
            story.patient_vault.withhold("append_link", lie)
        else:
            story.patient_vault.replay("append_link", lie)
        with story.refused(error):
            await replica.sync()
    assert replica.local.head == head
    with monkeypatch.context() as twin:
        unproved(twin)
        show()
        assert await replica.sync() == 1
        assert await replica.sync() == 0
    assert codes(await story.patient.log()) == ["UNLOGGED"]


async def test_another_devices_link_is_taken_in_with_its_proof(story: Story) -> None:
    """The control: what another device wrote is asked for once, believed, and in the log."""
    link = await forged_link(story, story.patient.own.device)
    await story.patient_vault.honest.append_link(alone(link))
    assert await story.patient.replica.sync() == 1
    assert [query.envelope for query in story.patient_vault.asked("append_link")][-1] == link
    assert codes(await story.patient.log()) == []


async def refused_grant(story: Story) -> tuple[bytes, LinkSubmission]:
    """A new grant of the second document, which the server refuses and keeps: its id, and what was sent."""
    sent: list[LinkSubmission] = []

    def refuse(query: LinkSubmission) -> LinkAccepted:
        sent.append(query)
        raise NotPermitted("Nothing was shared.")

    story.patient_vault.forge("append_link", refuse)
    with pytest.raises(NotPermitted):
        await story.patient.authorise(await story.reader.card(), [story.documents[1].doc])
    story.patient_vault.be_honest()
    assert story.patient.waiting() == []
    (grant,) = story.patient.unanswered_grants()
    return grant.entry.gid, sent[0]


@pytest.mark.parametrize("is_twin", [False, True])
async def test_what_was_refused_and_done_all_the_same_is_said(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A22, A44: the server refuses a grant and puts it in later: that is an alarm, and it can be ended as any other.

    The twin forgets what was refused, and takes it for the work of another device.
    """
    gid, kept = await refused_grant(story)
    if is_twin:
        monkeypatch.setattr(UnansweredLinks, "was_refused", lambda *_: False)
    await story.patient_vault.honest.append_link(kept)
    assert await story.patient.replica.sync() == 1
    report = await story.patient.log()
    assert codes(report) == ([] if is_twin else ["REFUSED_YET_DONE"])
    assert story.patient.unanswered_grants() == []
    assert (await story.patient.revoke(gid)).end_in_force
    assert codes(await story.patient.log()) == codes(report)


async def test_what_was_refused_can_be_kept_out(story: Story) -> None:
    """A44: a grant that was refused is ended before the server can put it in: another link has its place."""
    gid, kept = await refused_grant(story)
    assert (await story.patient.revoke(gid)).end_in_force
    with pytest.raises(Conflict):
        await story.patient_vault.honest.append_link(kept)
    assert codes(await story.patient.log()) == []


async def test_of_a_grant_that_never_came_in_its_keys_are_kept(story: Story) -> None:
    """What was kept of a refused grant for the case that it comes in goes once another link has its place; it is looked for on."""
    store = story.patient._store
    gid, _ = await refused_grant(story)
    assert len(store.names("intent")) == 1
    await story.patient.mask(story.documents[0].doc)
    assert (store.names("intent"), store.names("refused-link")) == ([], [])
    assert store.names("overtaken-grant") == [f"overtaken-grant/{gid.hex()}"]
    assert story.patient.unanswered_grants() == []
