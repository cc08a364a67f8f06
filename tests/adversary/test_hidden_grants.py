"""Grants that the server logs where only their keys lead, and keeps from the record: what is read under them is found."""

import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from crypto.errors import NotPermitted, Unreachable
from crypto.locators import Locator, event_tag
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.wire.messages import LinkAccepted, LinkSubmission
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import readings, slot_of, tag_of
from vault_client import scan_keys
from vault_client.audit import Audit
from vault_client.audit_report import AuditReport
from vault_client.local_vault import AuditPlace
from vault_client.unanswered_grants import UnansweredGrants


class Sent(NamedTuple):
    """A grant of the second document that was sent, and of which the patient has no answer."""

    gid: bytes
    event: Envelope
    submission: LinkSubmission


async def sent(story: Story, answer: Exception) -> Sent:
    """The patient grants; the server takes it, and answers with ``answer``."""
    taken: list[LinkSubmission] = []

    def keep_back(query: LinkSubmission) -> LinkAccepted:
        taken.append(query)
        raise answer

    story.patient_vault.forge("append_link", keep_back)
    with pytest.raises(type(answer)):
        await story.patient.authorise(await story.reader.card(), [story.documents[1].doc])
    story.patient_vault.be_honest()
    (grant,) = story.patient.unanswered_grants()
    return Sent(grant.entry.gid, taken[-1].events[0].envelope, taken[-1])


async def hidden(story: Story, grant: Sent) -> ForgedEntries:
    """The server logs the grant's event, and an honest reading under it, where no scan key leads."""
    entries = await ForgedEntries.begin(story)
    secret, gid = SecretBytes(story.patient.replica.epoch().secret), grant.gid
    tag = event_tag(shares.end_key(secret, gid), story.origin, gid, 0)
    entries.add(grant.event, "accepted", slot_one=fresh(), slot_two=tag)
    slot_two = Locator(shares.grant_key(secret, gid), story.origin).make(secrets.token_bytes(16))
    asked = await request(story, number=1, gid=gid, ghead=grant.event.digest, slot_two=slot_two)
    entries.add(asked, slot_one=fresh(), slot_two=slot_of(asked))
    return entries


def codes(report: AuditReport) -> list[str]:
    """The alarms, in the order of the log."""
    return [alarm.code for alarm in report.alarms]


async def overtaken(story: Story) -> Sent:
    """A grant that was refused, and whose place another link has."""
    grant = await sent(story, NotPermitted("Nothing was shared."))
    await story.patient.mask(story.documents[0].doc, masked=False)
    assert story.patient.unanswered_grants() == []
    return grant


WAYS: dict[str, Callable[[Story], Awaitable[Sent]]] = {
    "silent": lambda story: sent(story, Unreachable("cut")),
    "refused": lambda story: sent(story, NotPermitted("Nothing was shared.")),
    "overtaken": overtaken,
}


@pytest.fixture(params=WAYS)
async def grant(story: Story, request: pytest.FixtureRequest) -> Sent:
    """Sent and kept back, in each way that a server has to."""
    return await WAYS[request.param](story)


async def test_a_grant_that_is_kept_back_hides_no_reading(
    story: Story, grant: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A51: what is read under a grant that the server took and did not answer is HIDDEN_BY_SERVER, and its reader not accused.

    The twin looks for the grants of the record only.
    """
    entries = await hidden(story, grant)
    with monkeypatch.context() as twin:
        twin.setattr(UnansweredGrants, "ever_sent", lambda _: iter(()))
        report = await entries.twin_sees("HIDDEN_BY_SERVER", "FORK")
        assert (codes(report), readings(report)) == ([], ["list"])
    report = await story.patient.log()
    assert codes(report) == ["FORK", "HIDDEN_BY_SERVER", "HIDDEN_BY_SERVER"]
    assert readings(report) == ["list", "release"]
    assert (report.entries[-1].grant, report.entries[-1].name) == (grant.gid, story.grant.name)


async def test_a_grant_whose_answer_was_lost_is_no_alarm(story: Story) -> None:
    """The control: of an honest server the same grant is in the record by the next audit, and read under without alarm."""
    lost = await sent(story, Unreachable("cut"))
    await story.patient_vault.honest.append_link(lost.submission)
    assert codes(await story.patient.log()) == []
    await story.reader.sync()
    assert await story.read(1)
    report = await story.patient.log()
    assert (codes(report), readings(report)) == ([], ["list", "release"])
    assert story.patient.unanswered_grants() == []


async def test_what_was_scanned_past_is_found_once_its_grant_is_known(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A51: a reading that an audit passed over, before this device knew of the grant, is found by the next one that does.

    The twin goes on from where the scan was. Another audit raises nothing new.
    """
    grant = await sent(story, Unreachable("cut"))
    await hidden(story, grant)
    with monkeypatch.context() as earlier:
        earlier.setattr(UnansweredGrants, "ever_sent", lambda _: iter(()))
        assert codes(await story.patient.log()) == []
    place = story.patient._store.get("audit", AuditPlace)
    assert place is not None
    assert grant.gid not in (place.grants or ())

    async def no_further_back(_: Audit, place: AuditPlace, *__: object) -> object:
        return place.scanned

    with monkeypatch.context() as twin:
        twin.setattr(Audit, "_scan_begin", no_further_back)
        assert codes(await story.patient.log()) == []
    story.patient._store.put("audit", place)
    for _ in range(2):
        report = await story.patient.log()
        assert codes(report) == ["FORK", "HIDDEN_BY_SERVER", "HIDDEN_BY_SERVER"]
        assert readings(report) == ["list", "release"]


async def test_an_event_by_another_that_knows_the_keys_is_found(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22: an event after the newest that this device knows, logged where no scan key leads, is found by its tag.

    A removed device knows Ke. The twin looks for the events that it knows only.
    """
    event = (await sent(story, Unreachable("cut"))).event
    entries = await ForgedEntries.begin(story)
    entries.add(event, "accepted", slot_one=fresh(), slot_two=tag_of(story, 1))
    with monkeypatch.context() as twin:
        twin.setattr(scan_keys, "AHEAD", 0)
        await entries.twin_sees("HIDDEN_BY_SERVER", "FORK")
    assert codes(await story.patient.log()) == ["FORK", "HIDDEN_BY_SERVER"]
