"""A grant that changes while it is in force, a server that hides it, and a reader who goes on with what was before."""

from typing import Any

import msgspec
import pytest

from crypto import grants, labels
from crypto.errors import NotFound, NotPermitted, Unreachable
from crypto.grants import read_event
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from crypto.wire.messages import GrantEventQuery, LinkSubmission, Mailbox
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import ask_keeper, logged, opened, request, wanted
from tests.adversary.story import TEXTS, Story
from tests.adversary.test_audit import readings, slot_of
from tests.adversary.test_keyrings import rotated
from tests.adversary.test_mailbox import delivered, is_taken_in, not_taken_in
from tests.adversary.test_waiting import offline, reopened
from vault_client.audit_readings import Readings
from vault_client.changes import AmendGrant, WithdrawDocuments
from vault_client.device_store import DeviceStore
from vault_client.grant_changes import GrantChanges
from vault_client.practitioner import Practitioner
from vault_client.sharing_terms import MAX_SHARING_DAYS

NO_MAIL = Mailbox(deliveries=(), more=False)


def given(story: Story) -> set[bytes]:
    """What the grant gives now, by the patient's own device."""
    return {version.doc for version in story.patient.granted(story.grant.entry.gid)}


async def listed(story: Story) -> set[bytes]:
    """What the practitioner finds granted, having looked anew."""
    assert await story.reader.sync() == []
    return {each.document.doc for each in await story.reader.listing()}


async def test_a_document_is_taken_out_and_the_others_go_on(story: Story) -> None:
    """The control of this page: one document opens no more, the other does, and the log and the history are in order."""
    patient, gid = story.patient, story.grant.entry.gid
    out, left = (document.doc for document in story.documents)
    before = story.listed(0)
    grant = await patient.withdraw(gid, [out])
    assert (grant.entry.j, grant.entry.rekey, given(story)) == (1, 1, {left})
    with story.refused(NotFound):
        await story.reader.read(before, story.destination)  # not told yet, it asks as before
    assert await listed(story) == {left}
    with story.refused(NotPermitted):
        await story.reader.read(before, story.destination)
    assert await story.read(1) == TEXTS[1]
    story.destination.unlink()
    for wrong in ([out], [left]):  # not in it any more; the last one
        with story.refused(NotPermitted):
            await patient.withdraw(gid, wrong)
    await patient.extend(gid, [out])
    assert await listed(story) == {out, left}
    assert await story.read(0) == TEXTS[0]
    assert (await patient.log()).alarms == ()
    steps = patient.grant_history(gid)
    assert [(step.event, step.is_rekey, len(step.given), step.taken_out) for step in steps] == [
        (0, False, 2, ()),
        (1, True, 0, (out,)),
        (2, False, 1, ()),
    ]
    assert all(step.time for step in steps)


async def test_the_keeper_does_not_answer_for_what_was_taken_out(story: Story) -> None:
    """A44: a reading that is logged, and finished only after the document was taken out, opens it no more.

    The twin masks the document, of which no keeper hears: its half opens it still.
    """
    patient, gid, doc = story.patient, story.grant.entry.gid, story.documents[0].doc
    envelope = await request(story)
    proof = await logged(story, envelope)
    await patient.mask(doc)
    assert len(await opened(story, envelope, proof, wanted(story))) == 1  # the twin
    await patient.mask(doc, masked=False)

    await patient.withdraw(gid, [doc])
    with pytest.raises(NotFound):
        await ask_keeper(story, envelope, proof)
    (blob,) = patient.grants()[0].blobs  # the new policy opens nothing that was asked for by the old keys
    with pytest.raises(NotFound):
        await ask_keeper(story, envelope, proof, blob=blob)


