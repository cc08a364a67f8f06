"""A server that destroys or hides openings, and a removed device that helps it: only what a holder asked for is erased."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from crypto import erasures, exports, labels
from crypto.access_log import Opening, ServerPart
from crypto.encoding import decode, encode
from crypto.erasures import Erasure
from crypto.errors import BadSignature, NotPermitted, NotProven
from crypto.signing import Envelope, SigningKey, sign, sign_encoded
from crypto.statements import Head
from crypto.trust_root import TrustRoot
from crypto.wire.messages import EraseRequest, LogBeginning, LogQuery, OpeningQuery, Openings
from crypto.wire.vault_api import VaultApi
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import readings, slot_of, tag_of
from tests.adversary.test_removed_device import stolen
from tests.interop import export_second
from tests.interop.records_second import RefusedError
from vault_client import audit_erasures, erasing
from vault_client.audit_erasures import Erasures
from vault_client.audit_report import Entry
from vault_client.export_check import check_export
from vault_client.export_files import FolderFiles
from vault_client.local_vault import AuditPlace
from vault_client.trust import BelievedHead


async def erasure(story: Story, *entries: int, key: SigningKey | None = None) -> Envelope:
    """A request to erase, by the patient's device unless another is given."""
    patient = story.patient
    view = await patient.replica.view()
    body = Erasure(
        suite=labels.SUITE,
        vault=patient.vault,
        origin=story.origin,
        entries=entries,
        signers=(patient.own.known_at(patient.service, view.dir).ref,),
        view=view,
    )
    return sign(labels.ERASURE, body, key or patient.own.device)


def anew(story: Story) -> None:
    """The device forgets what it saw of the log, as one that comes new to the record."""
    store = story.patient._store
    with store.transaction():
        for group in ("audit", "audited", "reported", "entry", "slot"):
            for name in store.names(group):
                store.delete(name)


async def erased_reading(story: Story) -> int:
    """A reading is logged, seen and erased; its index."""
    await story.read()
    report = await story.patient.log()
    assert readings(report) == ["list", "release"]
    reading = [entry for entry in report.entries if entry.act == "release"]
    await story.patient.erasing.run(reading)
    return reading[0].index


async def test_what_a_holder_erased_is_said_to_be_erased(story: Story) -> None:
    """The control: the device that asked, and one that comes new to the record, see the erasure and no alarm; the server has no opening."""
    index = await erased_reading(story)
    assert story.patient._store.get(audit_erasures.entry_name(index), Entry) is None
    for _ in range(2):
        report = await story.patient.log()
        assert report.alarms == ()
        assert readings(report) == ["list"]
        assert [entry.erased for entry in report.entries if entry.erased] == [(index,)]
        anew(story)
    shown = await story.patient_vault.honest.openings(OpeningQuery(vault=story.patient.vault, since=index))
    assert index not in {opening.index for opening in shown.openings}


