"""A server that says it lost its newest data: what that explains, and what it can not hide."""

import time

import msgspec
import pytest

from crypto.errors import Lacking, NotProven
from crypto.locators import end_tag
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.wire.losses import GiveUp, LogLosses, Loss, LostEntries
from crypto.wire.messages import Empty, Mailbox, MailboxQuery
from tests.adversary.forged_log import ForgedEntries, random_leaf
from tests.adversary.modified_sdk import request
from tests.adversary.story import Story
from tests.adversary.test_audit import forged_link, slot_of
from tests.support.lying_vault import LyingVault
from vault_client import audit, audit_losses, audit_times, declared_losses, entries_left
from vault_client.alarms import kept_alarms
from vault_client.audit_report import AuditReport
from vault_client.received_grants import ReceivedGrants, RefusedDelivery
from vault_client.trust import BelievedHead

DAY = 86_400


def declare(vault: LyingVault, *losses: Loss, left: tuple[int, ...] = ()) -> None:
    """Have ``vault`` claim these losses of the access logs; of the record, that ``left`` were not shown again."""
    vault.forge("log_losses", lambda query: LogLosses(losses=losses if "/log/" in query.origin else ()))
    vault.forge("lost_entries", lambda _: LostEntries(link=bytes(32), entries=left, more=False))


def lost(entries: ForgedEntries, *indexes: int, age: int = 0) -> None:
    """Have the server show none of these entries, and claim that it lost them."""
    for index in indexes:
        del entries.log.openings[index]
    start, end = min(indexes), max(indexes) + 1
    declare(entries.story.patient_vault, Loss(start=start, end=end, time=int(time.time()) - age))


def codes(report: AuditReport) -> list[str]:
    """The codes of a report's alarms."""
    return [alarm.code for alarm in report.alarms]


def kinds(report: AuditReport) -> list[str]:
    """The kinds of a report's last entries."""
    return [entry.kind for entry in report.entries][-2:]


