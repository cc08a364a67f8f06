"""Readings that a server logs although the grant's terms do not allow them, and directories that only some were shown."""

import secrets
import time
from functools import partial

import msgspec
import pytest

from crypto.encoding import decode
from crypto.grants import Act, GrantEvent
from crypto.locators import Locator
from crypto.requests import read_request
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.statements import Head
from crypto.vault_links import Grant, VaultLink
from crypto.wire.messages import GrantEventQuery
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import slot_of
from tests.adversary.test_evidence import judged, only, proven, rewritten, with_finding
from vault_client import evidence_proofs as proofs
from vault_client import trust
from vault_client.audit_readings import Readings
from vault_client.audit_report import AuditReport
from vault_client.closed_documents import ClosedDocuments
from vault_client.granting import Terms
from vault_client.local_vault import LocalGrant
from vault_client.seen_heads import SeenHeads
from vault_client.sharing import Sharing


async def granted(story: Story, monkeypatch: pytest.MonkeyPatch, *acts: Act, days: int) -> LocalGrant:
    """A second grant to the reader, of the first document. ``days`` may be negative: a grant of old, for a story of now."""
    with monkeypatch.context() as old:
        old.setattr(Sharing, "check", lambda *_: None)
        old.setattr("vault_client.patient_grants.check_days", lambda _: None)
        documents = [story.documents[0].doc]
        return await story.patient.authorise(await story.reader.card(), documents, acts=acts, days=days)


async def reading(story: Story, grant: LocalGrant, act: Act) -> Envelope:
    """A request under ``grant`` as its reader signs it, who holds its newest event and its locator key."""
    gid, patient = grant.entry.gid, story.patient
    link = patient._store.get(f"link/{patient.replica.local.head.n}", Envelope)
    assert link is not None
    (event,) = [step.event for step in decode(link.body, VaultLink).operations if isinstance(step, Grant)]
    key = shares.grant_key(SecretBytes(patient.replica.epoch().secret), gid)
    slot_two = Locator(key, story.origin).make(secrets.token_bytes(16))
    return await request(story, act=act, gid=gid, ghead=event, slot_two=slot_two)


async def logged(story: Story, envelope: Envelope) -> ForgedEntries:
    """``envelope`` in the log as the server's grant of it."""
    entries = await ForgedEntries.begin(story)
    entries.add(envelope, slot_two=slot_of(envelope))
    return entries


