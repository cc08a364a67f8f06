"""Evidence: each alarm's file, judged by somebody who has nothing but the file and the service's card."""

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto import labels
from crypto.access_log import Opening
from crypto.checkpoint import Checkpoint, cosign, sign_checkpoint
from crypto.encoding import decode, encode
from crypto.errors import BadSignature, CoffreError, NotPermitted, NotProven
from crypto.evidence import Evidence, EvidenceEntry, read_evidence
from crypto.requests import read_request
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey, sign
from crypto.statements import Head, RootRef
from crypto.trust_root import Policy, TrustRoot
from crypto.wire.keeper_api import IdentityHead, IdentityHeadAnswer
from tests.adversary.forged_log import ForgedEntries, ForgedLog, random_leaf
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import forged_link, slot_of
from tests.adversary.test_links_elsewhere import refused_grant
from tests.interop import evidence_second
from vault_client import audit_times
from vault_client import evidence_proofs as proofs
from vault_client.commands import evidence as commands
from vault_client.commands.output import Screen
from vault_client.evidence_check import CheckedEvidence, check_evidence
from vault_client.evidence_files import evidence_files
from vault_client.seen_heads import SeenHeads

NAMES = {
    proofs.TWO_HEADS: "two heads",
    proofs.SHRUNK.format(keepers="keeper-1"): "shrunk",
    proofs.TWO_DIRECTORIES: "two directories",
    proofs.ANOTHER_LOG: "another log",
    proofs.OTHER_ROOT: "other root",
    proofs.NOT_SIGNED: "not signed",
    proofs.NO_STATEMENT: "no statement",
    proofs.NOT_THEIRS: "not theirs",
    proofs.TWICE: "twice",
    proofs.OTHER_MARK: "other mark",
    proofs.TIMES_APART: "times apart",
    proofs.DATED_BEFORE: "dated before",
    proofs.DATED_AFTER: "dated after",
    proofs.OLDER_GRANT: "older grant",
    proofs.AFTER_END: "after end",
    proofs.AFTER_EXPIRY: "after expiry",
    proofs.OTHER_ACT: "other act",
    proofs.LEFT_OUT: "left out",
}


def files(story: Story, *, with_keys: bool = False) -> dict[str, bytes]:
    """What ``coffre patient log --evidence`` writes."""
    patient = story.patient
    return evidence_files(patient._store, patient.service, patient.own, patient.replica, with_keys=with_keys)


def only(story: Story, code: str, *, with_keys: bool = False) -> bytes:
    """The one file about ``code``."""
    (found,) = [data for name, data in files(story, with_keys=with_keys).items() if f"-{code}." in name]
    return found


class Judged(NamedTuple):
    """What a third person finds."""

    checked: CheckedEvidence
    proven: list[str]


def judged(data: bytes, card: RootRef | None) -> Judged:
    """Check a file, and see what it proves."""
    checked = check_evidence(data, card)
    return Judged(checked, proofs.proofs_in(checked))


def both(data: bytes, card: RootRef | None = None) -> list[str]:
    """What is proven to a third person; the second reader, written from the format page, finds the same."""
    found = judged(data, card).proven
    named = evidence_second.judge(data, card.digest if card is not None else None)
    assert sorted(NAMES[each] for each in found) == sorted(named)
    return found


def proven(story: Story, code: str, *, with_keys: bool = False) -> list[str]:
    """What the file about ``code`` proves to whoever has the card."""
    return both(only(story, code, with_keys=with_keys), story.instance.card.root)


def rewritten(story: Story, data: bytes, change: Callable[[Evidence], Evidence]) -> bytes:
    """The file as its author would write it, had it said something else."""
    return encode(sign(labels.EVIDENCE, change(read_evidence(data)[0]), story.patient.own.device))