async def test_a_hidden_change_is_seen_in_the_log(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A45, A47: a server that hides a take-out from the reader and serves on is STALE_VIEW, and OUT_OF_SCOPE."""
    await story.patient.withdraw(story.grant.entry.gid, [story.documents[0].doc])
    entries = await ForgedEntries.begin(story)
    story.reader_vault.replay("mailbox", NO_MAIL)
    assert await story.reader.sync() == []
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope))

    def ever_gave(self: Readings, gid: bytes, documents: Any, _: int) -> bool:
        return all(self._replica.was_granted(gid, doc) for doc in documents)

    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_gave", ever_gave)
        assert readings(await entries.twin_sees("OUT_OF_SCOPE"))[-1] == "release"
    assert sorted(await entries.alarms()) == ["OUT_OF_SCOPE", "STALE_VIEW"]


async def test_a_reading_before_the_change_accuses_nobody(story: Story) -> None:
    """The control: what was opened while it was given stays in order in an audit made after it was taken out."""
    await story.read()
    await story.patient.withdraw(story.grant.entry.gid, [story.documents[0].doc])
    assert (await story.patient.log()).alarms == ()


async def test_other_terms_close_the_old_ones(story: Story) -> None:
    """A47: acts, purposes and time are changed by an event; a request made under the one before opens no more.

    The control asks under the new one, which shows no new list: nobody is made to open one.
    """
    patient, gid = story.patient, story.grant.entry.gid
    old = await request(story)
    proof = await logged(story, old)
    grant = await patient.amend(gid, acts=("list", "release"), purposes=("ETREAT",), days=7)
    assert (grant.entry.j, grant.entry.rekey) == (1, 0)
    assert (grant.acts, grant.purposes, grant.expiry < story.grant.expiry) == (
        ("list", "release"),
        ("ETREAT",),
        True,
    )
    with pytest.raises(NotFound):
        await ask_keeper(story, old, proof)
    opened_lists = readings(await patient.log()).count("list")
    assert await listed(story) == given(story) == {document.doc for document in story.documents}
    assert await story.read() == TEXTS[0]
    assert readings(await patient.log()).count("list") == opened_lists
    story.destination.unlink()
    with story.refused(NotPermitted):
        await story.reader.read(story.listed(), story.destination, act="export")
    longer = await patient.amend(gid, days=90)
    assert (longer.entry.j, longer.acts, longer.expiry > grant.expiry) == (2, ("list", "release"), True)
    with story.refused(NotPermitted):
        await patient.amend(gid, purposes=("ETREAT",))  # nothing new
    for days in (0, MAX_SHARING_DAYS + 1):
        with story.refused(NotPermitted):
            await patient.amend(gid, days=days)
        with story.refused(NotPermitted):
            await patient.authorise(await story.reader.card(), [story.documents[0].doc], days=days)
    assert [step.has_other_terms for step in patient.grant_history(gid)] == [False, True, True]
    assert (await patient.log()).alarms == ()


async def test_an_event_without_the_rekey_that_is_due_is_not_believed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A46: an event under the record's new keys, or with none of its rows, that goes on under old shares is refused."""
    gid, true = story.grant.entry.gid, await delivered(story)
    await story.patient.amend(gid, days=7)
    next_event = (
        await story.patient_vault.honest.grant_event(GrantEventQuery(vault=story.patient.vault, gid=gid, j=1))
    ).envelope
    body = read_event(next_event)
    key = story.patient.own.device
    other = msgspec.structs.replace(body, log_key=UnsealingKey.generate().public)
    empty = msgspec.structs.replace(body, rekey=1, a_box=read_event(true.envelope).a_box)
    forged = [
        msgspec.structs.replace(true, envelope=sign(labels.GRANT_EVENT, each, key), rows=b"")
        for each in (other, empty)
    ]
    for delivery in forged:
        await not_taken_in(story, delivery)

    with monkeypatch.context() as twin:
        state = story.reader.grants.get(gid).state
        twin.setattr(grants, "_next", lambda *_: (state.holders, state.rule))
        await is_taken_in(story, forged[0])


async def test_a_rekey_that_is_due_is_made_by_itself(story: Story) -> None:
    """A46: after the keys of the record have changed, the next sync keys the grant anew, once; all opens as before."""
    patient, gid = story.patient, story.grant.entry.gid
    await patient.mask(story.documents[0].doc)
    await patient.sync()
    assert patient.renewal.made == []
    await rotated(story, lambda made: made)
    await patient.sync()
    assert (patient.renewal.made, patient.renewal.refused) == ([gid], {})
    assert given(story) == {story.documents[1].doc}  # a masked document is not given anew
    grant = patient.replica.existing_grant(gid)
    assert (grant.entry.rekey, grant.entry.epoch, grant.made) == (1, 1, story.grant.made)
    await patient.sync()
    assert patient.renewal.made == []
    await patient.mask(story.documents[0].doc, masked=False)
    assert await listed(story) == {story.documents[1].doc}
    assert await story.read(1) == TEXTS[1]
    assert (await patient.log()).alarms == ()


async def test_keys_that_were_recovered_wait_for_the_patient(story: Story) -> None:
    """A21: for a recipient back from their kit nothing is keyed anew before the patient has asked them; then by itself."""
    patient, gid, kit = story.patient, story.grant.entry.gid, story.kits[1]
    folder = story.folder / "again"
    restoring = Practitioner.restore(
        DeviceStore.create_with_key(folder, SecretBytes.random()),
        folder,
        kit=kit.kit,
        card=story.instance.card,
        identity=kit.identity,
        vault=None,
    )
    async with await restoring as reader:
        patient.service.forget_directory()
        await patient.sync()
        assert patient.renewal.made == []
        assert "whether it was they" in str(patient.renewal.refused[gid])
        assert patient.replica.existing_grant(gid).entry.rekey == 0
        await patient.authorise(await reader.card(), [story.documents[0].doc], met_again=True)
        await patient.sync()
        assert (patient.renewal.made, patient.renewal.refused) == ([gid], {})
        assert patient.replica.existing_grant(gid).reading_key == 1
        assert await reader.sync() == []
        assert len(await reader.listing()) == len(story.documents) + 1


async def test_false_keys_of_a_recipient_make_no_rekey(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A20: a server that shows another person's keys for a recipient gets no event for them; it is said why."""
    patient, gid = story.patient, story.grant.entry.gid
    story.patient_vault.replay("identity_chain", patient.own.profile.chain)
    with monkeypatch.context() as honest:
        honest.setattr(GrantChanges, "_has_other_keys", lambda *_: False)
        await patient.sync()
    assert patient.renewal.refused == {}
    await patient.sync()
    assert (patient.renewal.made, list(patient.renewal.refused)) == ([], [gid])
    assert patient.replica.existing_grant(gid).entry.j == 0


async def test_what_was_not_sent_yet_is_not_in_force(story: Story) -> None:
    """A44: without a network what was to be taken out is given as before, and that is said; then it is made, once."""
    patient, gid, doc = story.patient, story.grant.entry.gid, story.documents[0].doc
    with offline(story):
        for asked in (lambda: patient.withdraw(gid, [doc]), lambda: patient.amend(gid, days=7)):
            with pytest.raises(Unreachable):
                await asked()
    changing = [queued.change for queued in patient.changing(gid)]
    assert [type(change) for change in changing] == [WithdrawDocuments, AmendGrant]
    assert doc in given(story)
    assert await story.read() == TEXTS[0]
    story.destination.unlink()
    await reopened(story).send_waiting()
    assert (patient.changing(gid), patient.waiting(), doc in given(story)) == ([], [], False)
    assert patient.replica.existing_grant(gid).entry.j == 2
    with story.refused(NotFound):
        await story.read()


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_change_whose_answer_was_lost_is_made_once(story: Story, arrives: bool) -> None:
    """Whether its link was there or not, a document is taken out by one event, and the grant is known in full."""
    patient, gid, doc = story.patient, story.grant.entry.gid, story.documents[0].doc

    async def lose(query: LinkSubmission) -> Any:
        if arrives:
            await story.patient_vault.honest.append_link(query)
        raise Unreachable("cut")

    story.patient_vault.forge("append_link", lose)
    with pytest.raises(Unreachable):
        await patient.withdraw(gid, [doc])
    (queued,) = patient.changing(gid)
    assert patient.is_sent(queued)
    with pytest.raises(NotPermitted, match="may be in the record"):
        patient.take_back(queued.id)
    story.patient_vault.be_honest()
    await reopened(story).send_waiting()
    assert (patient.waiting(), patient.outcome.refused, patient.outcome.dropped) == ([], [], [])
    assert (patient.replica.existing_grant(gid).entry.j, given(story)) == (1, {story.documents[1].doc})
    assert await listed(story) == given(story)
    assert (await patient.log()).alarms == ()


async def test_a_change_to_a_grant_that_ended_is_dropped_and_said(story: Story) -> None:
    """A document that was to be taken out of a grant which was ended meanwhile: nothing is left to do, and that is said."""
    patient, gid, doc = story.patient, story.grant.entry.gid, story.documents[0].doc
    with offline(story), pytest.raises(Unreachable):
        await patient.withdraw(gid, [doc])
    await patient.revoke(gid)
    await reopened(story).send_waiting()
    ((dropped, why),) = patient.outcome.dropped
    assert (type(dropped.change), "ended already" in why, patient.waiting()) == (WithdrawDocuments, True, [])


async def test_a_list_says_how_old_it_is(story: Story) -> None:
    """A45: what is here is of the event taken in last. A server that hides the next one is found out by the first reading.

    The control is told of it: its list is the newest, and its reading is in order.
    """
    (before,) = story.reader.lists()
    assert before.event == 0
    assert before.confirmed is not None
    assert 0 < before.received <= before.confirmed  # the keepers opened the list
    await story.patient.amend(story.grant.entry.gid, days=7)
    story.reader_vault.replay("mailbox", NO_MAIL)
    assert await story.reader.sync() == []
    (hidden,) = story.reader.lists()
    assert (hidden.event, hidden.received, hidden.expiry) == (0, before.received, before.expiry)
    await story.read()  # nothing was taken away from it, and the keepers go by the newest policy
    assert [alarm.code for alarm in (await story.patient.log()).alarms] == ["STALE_VIEW"]

    story.destination.unlink()
    story.reader_vault.be_honest()
    assert await story.reader.sync() == []
    (after,) = story.reader.lists()
    assert (after.event, after.expiry < before.expiry) == (1, True)
    assert after.received >= before.received
    await story.read()
    assert [alarm.code for alarm in (await story.patient.log()).alarms] == ["STALE_VIEW"]  # the one of before


async def test_a_list_opened_under_a_later_event_confirms_nothing(story: Story) -> None:
    """Keepers who open a list under a policy that is newer than the event held say nothing of that event's age."""
    patient, gid = story.patient, story.grant.entry.gid
    extra = await story.add(b"later", "later.txt")
    await patient.extend(gid, [extra.doc])
    assert await story.reader.sync() == []
    await patient.amend(gid, days=7)
    await story.reader.listing()
    assert story.reader.grants.get(gid).confirmed == 0
    assert await story.reader.sync() == []
    await patient.extend(gid, [(await story.add(b"last", "last.txt")).doc])
    assert await story.reader.sync() == []
    await story.reader.listing()
    assert story.reader.grants.get(gid).confirmed > 0