async def test_what_is_said_to_be_gone_is_not_taken_for_erased(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that calls a young reading gone by age, and so is asked nothing, would keep it: the twin forgets it here alone."""
    await story.read()
    story.destination.unlink()
    reading = (await story.patient.log()).entries[-1]
    store, name = story.patient._store, audit_erasures.entry_name(reading.index)
    said = LogBeginning(minimum=reading.index + 1, note=None)
    story.patient_vault.forge("log_beginning", lambda _: said)
    with story.refused(NotProven):
        await story.patient.erasing.run([reading])
    assert store.get(name, Entry) == reading
    with monkeypatch.context() as twin:
        twin.setattr(erasing, "believed_beginning", said_by_the_server)
        await story.patient.erasing.run([reading])
    assert store.get(name, Entry) is None
    assert story.patient_vault.asked("erase") == []
    query = OpeningQuery(vault=story.patient.vault, since=reading.index)
    shown = await story.patient_vault.honest.openings(query)
    assert reading.index in {opening.index for opening in shown.openings}


async def said_by_the_server(api: VaultApi, _: TrustRoot, believed: BelievedHead) -> int:
    """What a client believes that asks nobody else."""
    return (await api.log_beginning(LogQuery(origin=believed.origin))).minimum


async def test_a_device_that_saw_the_reading_forgets_it_too(story: Story) -> None:
    """Another device, which had the reading, destroys what it keeps of it when it meets the erasure."""
    index = await erased_reading(story)
    name, seen = audit_erasures.entry_name(index), (await story.patient.log()).entries[-1]
    store = story.patient._store
    anew(story)
    store.put(name, msgspec.structs.replace(seen, index=index, kind="access", act="release", erased=()))
    assert readings(await story.patient.log()) == ["list"]
    assert store.get(name, Entry) is None


async def test_an_opening_destroyed_without_an_erasure_is_withheld(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that destroys a reading nobody asked to erase, or hides one beside it, is told from an erasure: WITHHELD."""
    entries = await ForgedEntries.begin(story)
    first, second = [await request(story, act=act) for act in ("release", "export")]
    wanted, other = [entries.add(each, slot_two=slot_of(each)) for each in (first, second)]
    await story.patient.service.refresh(story.origin)
    entries.add(await erasure(story, wanted), "accepted")
    del entries.log.openings[wanted], entries.log.openings[other]
    with monkeypatch.context() as twin:
        twin.setattr(audit_erasures, "read_erasure", _naming(wanted, other))
        twin.setattr(audit_erasures, "check_erasure", lambda *_: None)
        twin.setattr("vault_client.audit.previous", lambda *_: None)
        await entries.twin_sees("WITHHELD")
    assert set(await entries.alarms()) == {"WITHHELD", "CHAIN"}
    assert {alarm.index for alarm in (await story.patient.log()).alarms if alarm.code == "WITHHELD"} == {
        other
    }


async def test_an_erasure_excuses_readings_of_the_record_only(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure excuses no leaf that only the reader's mark finds, and no event or end, though a holder signed for all three.

    The twin asks for the erasure alone.
    """
    entries = await ForgedEntries.begin(story)
    reading, hidden = [await request(story, act=act) for act in ("release", "export")]
    event = sign_encoded(labels.GRANT_EVENT, b"{}", SigningKey.generate())
    places = [
        entries.add(reading, slot_two=slot_of(reading)),
        entries.add(hidden, slot_one=fresh(), slot_two=slot_of(hidden)),
        entries.add(event, "accepted", slot_two=tag_of(story, 0)),
    ]
    await story.patient.service.refresh(story.origin)
    entries.add(await erasure(story, *places), "accepted")
    for place in places:
        del entries.log.openings[place]
    with monkeypatch.context() as twin:
        twin.setattr(Erasures, "excuse", lambda self, leaf: leaf.index in self.erased)
        await entries.twin_sees("WITHHELD")
    assert set(await entries.alarms()) == {"WITHHELD"}
    alarms = (await story.patient.log()).alarms
    assert [alarm.index for alarm in alarms if alarm.code == "WITHHELD"] == places[1:]


async def test_what_came_after_an_erasure_is_not_erased(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure that names an entry behind its own is FORK, and the entry WITHHELD; the twin believes it."""
    entries = await ForgedEntries.begin(story)
    at = len(entries.log.leaves)
    body = decode((await erasure(story, at - 1)).body, Erasure)
    view = msgspec.structs.replace(body.view, seen=Head(size=at + 2, root=fresh()))
    early = msgspec.structs.replace(body, entries=(at + 1,), view=view)
    entries.add(sign(labels.ERASURE, early, story.patient.own.device), "accepted")
    reading = await request(story)
    index = entries.add(reading, slot_two=slot_of(reading))
    assert index == at + 1
    del entries.log.openings[index]
    with monkeypatch.context() as twin:
        twin.setattr(audit_erasures, "check_before", lambda *_: None)
        await entries.twin_sees("FORK", "WITHHELD")
    assert await entries.alarms() == ["FORK", "WITHHELD"]


def _naming(*entries: int) -> Callable[[Envelope], Erasure]:
    """A reading of erasures that makes them name what they do not."""
    read = audit_erasures.read_erasure

    def wider(envelope: Envelope) -> Erasure:
        return msgspec.structs.replace(read(envelope), entries=entries)

    return wider


async def test_an_erasure_by_no_device_of_the_holder_excuses_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure that a key of nobody's signed is FORK, and what it names is WITHHELD."""
    entries = await ForgedEntries.begin(story)
    reading = await request(story, act="release")
    index = entries.add(reading, slot_two=slot_of(reading))
    await story.patient.service.refresh(story.origin)
    entries.add(await erasure(story, index, key=SigningKey.generate()), "accepted")
    del entries.log.openings[index]
    with monkeypatch.context() as twin:
        twin.setattr(audit_erasures, "check_erasure", lambda *_: None)
        await entries.twin_sees("FORK", "WITHHELD")
    assert set(await entries.alarms()) == {"FORK", "WITHHELD"}


async def test_a_removed_device_erases_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A36: as of before its removal it signs; the server refuses it, and where a server takes it, the patient's audit does not."""
    async with stolen(story) as theft:
        patient, thief = theft.restored, story.patient
        await story.reader.listing()
        await story.read()
        reading = next(entry for entry in (await patient.log()).entries if entry.act == "release")
        seen = (await patient.service.view(story.origin)).seen
        body = Erasure(
            suite=labels.SUITE,
            vault=patient.vault,
            origin=story.origin,
            entries=(reading.index,),
            signers=(thief.own.known_at(thief.service, theft.before.dir).ref,),
            view=msgspec.structs.replace(theft.before, seen=seen),
        )
        forged = sign(labels.ERASURE, body, thief.own.device)
        with pytest.raises(BadSignature, match="removed"):
            await theft.vault.honest.erase(EraseRequest(erasure=forged))
        audit = patient._audit()
        part = ServerPart(body=forged.digest, time=1, outcome="accepted", prev=bytes(32))
        opening = Opening(salt=bytes(32), salt2=bytes(32), previous=bytes(32), envelope=forged, part=part)
        place = patient._store.get("audit", AuditPlace)
        assert place is not None
        with monkeypatch.context() as twin:
            twin.setattr(erasures, "check_not_removed", lambda *_: None)
            assert await audit._erasures.judge(seen.size, opening, place.next_link) is not None
        assert await audit._erasures.judge(seen.size, opening, place.next_link) is None
        await patient.erasing.run([reading])  # whoever is live may
        assert (await patient.log()).alarms == ()


async def read_and_erased_while_one_looks(story: Story) -> int:
    """A reading, by its index, that is erased between the head and the openings which the next audit fetches."""
    await story.read()
    report = await story.patient.log()
    index = next(entry.index for entry in report.entries if entry.act == "release")
    statement, honest = await erasure(story, index), story.patient_vault.honest
    anew(story)

    async def erased_meanwhile(query: OpeningQuery) -> Openings:
        await honest.erase(EraseRequest(erasure=statement))
        return await honest.openings(query)

    story.patient_vault.forge("openings", erased_meanwhile)
    return index


async def test_what_is_erased_while_one_looks_is_no_alarm(story: Story) -> None:
    """A reading erased between the head and the openings that an audit fetches: the newest head says who had it erased."""
    index = await read_and_erased_while_one_looks(story)
    report = await story.patient.log()
    assert (report.alarms, readings(report)) == ((), ["list"])
    assert [entry.erased for entry in report.entries if entry.erased] == [(index,)]


async def test_what_a_look_met_before_its_erasure_would_be_withheld(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of that: whoever takes no newer head raises a false alarm."""
    await read_and_erased_while_one_looks(story)
    believed = story.patient.service.believed(story.origin)

    async def no_newer(_: str) -> BelievedHead:
        return believed

    monkeypatch.setattr(story.patient.service, "refresh", no_newer)
    assert "WITHHELD" in {alarm.code for alarm in (await story.patient.log()).alarms}


async def test_readings_under_an_alarm_are_left_out(story: Story) -> None:
    """What an alarm is about is evidence: it is never among what can be erased."""
    entries = await ForgedEntries.begin(story)
    reading = await request(story)
    index = entries.add(reading, slot_one=fresh(), slot_two=slot_of(reading))
    report = await story.patient.log()
    assert [alarm.code for alarm in report.alarms] == ["HIDDEN_BY_SERVER"]
    found = story.patient.erasing.before(report, story.patient.service.now() + 60)
    assert index not in {entry.index for entry in found.entries}
    assert (found.alarmed, [entry.act for entry in found.entries]) == (1, ["list"])


async def test_only_the_traces_of_a_deleted_document_go(story: Story) -> None:
    """Readings that name a document alone go once it is deleted, and not before; those that name others stay."""
    await story.read(0)
    await story.read(1)
    report, doc = await story.patient.log(), story.documents[0].doc
    with pytest.raises(NotPermitted):
        story.patient.erasing.of_document(report, doc)
    await story.patient.delete(doc)
    report = await story.patient.log()
    found = story.patient.erasing.of_document(report, doc)
    assert ([entry.documents for entry in found.entries], found.others) == ([(doc,)], 0)
    await story.patient.erasing.run(found.entries)
    report = await story.patient.log()
    assert (report.alarms, readings(report)) == ((), ["list", "release"])


async def test_an_export_shows_what_was_erased(story: Story) -> None:
    """An erased reading is missing without a finding, for both readers; where the erasure itself is left out it is one."""
    await story.read(0)
    await story.read(1)
    report = await story.patient.log()
    reading = next(entry for entry in report.entries if entry.act == "release")
    await story.patient.erasing.run([reading])
    await story.patient.log()
    folder = story.folder / "export"
    await story.patient.export(folder)
    checked = check_export(FolderFiles(folder))
    assert (checked.findings, checked.is_signed) == ([], True)
    assert [entry.erased for entry in checked.entries if entry.erased] == [(reading.index,)]
    assert reading.index not in {entry.index for entry in checked.entries}
    export_second.read(folder)

    lines = (folder / exports.ENTRIES).read_bytes().splitlines(keepends=True)
    _leave_out_the_last(story, folder, lines)  # which is the erasure
    assert len(check_export(FolderFiles(folder)).findings) == 1
    with pytest.raises(RefusedError):
        export_second.read(folder)


def _leave_out_the_last(story: Story, folder: Path, lines: list[bytes]) -> None:
    """Have the patient's device sign an export without the last of its entries."""
    data = b"".join(lines[:-1])
    (folder / exports.ENTRIES).write_bytes(data)
    manifest = exports.read_manifest((folder / exports.MANIFEST).read_bytes())
    files = tuple(
        msgspec.structs.replace(file, length=len(data), sha256=sha256(data).digest())
        if file.path == exports.ENTRIES
        else file
        for file in manifest.files
    )
    changed = msgspec.structs.replace(manifest, files=files, entries=len(lines) - 1)
    envelope = sign(labels.EXPORT, changed, story.patient.own.device)
    (folder / exports.MANIFEST).write_bytes(envelope.body)
    signatures = exports.ExportSignatures(signatures=envelope.signatures)
    (folder / exports.SIGNATURES).write_bytes(encode(signatures))