def with_finding(**changes: object) -> Callable[[Evidence], Evidence]:
    """Other words in the finding."""

    def changed(evidence: Evidence) -> Evidence:
        finding = msgspec.structs.replace(evidence.finding, **changes)
        return msgspec.structs.replace(evidence, finding=finding)

    return changed


async def logged(story: Story, **changes: object) -> ForgedEntries:
    """One reading in the log, honest but for ``changes``, and audited."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, **({"slot_two": slot_of(envelope)} | changes))
    await entries.alarms()
    return entries


async def test_an_honest_run_leaves_no_evidence(story: Story) -> None:
    """The control: where nothing is wrong there is no alarm, and so no file."""
    await logged(story)
    assert files(story) == {}


async def test_a_forged_reading_is_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading signed by nobody it names, and one that is none, are proven to be the service's work."""
    entries = await ForgedEntries.begin(story)
    forged = await request(story, key=SigningKey.generate())
    entries.add(forged, slot_two=slot_of(forged))
    assert await entries.alarms() == ["FORGED_READ"]
    data = only(story, "FORGED_READ")
    assert judged(data, story.instance.card.root).proven == [proofs.NOT_SIGNED]
    with monkeypatch.context() as twin:
        twin.setattr(proofs, "check_request", lambda *_: None)
        assert judged(data, None).proven == []
    with pytest.raises(NotPermitted):  # a file that does not go back to the card is about another service
        check_evidence(data, RootRef(version=1, digest=fresh()))
    # who cannot show whose keys they are proves nothing
    alone = rewritten(story, data, with_finding(people=()))
    assert judged(alone, story.instance.card.root).proven == []


async def test_a_false_accusation_proves_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """An honest reading under any alarm's name is no proof of it; without the checks it would be."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_one=fresh(), slot_two=slot_of(envelope))
    assert await entries.alarms() == ["HIDDEN_BY_SERVER"]
    data = only(story, "HIDDEN_BY_SERVER", with_keys=True)
    for code in set(proofs._RULES) - {"HIDDEN_BY_SERVER"}:
        accused = rewritten(story, data, with_finding(code=code))
        assert judged(accused, story.instance.card.root).proven == [], code
    with monkeypatch.context() as twin:
        twin.setattr(proofs, "check_request", refuse)
        accused = rewritten(story, data, with_finding(code="FORGED_READ"))
        assert judged(accused, None).proven == [proofs.NOT_SIGNED]


def refuse(*_: object) -> None:
    """Finds every signature false."""
    raise BadSignature("No.")


async def test_a_hidden_entry_is_proven_once_a_key_is_disclosed(story: Story) -> None:
    """A wrong mark is the client's word without the scan key, and proven with it; a key of one's own choice is none."""
    await logged(story, slot_one=fresh())
    assert proven(story, "HIDDEN_BY_SERVER") == []
    assert proven(story, "HIDDEN_BY_SERVER", with_keys=True) == [proofs.OTHER_MARK]
    data = only(story, "HIDDEN_BY_SERVER", with_keys=True)

    def other_key(evidence: Evidence) -> Evidence:
        (key,) = evidence.keys
        return msgspec.structs.replace(evidence, keys=(msgspec.structs.replace(key, scan_key=fresh()),))

    assert judged(rewritten(story, data, other_key), None).proven == []


async def test_a_repeated_reading_is_proven(story: Story) -> None:
    """One request logged twice as granted is proven by its two leaves, and by no one of them."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    for _ in range(2):
        entries.add(envelope, slot_two=slot_of(envelope))
    assert await entries.alarms() == ["REPLAY"]
    assert proven(story, "REPLAY") == [proofs.TWICE]
    data = only(story, "REPLAY")
    first = read_evidence(data)[0].finding.entries[:1]
    assert judged(rewritten(story, data, with_finding(entries=first)), None).proven == []