async def test_a_claimed_loss_hides_no_reading(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is lost; that it was, and under whose grant, is said. A client that leaves out what is lost sees nothing."""
    entries = await ForgedEntries.begin(story)
    first, second = [await request(story, act=act) for act in ("release", "export")]
    index = entries.add(first, slot_two=slot_of(first))
    entries.add(second, slot_two=slot_of(second))
    lost(entries, index)
    with monkeypatch.context() as twin:
        twin.setattr(audit_losses.LostEntries, "note", lambda *_: None)
        twin.setattr(audit, "LOST_UNKNOWN", "")
        twin.setattr(audit.Alarms, "add", lambda *_, **__: None)
        report = await entries.twin_sees("WITHHELD")
        assert kinds(report) == ["access", "access"]
    report = await story.patient.log()
    assert codes(report) == []
    assert kinds(report) == ["lost", "access"]
    (told,) = [entry for entry in report.entries if entry.kind == "lost"]
    assert (told.index, told.name, told.grant) == (index, "Dr Claire Martin", story.grant.entry.gid)


async def test_without_a_claim_the_same_is_withheld(story: Story) -> None:
    """The control: the same reading, not shown and not declared to be lost, is an alarm as ever."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    index = entries.add(envelope, slot_two=slot_of(envelope))
    del entries.log.openings[index]
    assert await entries.alarms() == ["WITHHELD"]


async def test_a_claimed_loss_hides_no_change(story: Story) -> None:
    """An entry that may be a change stays an alarm, which goes when it is shown, and is kept once nobody is waited for."""
    entries = await ForgedEntries.begin(story)
    index = entries.add(await request(story), "refused")
    shown = entries.log.openings[index]
    lost(entries, index)
    for _ in range(2):
        report = await story.patient.log()
        assert codes(report) == ["WITHHELD"]
        assert "declares" in report.alarms[0].text
    assert kept_alarms(story.patient._store) == []
    entries.log.openings[index] = shown
    report = await story.patient.log()
    assert (codes(report), kinds(report)[-1]) == ([], "refused")

    last = entries.add(await forged_link(story, story.patient.own.device), "accepted")
    lost(entries, last, age=31 * DAY)
    monthold = await story.patient.log()
    assert codes(monthold) == ["WITHHELD"]
    assert [alarm.code for alarm in kept_alarms(story.patient._store)] == ["WITHHELD"]


async def test_a_claimed_loss_hides_no_end(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end whose words are lost is in force by its leaf alone: who reads behind it is OUT_OF_SCOPE."""
    entries = await ForgedEntries.begin(story)
    gid = story.grant.entry.gid
    secret = SecretBytes(story.patient.replica.epoch().secret)
    tag = end_tag(shares.end_key(secret, gid), story.origin, gid)
    end = entries.add(await request(story, act="list"), "accepted", slot_two=tag)
    behind = await request(story)
    entries.add(behind, slot_two=slot_of(behind))
    lost(entries, end)
    with monkeypatch.context() as twin:
        twin.setattr(audit_losses.LostEntries, "_note_tag", lambda *_: None)
        await entries.twin_sees("OUT_OF_SCOPE")
    report = await story.patient.log()
    assert codes(report) == ["OUT_OF_SCOPE"]
    assert kinds(report) == ["lost", "access"]
    assert story.patient.replica.existing_grant(gid).end_in_force


async def test_a_loss_is_not_of_what_came_after_it(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a head confirmed after the loss did not hold yet was not lost in it: hidden, it is withheld, for good."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    index = entries.add(envelope, slot_two=slot_of(envelope))
    lost(entries, index, age=DAY)
    with monkeypatch.context() as twin:
        twin.setattr(audit_losses, "loss_of", lambda losses, at, _: declared_losses.loss_of(losses, at))
        assert kinds(await entries.twin_sees("WITHHELD"))[-1] == "lost"
    assert await entries.alarms() == ["WITHHELD"]
    assert [alarm.code for alarm in kept_alarms(story.patient._store)] == ["WITHHELD"]


@pytest.mark.parametrize(
    "losses",
    [
        (Loss(start=3, end=3, time=1),),
        (Loss(start=3, end=5, time=1), Loss(start=4, end=6, time=2)),
        (Loss(start=3, end=5, time=2), Loss(start=5, end=6, time=1)),
        (Loss(start=0, end=1 << 40, time=1),),
        (Loss(start=0, end=1, time=1 << 40),),
    ],
)
async def test_what_no_loss_can_be_is_refused(story: Story, losses: tuple[Loss, ...]) -> None:
    """A loss of nothing, two of the same, one before the other, and one of what is still to come are not believed, and not kept."""
    declare(story.patient_vault, *losses)
    with story.refused(NotProven):
        await story.patient.sync()
    assert declared_losses.kept_losses(story.patient._store, story.origin) == ()


async def test_a_loss_that_is_claimed_anew_each_time_ends_too(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices are waited for by this one's own clock. A client that goes by the newest claim keeps the alarm never."""
    entries = await ForgedEntries.begin(story)
    index = entries.add(await forged_link(story, story.patient.own.device), "accepted")
    lost(entries, index)
    assert codes(await story.patient.log()) == ["WITHHELD"]
    store, kept = story.patient._store, audit_losses.WaitingSince(since=int(time.time()) - 31 * DAY)
    for is_twin in (True, False):
        declare(story.patient_vault, Loss(start=index, end=index + 1, time=int(time.time())))
        with monkeypatch.context() as twin:
            if is_twin:
                twin.setattr(audit_losses, "WaitingSince", lambda since: kept)
                store.delete("waiting-since")
            else:
                store.put("waiting-since", kept)
            assert codes(await story.patient.log()) == ["WITHHELD"]
        assert [alarm.code for alarm in kept_alarms(store)] == ([] if is_twin else ["WITHHELD"])
    assert store.get("waiting-since", audit_losses.WaitingSince) is None
    assert codes(await story.patient.log()) == ["WITHHELD"]


async def test_while_devices_are_waited_for_nothing_is_backdated(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came after the last audit is not older than its head, also where a claimed loss keeps that one from being done."""
    entries, store = await ForgedEntries.begin(story), story.patient._store
    for name in ("audited", "reported"):
        head = story.head(story.patient.service)
        store.put(name, msgspec.structs.replace(head, time=head.time - 3600))
    lost(entries, entries.add(await request(story), "refused"))
    assert codes(await story.patient.log()) == ["WITHHELD"]
    before = int(time.time()) - 1800
    envelope = await request(story, time=before)
    entries.add(envelope, slot_two=slot_of(envelope), time=before)
    with monkeypatch.context() as twin:
        twin.setattr(audit_times, "REPORTED", "audited")
        reported = store.get("reported", BelievedHead)
        assert reported is not None
        await entries.twin_sees("BACKDATED")
        store.put("reported", reported)
    assert "BACKDATED" in codes(await story.patient.log())
    assert "BACKDATED" in [alarm.code for alarm in kept_alarms(store)]


async def test_another_log_is_given_nothing(story: Story) -> None:
    """A server whose log does not go on from the one known here is shown neither links nor openings."""
    declare(story.patient_vault, Loss(start=0, end=4, time=int(time.time())), left=(1,))
    entries = await ForgedEntries.begin(story)
    entries.log.leaves[-1] = random_leaf()
    entries.log.leaves.append(random_leaf())
    asked = len(story.patient_vault.heard)
    with story.refused(NotProven):
        await story.patient.sync()
    heard = {name for name, _ in story.patient_vault.heard[asked:]}
    assert not heard & {"show_link", "show_openings", "give_up_entries", "show_identity_link"}


async def test_a_delivery_that_comes_again_accuses_nobody(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss a mailbox is read from its beginning: what is known is passed over. The twin refuses an honest patient's grant."""
    declare(story.reader_vault, Loss(start=0, end=1, time=1))
    with monkeypatch.context() as twin:
        twin.setattr(ReceivedGrants, "_was_taken_in", lambda *_: False)
        assert len(await story.reader.sync()) == 1
    declare(story.reader_vault, Loss(start=0, end=1, time=1), Loss(start=1, end=2, time=2))
    asked = len(story.reader_vault.asked("mailbox"))
    assert await story.reader.sync() == []
    assert story.reader_vault.asked("mailbox")[asked].after == 0
    await story.reader.listing()
    await story.read()


async def test_a_claimed_loss_overwrites_no_refused_delivery(story: Story) -> None:
    """What a server delivered falsely stays as evidence, though a claimed loss has it deliver under the same number again."""
    true = (await story.reader_vault.honest.mailbox(MailboxQuery(after=0))).deliveries[0]
    for size, body in ((1, b"one"), (2, b"another")):
        declare(story.reader_vault, Loss(start=0, end=size, time=1))
        envelope = msgspec.structs.replace(true.envelope, body=body)
        false = msgspec.structs.replace(true, envelope=envelope)
        story.reader_vault.replay("mailbox", Mailbox(deliveries=(false,), more=False))
        assert len(await story.reader.sync()) == 1
    refused = [kept.delivery for _, kept in story.reader._store.scan("refused", RefusedDelivery)]
    assert {(each.number, each.envelope.body) for each in refused if each.envelope is not None} == {
        (1, b"one"),
        (1, b"another"),
    }


async def test_what_another_device_may_have_is_waited_for(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings that nobody has hold nothing up; what may be another device's change does, in words, while there is another."""
    await story.read()
    vault, replica = story.patient_vault, story.patient.replica
    reading = story.head(story.reader.service).head.size - 1
    change = (
        replica.entries.last_index(replica.local.head.n) - 1
    )  # the link of the grant; its event stands behind it
    monkeypatch.setattr(replica.entries, "last_index", lambda _: -1)
    given_up: list[GiveUp] = []

    def gave_up(query: GiveUp) -> Empty:
        given_up.append(query)
        return Empty()

    vault.forge("give_up_entries", gave_up)
    vault.forge("log_losses", lambda _: LogLosses(losses=(Loss(start=0, end=reading + 1, time=1),)))
    vault.forge("show_openings", lambda _: Empty())
    monkeypatch.setattr("vault_client.giving_back.show_identity", nothing)
    for entries, only, lacking in (
        ((reading,), False, False),
        ((change, reading), False, True),
        ((change, reading), True, False),
    ):
        answer = LostEntries(link=replica.local.head.link, entries=entries, more=False)
        vault.replay("lost_entries", answer)
        with monkeypatch.context() as patched:
            if not only:
                patched.setattr(entries_left, "_is_only_device", other_devices)
            given_up.clear()
            if lacking:
                with pytest.raises(Lacking, match="another device"):
                    await story.patient._giving_back.when_lacking()
            else:
                await story.patient._giving_back.when_lacking()
        assert len(given_up) == (0 if lacking else 1)


async def nothing(*_: object, **__: object) -> None:
    """Does nothing."""


async def other_devices(*_: object) -> bool:
    """There are other devices."""
    return False
