"""What waits on a device, against a server that falls silent, loses answers, refuses, and shows what others did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from crypto.encoding import decode
from crypto.errors import Conflict, Damaged, NotFound, NotPermitted, Unreachable
from crypto.vault_links import AddVersion, Block, End, Grant, Mask, Tombstone, VaultLink
from crypto.wire.messages import LinkAccepted, LinkQuery, LinkSubmission, UploadStatus
from tests.adversary.story import Story
from tests.adversary.test_keyrings import rotated
from vault_client import transfer
from vault_client.changes import AddDocument, Authorise, EndGrant
from vault_client.local_vault import newest
from vault_client.patient import Patient
from vault_client.sending import Sending
from vault_client.unanswered_grants import UnansweredGrants
from vault_client.vault_replica import Intent

SILENT = ("links", "append_link", "upload_status", "put_part", "identity_chain", "checkpoint")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "WAITS", (0, 0))


def cut(_: Any) -> Any:
    """The connection is lost before the answer."""
    raise Unreachable("cut")


@contextmanager
def offline(story: Story) -> Iterator[None]:
    """Nobody answers; each line of the block may end in Unreachable."""
    for operation in SILENT:
        story.patient_vault.withhold(operation, Unreachable("gone"))
    story.patient_keeper.tamper("end", cut)
    yield
    story.patient_vault.be_honest()
    story.patient_keeper.be_honest()


async def operations(story: Story, since: int) -> list[Any]:
    """What the links after ``since`` did, as the honest server has them."""
    query = LinkQuery(vault=story.patient.replica.vault, since=since + 1)
    links = (await story.patient_vault.honest.links(query)).links
    return [operation for link in links for operation in decode(link.body, VaultLink).operations]


def reopened(story: Story) -> Patient:
    """The patient as another process would be: all that this one knew of its work is forgotten."""
    story.patient._sending = Sending(
        story.patient._queue, story.patient.replica, story.patient._sharing, story.patient._adding
    )
    story.patient.service.distrust = None
    return story.patient


async def test_what_was_asked_offline_is_made_ends_and_blocks_first(story: Story) -> None:
    """Kept in order, each but once; on the new head the end and the block go first, and what they forbid is dropped, said."""
    patient, gid, n = story.patient, story.grant.entry.gid, story.patient.replica.local.head.n
    first, second = (document.doc for document in story.documents)
    source = story.folder / "late.txt"
    source.write_bytes(b"late")
    recipient, card = story.grant.entry.recipient, await story.reader.card()
    with offline(story):
        for asked in (
            lambda: patient.mask(second),
            lambda: patient.mask(second),
            lambda: patient.add(source),
            lambda: patient.authorise(card, [first]),
            lambda: patient.block(recipient),
            lambda: patient.revoke(gid),
        ):
            with pytest.raises(Unreachable):
                await asked()
        assert patient.is_ending(gid)
        assert not patient.grants()[0].end_in_force
        assert [type(queued.change).__name__ for queued in patient.waiting()] == [
            "EndGrant",
            "BlockIdentity",
            "MaskDocument",
            "AddDocument",
            "Authorise",
        ]
    await reopened(story).send_waiting()
    assert [type(each) for each in await operations(story, n)] == [End, Block, Mask, AddVersion]
    ((dropped, why),) = patient.outcome.dropped
    assert isinstance(dropped.change, Authorise)
    assert "blocked" in why
    assert (patient.waiting(), len(patient.outcome.sent)) == ([], 4)
    assert patient.grants()[0].end_in_force
    assert (await patient.log()).alarms == ()


async def test_a_false_trust_root_keeps_no_end_from_the_keepers(story: Story) -> None:
    """A server that was away and then answers with another's trust root is not asked, nor in the way of an end.

    It is distrusted until the profile is opened again.
    """
    patient, gid = story.patient, story.grant.entry.gid
    with offline(story):
        patient.service.is_offline = True
        story.patient_keeper.be_honest()
        story.patient_vault.withhold("trust_roots", NotPermitted("another service"))
        with pytest.raises(Unreachable):
            await patient.revoke(gid)
        assert patient.grants()[0].end_in_force
    await reopened(story).send_waiting()
    assert patient.waiting() == []


async def test_what_was_deleted_offline_leaves_no_copy(story: Story) -> None:
    """A document whose deletion waited can be read until it is in the record; then its copy goes with it."""
    patient, document = story.patient, story.documents[1]
    copy = story.folder / "patient" / "ciphertext" / document.ver.hex()
    await patient.fetch_replica()
    with offline(story), pytest.raises(Unreachable):
        await patient.delete(document.doc)
    assert copy.is_file()
    await reopened(story).send_waiting()
    assert patient.waiting() == []
    assert not copy.exists()


async def test_what_another_device_made_void_is_dropped_and_said(story: Story) -> None:
    """A mask of a document that was deleted elsewhere is dropped with its reason; that of another one is made."""
    patient, n = story.patient, story.patient.replica.local.head.n
    first, second = (document.doc for document in story.documents)
    with offline(story):
        for doc in (first, second):
            with pytest.raises(Unreachable):
                await patient.mask(doc)
    await patient.replica.append(Intent(operations=(Tombstone(doc=first),)))
    await reopened(story).send_waiting()
    ((dropped, why),) = patient.outcome.dropped
    assert (dropped.change.doc, "no such document" in why) == (first, True)
    assert await operations(story, n) == [Tombstone(doc=first), Mask(doc=second, masked=True)]
    assert patient.waiting() == []


async def test_a_servers_refusal_takes_nothing_from_the_queue(story: Story) -> None:
    """A server that denies a recipient, or refuses an end, is named; what it refused goes on waiting, and is made later."""
    patient, gid = story.patient, story.grant.entry.gid
    card = await story.reader.card()
    with offline(story), pytest.raises(Unreachable):
        await patient.authorise(card, [story.documents[0].doc])
    story.patient_vault.withhold("identity_chain", NotFound())
    story.patient_vault.withhold("append_link", NotPermitted("no"))
    with pytest.raises(NotPermitted):
        await patient.revoke(gid)
    await reopened(story).send_waiting()
    assert len(patient.outcome.refused) == len(patient.waiting()) == 2
    assert (patient.outcome.dropped, patient.is_ending(gid)) == ([], True)
    story.patient_vault.be_honest()
    await reopened(story).send_waiting()
    assert patient.waiting() == []
    assert sorted(grant.entry.ended for grant in patient.grants()) == [False, True]


async def test_a_document_whose_answer_was_lost_is_there_once(story: Story) -> None:
    """The link arrived and its answer did not: nothing is taken back, nothing sent again, and the proof is fetched."""
    patient, n = story.patient, story.patient.replica.local.head.n
    source = story.folder / "late.txt"
    source.write_bytes(b"late")

    story.patient_vault.tamper("append_link", cut)
    with pytest.raises(Unreachable):
        await patient.add(source)
    (queued,) = patient.waiting()
    assert patient.is_sent(queued)
    with pytest.raises(NotPermitted, match="may be in the record"):
        patient.take_back(queued.id)
    story.patient_vault.be_honest()
    sent = len(story.patient_vault.asked("put_part"))
    await reopened(story).send_waiting()
    assert len(story.patient_vault.asked("put_part")) == sent
    assert [type(each) for each in await operations(story, n)] == [AddVersion]
    assert (patient.waiting(), len(patient.documents())) == ([], 3)
    story.nothing_written()


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_grant_whose_answer_was_lost_is_made_once(story: Story, is_late: bool) -> None:
    """Whether its link was there at once or arrives behind the next attempt: one grant, known in full, that opens."""
    patient, n = story.patient, story.patient.replica.local.head.n
    lost: list[LinkSubmission] = []

    async def lose(query: LinkSubmission) -> LinkAccepted:
        lost.append(query)
        if not is_late:
            await story.patient_vault.honest.append_link(query)
        raise Unreachable("cut")

    async def late(query: LinkSubmission) -> LinkAccepted:
        if lost:
            await story.patient_vault.honest.append_link(lost.pop())
        return await story.patient_vault.honest.append_link(query)

    story.patient_vault.forge("append_link", lose)
    with pytest.raises(Unreachable):
        await patient.authorise(await story.reader.card(), [story.documents[0].doc])
    story.patient_vault.forge("append_link", late)
    if not is_late:
        lost.clear()
    for _ in range(2):
        await reopened(story).send_waiting()
    assert patient.waiting() == []
    assert [type(each) for each in await operations(story, n)] == [Grant]
    grant = next(each for each in patient.grants() if each.entry.gid != story.grant.entry.gid)
    assert [version.doc for version in patient.granted(grant.entry.gid)] == [story.documents[0].doc]
    assert await story.reader.sync() == []


async def test_what_was_sent_before_something_else_is_not_taken_back(story: Story) -> None:
    """A grant that the server has and did not answer stays sent when another change is sent on the same head, unanswered too."""
    patient, n = story.patient, story.patient.replica.local.head.n
    story.patient_vault.tamper("append_link", cut)
    with pytest.raises(Unreachable):
        await patient.authorise(await story.reader.card(), [story.documents[0].doc])
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await patient.block(bytes(32))
    block, grant = patient.waiting()
    for queued in (block, grant):
        assert patient.is_sent(queued)
        with pytest.raises(NotPermitted):
            patient.take_back(queued.id)
    story.patient_vault.be_honest()
    await reopened(story).send_waiting()
    assert patient.waiting() == []
    assert [type(each) for each in await operations(story, n)] == [Grant, Block]
    assert not patient.replica.unanswered()


async def test_what_the_server_forgot_is_sent_anew(story: Story) -> None:
    """An unfinished upload that was swept meanwhile: its parts are sent again, and it is added."""
    source, before = story.folder / "late.txt", len(story.patient_vault.asked("put_part"))
    source.write_bytes(b"late")
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await story.patient.add(source)
    (queued,) = story.patient.waiting()
    assert isinstance(queued.change, AddDocument)
    answers = [NotPermitted("missing"), NotPermitted("missing"), None]  # as it was sent, and signed anew

    async def append(query: LinkSubmission) -> LinkAccepted:
        if (error := answers.pop(0)) is not None:
            story.patient_vault.replay("upload_status", UploadStatus(parts=()))
            raise error
        return await story.patient_vault.honest.append_link(query)

    story.patient_vault.forge("append_link", append)
    await reopened(story).send_waiting()
    assert story.patient.waiting() == []
    assert len(story.patient_vault.asked("put_part")) == before + 2


async def test_damaged_ciphertext_is_not_sent(story: Story) -> None:
    """A byte that changed on the disk while it waited: nothing of that part leaves, it is said, and it can be taken back."""
    source = story.folder / "late.txt"
    source.write_bytes(b"late")
    with offline(story), pytest.raises(Unreachable):
        await story.patient.add(source)
    (file,) = (story.folder / "patient" / "spool").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1]))
    sent = len(story.patient_vault.asked("put_part"))
    await reopened(story).send_waiting()
    ((queued, error),) = story.patient.outcome.refused
    assert isinstance(error, Damaged)
    assert len(story.patient_vault.asked("put_part")) == sent
    story.patient.take_back(queued.id)
    assert story.patient.waiting() == []
    story.nothing_written()


async def test_the_key_is_wrapped_under_the_epoch_of_the_signing(story: Story) -> None:
    """Another device starts a new epoch while a document waits: it is added under the new one, and opens."""
    source = story.folder / "late.txt"
    source.write_bytes(b"late")
    with offline(story), pytest.raises(Unreachable):
        await story.patient.add(source)
    await rotated(story, lambda made: made)
    await reopened(story).send_waiting()
    (document,) = [each for each in story.patient.documents() if each.descriptor.title == "late"]
    assert newest(story.patient.replica.document(document.doc).document).epoch == 1
    await story.patient.get(document.doc, story.destination)
    assert story.destination.read_bytes() == b"late"


async def sent_and_unanswered(story: Story, *, arrives: bool) -> tuple[bytes, LinkSubmission]:
    """A new grant, the only one, whose answer is lost, or whose link the server keeps back: its id, and the link."""
    await story.patient.revoke(story.grant.entry.gid)
    sent: list[LinkSubmission] = []

    async def lose(query: LinkSubmission) -> LinkAccepted:
        sent.append(query)
        if arrives:
            await story.patient_vault.honest.append_link(query)
        raise Unreachable("cut")

    story.patient_vault.forge("append_link", lose)
    with pytest.raises(Unreachable):
        await story.patient.authorise(await story.reader.card(), [story.documents[0].doc])
    (grant,) = story.patient.unanswered_grants()
    assert [version.doc for version in story.patient.granted(grant.entry.gid)] == [story.documents[0].doc]
    return grant.entry.gid, sent[0]


async def opened(story: Story) -> int:
    """How many documents the practitioner can open now."""
    await story.reader.sync()
    return len(await story.reader.listing())


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_grant_that_was_not_answered_is_ended_at_the_keepers(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A44: the server has a grant, hides that, and plays dead: it is ended all the same, and at the next answer in the record.

    The twin can end only what is known to be in the record, and the practitioner reads.
    """
    patient, (gid, _) = story.patient, await sent_and_unanswered(story, arrives=True)
    n = patient.replica.local.head.n
    if is_twin:
        monkeypatch.setattr(UnansweredGrants, "grant", lambda *_: None)
    with offline(story):
        story.patient_keeper.be_honest()
        with pytest.raises(NotPermitted if is_twin else Unreachable):
            await patient.revoke(gid)
        assert await opened(story) == (1 if is_twin else 0)
        if is_twin:
            return
        assert [grant.end_in_force for grant in patient.unanswered_grants()] == [True]
        assert [type(queued.change) for queued in patient.waiting()] == [EndGrant]
    await reopened(story).send_waiting()
    assert [type(each) for each in await operations(story, n)] == [Grant, End]
    assert (patient.waiting(), patient.unanswered_grants()) == ([], [])
    assert all(grant.entry.ended and grant.end_in_force for grant in patient.grants())
    assert (await patient.log()).alarms == ()