async def test_a_reading_within_its_terms_is_none(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: while the grant lasts, the act that it allows is a reading without alarm."""
    grant = await granted(story, monkeypatch, "list", days=1)
    entries = await logged(story, await reading(story, grant, "list"))
    assert await entries.alarms() == []
    assert (await story.patient.log()).entries[-1].act == "list"


async def test_a_reading_of_what_was_open_then_is_none(story: Story) -> None:
    """The control: a document read before it is masked, and again once it is not, then deleted: no alarm."""
    doc = story.documents[0].doc
    await story.read()
    story.destination.unlink()
    for masked in (True, False):
        await story.patient.mask(doc, masked=masked)
    await story.read()
    await story.patient.delete(doc)
    report = await story.patient.log()
    assert report.alarms == ()
    assert [entry.act for entry in report.entries].count("release") == 2


@pytest.mark.parametrize("how", ["mask", "delete"])
async def test_a_reading_of_a_closed_document_is_an_alarm(
    story: Story, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A47: a server that grants a reading of what was masked or deleted by then is OUT_OF_SCOPE, and accused by nothing signed."""
    await getattr(story.patient, how)(story.documents[0].doc)
    entries = await logged(story, await request(story))
    with monkeypatch.context() as twin:
        twin.setattr(ClosedDocuments, "after", lambda *_: set())
        assert (await entries.twin_sees("OUT_OF_SCOPE")).entries[-1].act == "release"
    assert await entries.alarms() == ["OUT_OF_SCOPE"]
    assert "masked or deleted" in (await story.patient.log()).alarms[0].text
    assert proven(story, "OUT_OF_SCOPE") == []


@pytest.mark.parametrize(
    ("act", "days", "proof"),
    [("list", -1, proofs.AFTER_EXPIRY), ("release", 1, proofs.OTHER_ACT)],
    ids=["expiry", "act"],
)
async def test_a_reading_beyond_its_terms_is_proven(
    story: Story, monkeypatch: pytest.MonkeyPatch, act: Act, days: int, proof: str
) -> None:
    """A47: a reading after the grant ran out, or of an act that it lacks, is OUT_OF_SCOPE, and proven by the event itself.

    The twin does not look at the terms. Without the event that the request names nothing is proven.
    """
    grant = await granted(story, monkeypatch, "list", days=days)
    entries = await logged(story, await reading(story, grant, act))
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_check_scope", lambda *_: None)
        assert (await entries.twin_sees("OUT_OF_SCOPE")).entries[-1].act == act
    assert await entries.alarms() == ["OUT_OF_SCOPE"]
    assert proven(story, "OUT_OF_SCOPE") == [proof]
    data = only(story, "OUT_OF_SCOPE")
    first = judged(data, None).checked.finding.entries[:1]
    assert judged(rewritten(story, data, with_finding(entries=first)), None).proven == []


@pytest.mark.parametrize("is_left_out", [False, True])
async def test_a_reading_by_somebody_who_is_left_out_is_proven(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_left_out: bool
) -> None:
    """A47: a reading by whom the grant leaves out is OUT_OF_SCOPE, and proven; one beside somebody else's exclusion is none.

    The patient's software was changed to leave somebody out, as one does that grants to teams. The twin does not look at
    the terms.
    """
    reader = story.reader.own.profile.chain.identity
    excluded = (reader if is_left_out else fresh(),)
    with monkeypatch.context() as changed:
        changed.setattr("vault_client.sharing.Terms", partial(Terms, excluded=excluded))
        grant = await granted(story, monkeypatch, "list", days=1)
    assert grant.excluded == excluded
    entries = await logged(story, await reading(story, grant, "list"))
    if not is_left_out:
        assert await entries.alarms() == []
        return
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_check_scope", lambda *_: None)
        assert (await entries.twin_sees("OUT_OF_SCOPE")).entries[-1].act == "list"
    assert await entries.alarms() == ["OUT_OF_SCOPE"]
    assert proven(story, "OUT_OF_SCOPE") == [proofs.LEFT_OUT]
    data = only(story, "OUT_OF_SCOPE")
    first = judged(data, None).checked.finding.entries[:1]
    assert judged(rewritten(story, data, with_finding(entries=first)), None).proven == []


async def test_whoever_is_left_out_stays_so(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this program changes of a grant, and keys anew, goes on leaving out whom the grant left out.

    The twin, which forgets it, would let them in by a longer time.
    """
    excluded = (story.reader.own.profile.chain.identity,)
    with monkeypatch.context() as changed:
        changed.setattr("vault_client.sharing.Terms", partial(Terms, excluded=excluded))
        gid = (await granted(story, monkeypatch, "list", days=1)).entry.gid
    await story.patient.amend(gid, days=2)
    await story.patient.extend(gid, [story.documents[1].doc])
    await story.patient.withdraw(gid, [story.documents[1].doc])
    for j in range(4):
        shown = await story.patient.service.api.grant_event(
            GrantEventQuery(vault=story.patient.replica.local.head.vault, gid=gid, j=j)
        )
        assert decode(shown.envelope.body, GrantEvent).excluded == excluded
    with monkeypatch.context() as twin:
        twin.setattr("vault_client.grant_changes.Terms", lambda excluded, **terms: Terms(**terms))
        await story.patient.amend(gid, days=3)
    assert story.patient.replica.existing_grant(gid).excluded == ()


@pytest.mark.parametrize("has_grown", [True, False])
async def test_a_reader_who_saw_another_directory_is_heard(
    story: Story, monkeypatch: pytest.MonkeyPatch, has_grown: bool
) -> None:
    """A30: a signed request that names another directory than there was at that size is DIR_FORK, and the contradiction proven.

    While the directory has not grown, keepers' words about the reader contradict it too, so nobody vouches for these keys:
    KEY_NOT_VALID. The twin takes no note of what others signed as seen.
    """
    view = read_request(await request(story)).view
    elsewhere = msgspec.structs.replace(view, dir=Head(size=view.dir.size, root=fresh()))
    entries = await logged(story, await request(story, view=elsewhere))
    if not has_grown:
        assert await entries.alarms() == ["KEY_NOT_VALID"]
        return
    async with await story.instance.practitioner(story.folder / "somebody", subject=None):
        pass
    with monkeypatch.context() as twin:
        twin.setattr(SeenHeads, "note", lambda *_: None)
        assert (await entries.twin_sees("DIR_FORK")).alarms == ()
    assert await entries.alarms() == ["DIR_FORK"]
    assert proven(story, "DIR_FORK") == [proofs.ANOTHER_LOG]
    data = only(story, "DIR_FORK")
    assert judged(rewritten(story, data, with_finding(beginning=None)), None).proven == []


@pytest.mark.parametrize("minutes", [0, 12])
async def test_a_reader_who_saw_a_longer_directory_is_heard(
    story: Story, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """A30: a server that goes on showing the patient a directory from before the one that a reader signed is DIR_FORK.

    It is proven where keepers confirmed the shorter one over ten minutes after the entry, and an observation else. The control is
    shown the directory as it is; the twin takes no note of what others signed as seen.
    """
    origin = story.patient.service.root.directory_origin
    short = await story.patient.service.api.checkpoint(origin)
    async with await story.instance.practitioner(story.folder / "somebody", subject=None):
        pass
    story.reader.service.forget_directory()
    asked = int(time.time()) - 60 * minutes
    view = await story.reader.service.view(story.origin)
    envelope = await request(story, view=view, time=asked)
    entries = await ForgedEntries.begin(story)
    entries.add(envelope, slot_two=slot_of(envelope), time=asked)
    assert "DIR_FORK" not in codes(await entries.twin_sees("DIR_FORK"))

    shown = story.patient_vault._lies["checkpoint"]

    async def checkpoint(name: str) -> bytes:
        return short if name == origin else await shown(name)

    story.patient_vault.forge("checkpoint", checkpoint)
    believed = trust.believe_note(story.patient.service.root, origin, short, int(time.time()))
    story.patient._store.put(f"head/{origin}", believed)
    story.patient.service.forget_directory()
    with monkeypatch.context() as twin:
        twin.setattr(SeenHeads, "note", lambda *_: None)
        assert "DIR_FORK" not in codes(await entries.twin_sees("DIR_FORK"))
    assert "DIR_FORK" in await entries.alarms()
    assert proven(story, "DIR_FORK") == ([proofs.ANOTHER_LOG] if minutes else [])


def codes(report: AuditReport) -> list[str]:
    """The alarms of a report."""
    return [alarm.code for alarm in report.alarms]