async def test_a_false_date_is_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry dated far from its request, and before a head that did not hold it, is proven from both."""
    entries = await ForgedEntries.begin(story)
    envelope = await request(story)
    entries.add(envelope, slot_two=slot_of(envelope), time=read_request(envelope).time - 2000)
    assert await entries.alarms() == ["BACKDATED"]
    assert proven(story, "BACKDATED") == [proofs.TIMES_APART, proofs.DATED_BEFORE]
    with monkeypatch.context() as twin:
        twin.setattr(proofs, "TEN_MINUTES", 1 << 40)
        assert judged(only(story, "BACKDATED"), None).proven == []


async def test_a_late_date_is_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change dated after the head that holds it is BACKDATED too, and proven by that head alone; the twin looks at no date."""
    entries = await ForgedEntries.begin(story)
    entries.add(await forged_link(story), "accepted", time=int(time.time()) + 2000)
    with monkeypatch.context() as twin:
        twin.setattr(audit_times, "TEN_MINUTES", 1 << 40)
        assert [alarm.code for alarm in (await entries.twin_sees("BACKDATED")).alarms] == ["FORK"]
    assert await entries.alarms() == ["BACKDATED", "FORK"]
    assert proven(story, "BACKDATED") == [proofs.DATED_AFTER]


async def test_a_change_by_nobody_is_proven(story: Story) -> None:
    """A link in the log that its holder did not sign is proven to be the service's."""
    entries = await ForgedEntries.begin(story)
    entries.add(await forged_link(story), "accepted")
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == [proofs.NOT_THEIRS]