@pytest.mark.parametrize("when", ["after", "before", "twin"])
async def test_a_grant_that_is_kept_back_does_not_come_after_its_end(
    story: Story, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A44: the server kept the link of a grant that was ended meanwhile: it cannot bring it in later, nor in between.

    The twin forgets a grant that it does not see in the record, and the practitioner reads.
    """
    patient, (gid, kept) = story.patient, await sent_and_unanswered(story, arrives=False)
    n, honest = patient.replica.local.head.n, story.patient_vault.honest
    with offline(story), pytest.raises(Unreachable):
        await patient.revoke(gid)
    if when == "before":

        async def both(query: LinkSubmission) -> LinkAccepted:
            story.patient_vault.be_honest()
            await honest.append_link(kept)
            return await honest.append_link(query)

        story.patient_vault.forge("append_link", both)
    if when == "twin":
        monkeypatch.setattr(UnansweredGrants, "settle", forgotten)
    await reopened(story).send_waiting()
    assert patient.waiting() == []
    if when == "before":
        assert [type(each) for each in await operations(story, n)] == [Grant, End]
    elif when == "after":
        with pytest.raises(Conflict):
            await honest.append_link(kept)
        assert [type(each) for each in await operations(story, n)] == [Block]
        assert not patient.replica.is_blocked(story.grant.entry.recipient)
    else:
        await honest.append_link(kept)
    assert await opened(story) == (1 if when == "twin" else 0)
    assert patient.unanswered_grants() == []
    if when != "twin":
        assert (await patient.log()).alarms == ()


async def forgotten(grants: UnansweredGrants, _: object) -> bool:
    """What takes a grant that was not answered for one that never was."""
    for name in list(grants._store.names("unanswered")):
        grants._store.delete(name)
    return False
