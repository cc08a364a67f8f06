"""A server that hides, forges or changes entries of a patient's log, and readers who hide their readings."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.access_log import parse_leaf
from crypto.errors import CoffreError, Malformed, NotFound, NotProven, TooLarge, Unreachable
from crypto.locators import end_tag, event_tag
from crypto.requests import read_request
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, Signature, SigningKey, sign, sign_encoded
from crypto.vault_links import End, Mask, VaultLink
from crypto.wire.messages import GrantEventQuery, IdentityQuery, Openings
from crypto.wire.problems import TABLE
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.twins import Anything
from vault_client import audit, audit_changes, audit_readings, audit_times
from vault_client.audit_readings import Readings
from vault_client.audit_report import AuditReport
from vault_client.local_vault import GrantMade
from vault_client.log_scan import ScanKeys
from vault_client.reader_keys import ReaderKeys
from vault_client.scan_keys import scan_keys
from vault_client.vault_replica import Intent


def slot_of(envelope: Envelope) -> bytes:
    """The locator that a request asks for."""
    return read_request(envelope).slot_two


def readings(report: AuditReport) -> list[str]:
    """The acts that a report shows as readings."""
    return [entry.act for entry in report.entries if entry.kind == "access"]


def tag_of(story: Story, j: int | None) -> bytes:
    """The tag of event ``j`` of the grant, or of its end."""
    gid = story.grant.entry.gid
    end_key = shares.end_key(SecretBytes(story.patient.replica.epoch().secret), gid)
    return end_tag(end_key, story.origin, gid) if j is None else event_tag(end_key, story.origin, gid, j)


async def forged_link(story: Story, key: SigningKey | None = None) -> Envelope:
    """A link that would follow, by a key that is nobody's unless it is given."""
    local, view = story.patient.replica.local, await story.patient.service.view(story.origin)
    link = VaultLink(
        suite=labels.SUITE,
        vault=local.head.vault,
        n=local.head.n + 1,
        prev=local.head.link,
        signers=(story.patient.own.known_at(story.patient.service, view.dir).ref,),
        operations=(Mask(doc=story.documents[0].doc, masked=True),),
        view=view,
    )
    return sign(labels.VAULT_LINK, link, key or SigningKey.generate())


async def test_honest_entries_raise_no_alarm(story: Story) -> None:
    """The control of this page: readings put into the log as an honest server does are shown without alarm."""
    entries = await ForgedEntries.begin(story)
    for act in ("release", "list"):
        envelope = await request(story, act=act)
        entries.add(envelope, slot_two=slot_of(envelope))
    entries.add(await request(story, act="release"), "refused")
    assert await entries.alarms() == []
    assert readings(await story.patient.log()) == ["list", "release", "list"]