async def test_a_reader_who_saw_another_log_is_heard(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed request that names another head than this log had at that size is FORK, and the contradiction is proven."""
    entries = await ForgedEntries.begin(story)
    view = read_request(await request(story)).view
    seen = Head(size=view.seen.size, root=fresh())
    envelope = await request(story, view=msgspec.structs.replace(view, seen=seen))
    entries.add(envelope, slot_two=slot_of(envelope))
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == [proofs.ANOTHER_LOG]


async def test_a_reading_after_the_end_is_proven(story: Story) -> None:
    """A reading logged as granted behind the end of its grant is proven by the two entries."""
    envelope = await request(story)
    await story.patient.revoke(story.grant.entry.gid)
    entries = await ForgedEntries.begin(story)
    entries.add(envelope, slot_two=slot_of(envelope))
    assert await entries.alarms() == ["OUT_OF_SCOPE"]
    assert proven(story, "OUT_OF_SCOPE") == [proofs.AFTER_END]


async def test_an_older_grant_is_proven(story: Story) -> None:
    """A reader who signed having seen the newer event, and used the older one, is shown to have."""
    old = read_request(await request(story)).ghead
    added = await story.add(b"A third document. " * 9, "third.txt")
    await story.patient.extend(story.grant.entry.gid, [added.doc])
    await story.reader.sync()
    entries = await ForgedEntries.begin(story)
    envelope = await request(story, ghead=old)
    assert read_request(envelope).view.seen.size > 0
    entries.add(envelope, slot_two=slot_of(envelope))
    assert await entries.alarms() == ["STALE_VIEW"]
    assert proven(story, "STALE_VIEW") == [proofs.OLDER_GRANT]


async def test_observations_are_not_proofs(story: Story) -> None:
    """What nobody signed stays the client's word: an opening held back, a reading without its grant's mark."""
    entries = await ForgedEntries.begin(story)
    hidden = await request(story, slot_two=fresh())
    entries.add(hidden, slot_two=slot_of(hidden))
    withheld = await request(story, act="list")
    del entries.log.openings[entries.add(withheld, slot_two=slot_of(withheld))]
    assert await entries.alarms() == ["MISPLACED_BY_READER", "WITHHELD"]
    assert proven(story, "MISPLACED_BY_READER") == proven(story, "WITHHELD") == []


async def test_two_versions_of_a_log_are_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signed heads of which neither goes on from the other are refused, and kept as FORK with both notes."""
    forged = await ForgedLog.after(story)
    forged.leaves[0] = random_leaf()
    forged.leaves.append(random_leaf())
    forged.show_to(story.patient_vault)
    with story.refused(NotProven):
        await story.patient.log()
    data = only(story, "FORK")
    assert len(read_evidence(data)[0].finding.notes) == 2
    assert judged(data, story.instance.card.root).proven == [proofs.TWO_HEADS]
    # an honest pair of heads, told as a fork, proves none
    story.patient_vault.be_honest()
    before = read_evidence(data)[0].finding.notes[0]
    await story.add(b"Something that makes the log grow. " * 9, "more.txt")
    later, note = await story.patient.service.witnessed(story.origin)
    head = judged(rewritten(story, data, with_finding(notes=(before,), beginning=None)), None).checked.heads[
        0
    ]
    (beginning,) = await story.patient.service.reader.beginnings(
        story.origin, [head.head.size], later.head.size
    )
    honest = rewritten(story, data, with_finding(notes=(before, note), beginning=beginning))
    assert judged(honest, None).proven == []
    with monkeypatch.context() as twin:
        twin.setattr(type(beginning), "check", lambda *_: None)
        false = msgspec.structs.replace(beginning, root=fresh())
        lie = rewritten(story, data, with_finding(notes=(before, note), beginning=false))
        assert judged(lie, None).proven == [proofs.TWO_HEADS]
    with pytest.raises(NotProven):
        judged(lie, None)


async def test_one_size_and_two_roots_are_proven(story: Story) -> None:
    """Two heads of one size need no path."""
    forged = await ForgedLog.after(story)
    forged.leaves[-1] = random_leaf()
    forged.show_to(story.patient_vault)
    with story.refused(NotProven):
        await story.patient.log()
    assert proven(story, "FORK") == [proofs.TWO_HEADS]


async def test_two_versions_of_the_directory_are_proven(story: Story) -> None:
    """Keepers' signed heads of the directory that contradict each other are refused, and kept as DIR_FORK with both."""
    key = story.instance.keeper_key

    def elsewhere(answer: IdentityHeadAnswer) -> IdentityHeadAnswer:
        said = decode(answer.envelope.body, IdentityHead)
        other = msgspec.structs.replace(said, head=Head(size=said.head.size, root=fresh()))
        return IdentityHeadAnswer(envelope=sign(labels.IDHEAD, other, key))

    story.patient_keeper.tamper("identity_head", elsewhere)
    with story.refused(NotProven):
        await story.patient.service.know(story.patient.own.profile.chain)
    assert proven(story, "DIR_FORK") == [proofs.TWO_DIRECTORIES]
    data = only(story, "DIR_FORK")
    assert judged(rewritten(story, data, with_finding(notes=())), None).proven == []


async def test_a_step_back_is_kept(story: Story) -> None:
    """An older head is ROLLBACK; that a keeper confirmed the smaller log after the larger one is proven against it."""
    forged = await ForgedLog.after(story)
    del forged.leaves[-1]
    forged.age = -100
    forged.show_to(story.patient_vault)
    with story.refused(NotProven):
        await story.patient.log()
    (keeper,) = story.patient.service.root.keepers
    assert proven(story, "ROLLBACK") == [proofs.SHRUNK.format(keepers=keeper.name)]
    for name in [*story.patient._store.names("alarm"), *story.patient._store.names("finding")]:
        story.patient._store.delete(name)  # else the first is kept, and not this one beside it
    forged.age = 200
    with story.refused(NotProven):
        await story.patient.log()
    assert proven(story, "ROLLBACK") == []


async def test_whoever_confirmed_or_vouched_is_named(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third person is told which keepers signed each head, and each word about somebody's keys, and who runs them."""
    entries = await ForgedEntries.begin(story)
    forged = await request(story, key=SigningKey.generate())
    entries.add(forged, slot_two=slot_of(forged))
    await entries.alarms()
    data, (keeper,) = only(story, "FORGED_READ"), story.patient.service.root.keepers
    who = commands.BESIDE.format(name=keeper.name, operator=keeper.operator)
    finding = read_evidence(data)[0].finding
    shown = await said_of(tmp_path, data, capsys)
    assert shown.count(f"that head, by {who}.") == len(finding.notes)
    assert shown.count(f"by {who}.") == len(finding.notes) + len(finding.people)
    nobody = rewritten(story, data, with_finding(people=()))
    assert "VOUCHED" not in await said_of(tmp_path, nobody, capsys)
    (known,) = (each for each in finding.people if each.chain.identity == read_request(forged).identity)
    lied = msgspec.structs.replace(
        known, heads=(sign(labels.IDHEAD, decode(known.heads[0].body, IdentityHead), SigningKey.generate()),)
    )
    assert "VOUCHED" not in await said_of(
        tmp_path, rewritten(story, data, with_finding(people=(lied,))), capsys
    )


async def said_of(folder: Path, data: bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``coffre evidence verify`` says of a file."""
    file = folder / "evidence.json"
    file.write_bytes(data)
    with suppress(NotProven):
        await commands.verify(Namespace(file=file, card=None), Screen(as_json=False))
    return capsys.readouterr().out


async def test_no_byte_of_a_file_can_be_changed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof with any byte changed is refused whole; unsigned, it would go on proving with other words."""
    entries = await ForgedEntries.begin(story)
    forged = await request(story, key=SigningKey.generate())
    entries.add(forged, slot_two=slot_of(forged))
    await entries.alarms()
    data = only(story, "FORGED_READ")

    @given(st.integers(0, len(data) - 1), st.integers(1, 255))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def refused(place: int, change: int) -> None:
        changed = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
        with pytest.raises(CoffreError):
            check_evidence(changed, None)

    refused()
    evidence, envelope = read_evidence(data)
    other = msgspec.structs.replace(evidence.finding, text="Something else.")
    changed = msgspec.structs.replace(envelope, body=encode(msgspec.structs.replace(evidence, finding=other)))
    with monkeypatch.context() as twin:
        twin.setattr("vault_client.evidence_check.verify", lambda *_: None)
        assert judged(encode(changed), None).proven == [proofs.NOT_SIGNED]


async def test_a_change_that_was_refused_and_done_is_an_observation(story: Story) -> None:
    """Nobody signs a refusal: the file of REFUSED_YET_DONE is this device's word, and holds for whoever checks it."""
    _, kept = await refused_grant(story)
    await story.patient_vault.honest.append_link(kept)
    assert await story.patient.replica.sync() == 1
    assert [alarm.code for alarm in (await story.patient.log()).alarms] == ["REFUSED_YET_DONE"]
    checked, found = judged(only(story, "REFUSED_YET_DONE"), story.instance.card.root)
    assert (checked.finding.code, found) == ("REFUSED_YET_DONE", [])
    assert proven(story, "REFUSED_YET_DONE") == []


async def test_a_false_word_about_the_signer_accuses_nobody(story: Story) -> None:
    """A link that its holder signed is not shown as nobody's by a bad signature under what says whose keys they are."""
    entries = await ForgedEntries.begin(story)
    entries.add(await forged_link(story), "accepted")
    assert await entries.alarms() == ["FORK"]
    data, card = only(story, "FORK"), story.instance.card.root
    assert both(data, card) == [proofs.NOT_THEIRS]
    (patient,) = read_evidence(data)[0].finding.people
    (word,) = patient.heads
    said = decode(word.body, IdentityHead)
    lied = msgspec.structs.replace(patient, heads=(sign(labels.IDHEAD, said, SigningKey.generate()),))
    assert both(rewritten(story, data, with_finding(people=(lied,))), card) == []


async def test_a_link_of_the_directory_accuses_nobody(story: Story) -> None:
    """What the directory rightly holds, somebody's link of their own keys, is no change by nobody."""
    chain = story.patient.own.profile.chain
    service = story.patient.service
    directory, note = await service.witnessed(service.root.directory_origin)
    shown = chain.links[-1]
    index = shown.disclosure.index
    (path,) = await service.reader.inclusion(directory.origin, [index], directory.head.size)
    leaf = shown.disclosure.leaf(shown.envelope)
    opening = Opening(
        salt=shown.disclosure.salt,
        salt2=fresh(),
        previous=fresh(),
        envelope=shown.envelope,
        part=shown.disclosure.part,
    )
    entry = EvidenceEntry(
        index=index,
        slot_one=leaf.slot_one,
        slot_two=leaf.slot_two,
        commitment=leaf.commitment,
        path=tuple(path),
        opening=opening,
    )
    entries = await ForgedEntries.begin(story)
    entries.add(await forged_link(story), "accepted")
    assert await entries.alarms() == ["FORK"]
    lie = with_finding(origin=directory.origin, notes=(note,), entries=(entry,), people=())
    assert both(rewritten(story, only(story, "FORK"), lie), story.instance.card.root) == []


async def test_one_keeper_that_dates_ahead_accuses_nobody(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three keepers of four that witness an earlier head all must have dated it after the entry, and not a fourth alone.

    The twin believes whoever dates it last.
    """
    entries = await ForgedEntries.begin(story)
    before = entries.log.head()
    entries.add(await forged_link(story), "accepted")
    assert await entries.alarms() == ["FORK"]
    data, now = only(story, "FORK"), int(time.time())
    keys = [SigningKey.generate() for _ in range(4)]
    signing = SigningKey.generate()

    def dated(head: Head, times: list[int]) -> bytes:
        log = sign_checkpoint(Checkpoint(story.origin, head.size, head.root), story.instance.log_key)
        lines = [
            cosign(Checkpoint(story.origin, head.size, head.root), f"k{n}", keys[n], when)
            for n, when in enumerate(times)
        ]
        return log + b"".join(lines)

    def four(evidence: Evidence, last: int) -> Evidence:
        root = decode(evidence.trust_roots[0].body, TrustRoot)
        (one,) = root.keepers
        keepers = tuple(
            msgspec.structs.replace(
                one, name=f"k{n}", cosigning_key=key.public.raw, sealing_key=UnsealingKey.generate().public
            )
            for n, key in enumerate(keys)
        )
        root = msgspec.structs.replace(
            root, keepers=keepers, policies=(Policy(k=3, n=4),), root_keys=(signing.public.raw,), threshold=1
        )
        notes = (dated(entries.log.head(), [now] * 4), dated(before, [now - 5, now - 5, now - 5, last]))
        finding = msgspec.structs.replace(evidence.finding, code="BACKDATED", notes=notes, people=())
        roots = (sign(labels.TRUST_ROOT, root, signing),)
        return msgspec.structs.replace(evidence, finding=finding, trust_roots=roots)

    lie = rewritten(story, data, lambda evidence: four(evidence, now + 2000))
    assert both(lie) == []
    with monkeypatch.context() as twin:
        twin.setattr(proofs, "min", lambda _: now + 2000, raising=False)
        assert judged(lie, None).proven == [proofs.DATED_BEFORE]


async def test_a_log_that_is_always_longer_is_another_log(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader was shown another log that is longer than ours at every audit: what it signed is FORK, and proven.

    No log holds at its place what names a head of it that is longer. The twin takes no note of what others signed as seen.
    """
    entries = await ForgedEntries.begin(story)
    view = read_request(await request(story)).view
    seen = Head(size=view.seen.size + 1000, root=fresh())
    envelope = await request(story, view=msgspec.structs.replace(view, seen=seen))
    entries.add(envelope, slot_two=slot_of(envelope))
    with monkeypatch.context() as twin:
        twin.setattr(SeenHeads, "note", lambda *_: None)
        assert (await entries.twin_sees("FORK")).alarms == ()
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == [proofs.ANOTHER_LOG]