async def test_an_entry_under_a_wrong_locator_is_found(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A51: a reading that the server logs where only the reader's locator leads is HIDDEN_BY_SERVER."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_one=fresh(), slot_two=slot_of(envelope))

    def scan_key_only(*found: Any) -> ScanKeys:
        return replace(scan_keys(*found), grants={})

    with monkeypatch.context() as twin:
        twin.setattr(audit, "scan_keys", scan_key_only)
        assert readings(await entries.twin_sees("HIDDEN_BY_SERVER")) == ["list"]
    assert await entries.alarms() == ["HIDDEN_BY_SERVER"]
    assert readings(await story.patient.log()) == ["list", "release"]


async def test_a_withheld_opening_is_an_alarm(story: Story) -> None:
    """A41: an entry whose opening the server does not show is WITHHELD, found by its leaf alone."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    index = entries.add(envelope, slot_two=slot_of(envelope))
    del entries.log.openings[index]
    assert await entries.alarms() == ["WITHHELD"]


async def test_an_opening_of_something_else_is_an_alarm(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A34, A49: another entry's opening, or one that the leaf does not commit to, is BAD_OPENING."""
    entries = await ForgedEntries.begin(story)
    first, second, third = [await request(story, act=act) for act in ("release", "list", "export")]
    places = [entries.add(each, slot_two=slot_of(each)) for each in (first, second, third)]
    entries.log.openings[places[0]] = msgspec.structs.replace(
        entries.log.openings[places[1]], index=places[0]
    )
    instead = entries.made[places[1]]
    entries.log.openings[places[2]] = entries.seal(
        parse_leaf(entries.log.leaves[places[2]]), instead, places[2]
    )
    with monkeypatch.context() as twin:
        twin.setattr(audit, "commitment", lambda *_: Anything())
        twin.setattr(audit, "previous", lambda *_: Anything())
        twin.setattr(Readings, "_is_replayed", lambda *_: False)
        assert "export" not in readings(await entries.twin_sees())
    assert (await entries.alarms()).count("BAD_OPENING") == 2


async def test_a_gap_between_entries_is_an_alarm(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A49: an entry that does not follow from the one before is CHAIN: something in between was left out."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope), follows=False)
    with monkeypatch.context() as twin:
        twin.setattr(audit, "previous", lambda *_: Anything())
        assert (await entries.twin_sees()).alarms == ()
    assert await entries.alarms() == ["CHAIN"]


async def test_nobody_can_be_framed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A52: a reading that its reader did not sign, or signed for something else, is an alarm and names nobody."""
    entries = await ForgedEntries.begin(story)
    true, other = await request(story), await request(story, number=1)
    stranger = await request(story, key=SigningKey.generate())
    borrowed = Signature(key=true.signatures[0].key, signature=stranger.signatures[0].signature)
    for forged in (
        stranger,
        msgspec.structs.replace(await request(story, key=SigningKey.generate()), signatures=(borrowed,)),
        msgspec.structs.replace(other, signatures=true.signatures),
    ):
        entries.add(forged, slot_two=slot_of(forged))
    with monkeypatch.context() as twin:
        twin.setattr(audit_readings, "check_request", lambda *_: None)
        report = await entries.twin_sees("FORGED_READ")
        assert [entry.identity for entry in report.entries[-3:]] == [story.reader.own.identity] * 3
    assert await entries.alarms() == ["FORGED_READ"] * 3
    report = await story.patient.log()
    assert [(entry.identity, entry.name) for entry in report.entries[-3:]] == [(None, "")] * 3


async def test_a_true_request_counts_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A52: a true request that the server logs a second time is REPLAY, and shows no second reading."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    for _ in range(2):
        entries.add(envelope, slot_two=slot_of(envelope))
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_is_replayed", lambda *_: False)
        assert readings(await entries.twin_sees("REPLAY")) == ["list", "release", "release"]
    assert await entries.alarms() == ["REPLAY"]
    assert readings(await story.patient.log()) == ["list", "release"]


async def test_a_reading_outside_its_grant_is_an_alarm(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A26, A47: a document that was not granted, and a grant that the patient never made, are OUT_OF_SCOPE."""
    entries = await ForgedEntries.begin(story)
    document = read_request(await request(story)).documents[0]
    outside = await request(story, documents=(msgspec.structs.replace(document, doc=fresh(16)),))
    entries.add(outside, slot_two=slot_of(outside))
    entries.add(await request(story, gid=fresh()))
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_check_scope", lambda *_: None)
        await entries.twin_sees("OUT_OF_SCOPE")
    assert (await entries.alarms()).count("OUT_OF_SCOPE") == 2


async def test_a_reading_is_judged_by_what_was_allowed_then(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading before an event that allows less accuses nobody, one after it does; the twin looks at the newest only."""
    gid, store = story.grant.entry.gid, story.patient._store
    await story.read()
    document = await story.add(b"later", "later.txt")
    made = store.get(f"grant/{gid.hex()}", GrantMade)
    assert made is not None
    store.put(f"grant/{gid.hex()}", msgspec.structs.replace(made, acts=("list",)))
    await story.patient.extend(gid, [document.doc])

    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_terms", lambda self, grant, _: grant)
        assert [alarm.code for alarm in (await story.patient.log()).alarms] == ["OUT_OF_SCOPE"]
    for group in ("audit", "entry", "alarm", "slot"):
        for name in store.names(group):
            store.delete(name)
    await story.reader.sync()
    entries = await ForgedEntries.begin(story)  # no alarm
    for act in ("list", "release"):
        envelope = await request(story, act=act)
        entries.add(envelope, slot_two=slot_of(envelope))
    assert await entries.alarms() == ["OUT_OF_SCOPE"]


async def test_a_reader_who_hides_its_reading_is_named(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A51: a granted request under no locator of its grant, or under the tag of its end, is MISPLACED_BY_READER."""
    entries = await ForgedEntries.begin(story)
    hidden = await request(story, slot_two=fresh())
    entries.add(hidden, slot_two=slot_of(hidden))
    as_end = await request(story, slot_two=tag_of(story, None))
    entries.add(as_end, slot_two=slot_of(as_end))
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_check_reading", lambda *_: None)
        assert (await entries.twin_sees()).alarms == ()
    assert await entries.alarms() == ["MISPLACED_BY_READER"] * 2


async def test_times_that_do_not_agree_are_an_alarm(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A52: a reading whose server time and reader's time are more than ten minutes apart is BACKDATED."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope), time=read_request(envelope).time - 700)
    with monkeypatch.context() as twin:
        twin.setattr(audit_readings, "TEN_MINUTES", 1 << 40)
        twin.setattr(audit_times, "TEN_MINUTES", 1 << 40)
        assert (await entries.twin_sees()).alarms == ()
    assert await entries.alarms() == ["BACKDATED"]


async def test_a_reader_that_was_shown_an_old_grant_is_named(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A45, A50: a request built on an older event than the log held when it was signed is STALE_VIEW."""
    await story.reader.sync()
    entries = await ForgedEntries.begin(story)
    envelope = await request(story, ghead=fresh())
    entries.add(envelope, slot_two=slot_of(envelope))
    with monkeypatch.context() as twin:
        twin.setattr(Readings, "_check_scope", lambda *_: None)
        assert (await entries.twin_sees()).alarms == ()
    assert await entries.alarms() == ["STALE_VIEW"]


async def test_a_change_that_nobody_made_is_an_alarm(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A36, A52: what the server puts into the record's log itself is an alarm, and never shown as the patient's act."""
    entries = await ForgedEntries.begin(story)
    link, nobody = await forged_link(story), SigningKey.generate()
    again = story.patient._store.get(f"link/{story.patient.replica.local.head.n}", Envelope)
    assert again is not None
    forgeries = (
        link,
        again,
        sign_encoded("coffre-1/of-no-kind", link.body, nobody),
        sign_encoded(labels.GRANT_EVENT, b"{}", nobody),
        sign_encoded(labels.VAULT_LINK, b"{}", nobody),
    )
    for forged in forgeries:
        entries.add(forged, "accepted")
    entries.add(sign_encoded(labels.ACCESS_REQUEST, b"{}", nobody))
    before = len(story.patient._store.names("entry"))
    with monkeypatch.context() as twin:
        twin.setattr(audit_changes.Changes, "follow", lambda self, place, *_: place)
        with pytest.raises(Malformed):  # without the check, one line of nonsense ends every audit
            await entries.twin_sees()
    assert await entries.alarms() == ["FORK"] * len(forgeries) + ["FORGED_READ"]
    assert len(story.patient._store.names("entry")) == before


async def test_an_event_stands_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A45, A52: another statement under an event's tag is FORK, and does not accuse readers of using an old grant."""
    entries = await ForgedEntries.begin(story)
    for body in (b"{}", b"[]"):
        event = sign_encoded(labels.GRANT_EVENT, body, SigningKey.generate())
        entries.add(event, "accepted", slot_two=tag_of(story, 0))
    view = read_request(await request(story)).view
    seen = entries.log.head()
    later = await request(story, view=msgspec.structs.replace(view, seen=seen))
    entries.add(later, slot_two=slot_of(later))
    with monkeypatch.context() as twin:
        twin.setattr(audit_changes.Changes, "follow", lambda self, place, *_: place)
        report = await entries.twin_sees("FORK")
        assert [alarm.code for alarm in report.alarms] == ["STALE_VIEW"]
    assert await entries.alarms() == ["FORK", "FORK"]


async def again(story: Story, name: str) -> Envelope:
    """What stands in the log already and is logged a second time: the event of the grant, or its end."""
    replica, gid = story.patient.replica, story.grant.entry.gid
    if name == "end":
        await story.patient.revoke(gid)
        link = story.patient._store.get(f"link/{replica.local.head.n}", Envelope)
        assert link is not None
        return link
    query = GrantEventQuery(vault=replica.vault, gid=gid, j=0)
    return (await story.patient_vault.honest.grant_event(query)).envelope


@pytest.mark.parametrize(("name", "j", "kind"), [("event", 0, "granted"), ("end", None, "ended")])
async def test_a_genuine_change_stands_once(
    story: Story, monkeypatch: pytest.MonkeyPatch, name: str, j: int | None, kind: str
) -> None:
    """A45: the very event of a grant, or its very end, logged again under its tag, is FORK; the twin shows it twice."""
    envelope = await again(story, name)
    entries = await ForgedEntries.begin(story)
    entries.add(envelope, "accepted", slot_two=tag_of(story, j))
    with monkeypatch.context() as twin:
        twin.setattr(audit_changes.Changes, "_stands_already", lambda *_: False)
        report = await entries.twin_sees("FORK")
        assert [entry.kind for entry in report.entries].count(kind) == 2
    for group in ("audit", "entry", "ended", f"event-{story.grant.entry.gid.hex()}"):
        for record in story.patient._store.names(group):
            story.patient._store.delete(record)
    assert await entries.alarms() == ["FORK"]
    assert [entry.kind for entry in (await story.patient.log()).entries].count(kind) == 1


async def test_one_link_may_end_two_grants(story: Story) -> None:
    """Two ends that stand in the log by one link are two entries, and no FORK."""
    replica, first = story.patient.replica, story.grant
    second = await story.patient.authorise(await story.reader.card(), [story.documents[0].doc])
    secret = SecretBytes(replica.epoch().secret)
    gids = [grant.entry.gid for grant in (first, second)]
    tags = tuple(end_tag(shares.end_key(secret, gid), story.origin, gid) for gid in gids)
    await replica.append(Intent(operations=tuple(End(gid=gid) for gid in gids), tags=tags))
    report = await story.patient.log()
    assert report.alarms == ()
    assert [entry.kind for entry in report.entries][-3:] == ["change", "ended", "ended"]


async def test_somebody_elses_keys_accuse_nobody(story: Story) -> None:
    """A23, A52: for a reader whose keys the server does not show, the alarm is about the server: KEY_NOT_VALID."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope))
    story.patient_vault.replay("identity_chain", story.patient.own.profile.chain)
    assert (await entries.twin_sees("FORGED_READ")).alarms[0].code == "KEY_NOT_VALID"
    story.patient_vault.withhold("identity_chain", NotFound("An identity"))
    assert await entries.alarms() == ["KEY_NOT_VALID"]


async def test_an_endless_list_of_openings_ends(story: Story) -> None:
    """A55: a server that always announces more openings is refused, not listened to for ever."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    index = entries.add(envelope, slot_two=slot_of(envelope))
    same = Openings(openings=(entries.log.openings[index],), more=True)
    early = msgspec.structs.replace(same, openings=(msgspec.structs.replace(same.openings[0], index=0),))
    story.patient_vault.replay("openings", early)
    with story.refused(NotProven):
        await story.patient.log()
    late = msgspec.structs.replace(same.openings[0], index=1 << 40)
    story.patient_vault.replay("openings", msgspec.structs.replace(same, openings=(*same.openings, late)))
    asked = len(story.patient_vault.asked("openings"))
    assert await entries.alarms() == []
    assert len(story.patient_vault.asked("openings")) == asked + 3  # one each of two syncs, and of the audit


async def test_keys_that_are_refused_do_not_end_the_audit(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A41: in whatever way a reader's keys are refused or cut off, by server or keeper, every entry is judged and shown."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope))
    link = await forged_link(story)
    entries.add(link, "accepted")
    honest = story.patient_vault.honest
    for _, kind, _ in TABLE:

        def refuse(*_: object, kind: type[CoffreError] = kind) -> None:
            raise kind("refused")

        story.patient_vault.forge("identity_chain", refuse)
        first = await entries.twin_sees()
        story.patient_vault.forge("identity_chain", honest.identity_chain)
        story.patient_keeper.tamper("identity_head", refuse)
        second = await entries.twin_sees()
        story.patient_keeper.be_honest()
        for report in (first, second):
            assert [alarm.code for alarm in report.alarms] == ["KEY_NOT_VALID", "FORK"]
            assert readings(report) == ["list", "release"]

    async def asked_once(self: ReaderKeys, identity: bytes) -> object:
        chain = await self._service.api.identity_chain(IdentityQuery(identity=identity))
        return await self._service.prove_chain(chain)

    story.patient_vault.withhold("identity_chain", TooLarge("too long"))
    with monkeypatch.context() as twin:
        twin.setattr(ReaderKeys, "_shown", asked_once)
        with pytest.raises(TooLarge):  # at every audit, with what comes after it unread
            await entries.twin_sees()
    assert await entries.alarms() == ["KEY_NOT_VALID", "FORK"]


async def test_a_service_that_is_away_accuses_nobody(story: Story) -> None:
    """A lost connection, to the server or to the keepers, is no alarm: the same entry is judged the next time."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope))
    honest = story.patient_vault.honest

    def cut(*_: object) -> None:
        raise Unreachable("cut")

    for operation in ("identity_chain", "version"):
        story.patient_vault.forge(operation, cut)
    with story.refused(Unreachable):
        await story.patient.log()
    for operation in ("identity_chain", "version"):
        story.patient_vault.forge(operation, getattr(honest, operation))
    for operation in ("identity_head", "card"):
        story.patient_keeper.tamper(operation, cut)
    with story.refused(Unreachable):
        await story.patient.log()
    story.patient_keeper.be_honest()
    assert await entries.alarms() == []
