"""Downloads that are cut, by chance or on purpose: they go on where they were, and believe nothing for it."""

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from crypto.errors import CannotOpen, NotFound, Unreachable
from crypto.pieces import HEADER, PIECE
from crypto.wire.messages import CiphertextQuery
from tests.adversary.story import TEXTS, Story
from tests.support.lying_vault import LyingVault, whole
from vault_client import transfer, unfinished_readings
from vault_client.audit_report import AuditReport
from vault_client.practitioner import TREATMENT
from vault_client.transfer import Download

CUTS = (1, HEADER + 5, HEADER + PIECE + 7)
NUMBER = 1


def cut_after(vault: LyingVault, size: int, change: Callable[[bytes], bytes] = bytes) -> None:
    """Have ``vault`` serve ``size`` bytes of what ``change`` makes of the ciphertext, and break off."""

    async def stream(query: CiphertextQuery) -> AsyncIterator[bytes]:
        yield change(await whole(vault.honest, query))[query.start : query.start + size]
        raise Unreachable("Cut.")

    vault.serve_ciphertext(stream)


def starts(vault: LyingVault) -> list[int]:
    """From which bytes on ciphertext was asked for."""
    return [query.start for query in vault.asked("ciphertext")]


def readings(report: AuditReport) -> int:
    """How many openings of documents a log has."""
    assert not report.alarms
    return sum(entry.act == "release" for entry in report.entries)


async def test_the_patients_download_goes_on(story: Story) -> None:
    """After each cut only the rest is asked for, and the whole is verified as ever."""
    for size in CUTS:
        cut_after(story.patient_vault, size)
        with story.refused(Unreachable, partly_here=True):
            await story.patient.get(story.documents[NUMBER].doc, story.destination)
    story.patient_vault.be_honest()
    document = await story.patient.get(story.documents[NUMBER].doc, story.destination)
    assert story.destination.read_bytes() == TEXTS[NUMBER]
    assert starts(story.patient_vault) == [0, CUTS[0], sum(CUTS[:2]), sum(CUTS)]
    assert document.here
    assert story.spooled() == []
    await story.patient.get(document.doc, story.destination)
    assert len(starts(story.patient_vault)) == 4  # read from its copy


async def test_a_reading_that_was_cut_is_one_reading(story: Story) -> None:
    """The same request is answered again, the rest is fetched under it, and the log has one entry for both."""
    for size in CUTS:
        cut_after(story.reader_vault, size)
        with story.refused(Unreachable, partly_here=True):
            await story.read(NUMBER)
    story.reader_vault.be_honest()
    assert await story.read(NUMBER) == TEXTS[NUMBER]
    assert starts(story.reader_vault)[-4:] == [0, CUTS[0], sum(CUTS[:2]), sum(CUTS)]
    asked = [query.request.digest for query in story.reader_vault.asked("open")[-4:]]
    assert len(set(asked)) == 1
    assert readings(await story.patient.log()) == 1
    assert await story.read(NUMBER) == TEXTS[NUMBER]  # a reading that ended is not gone on with
    assert readings(await story.patient.log()) == 2


async def test_a_reading_gone_on_with_much_later_is_another(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keepers are asked again, so the log says so; what came of the ciphertext still serves."""
    cut_after(story.reader_vault, CUTS[0])
    with story.refused(Unreachable, partly_here=True):
        await story.read(NUMBER)
    story.reader_vault.be_honest()
    monkeypatch.setattr(unfinished_readings, "REUSED", -1)
    assert await story.read(NUMBER) == TEXTS[NUMBER]
    assert starts(story.reader_vault)[-1] == CUTS[0]
    assert readings(await story.patient.log()) == 2


async def test_a_reading_for_another_purpose_is_another(story: Story) -> None:
    """What is signed and sealed in a request is what the reader wants now: another purpose, act or grant is another request."""
    emergency = msgspec.structs.replace(TREATMENT, code="ETREAT")
    document = story.listed(NUMBER)
    cut_after(story.reader_vault, CUTS[0])
    for purpose in (TREATMENT, emergency):
        with story.refused(Unreachable, partly_here=True):
            await story.reader.read(document, story.destination, purpose=purpose)
    story.reader_vault.be_honest()
    await story.reader.read(document, story.destination, purpose=emergency)
    first, second, third = [query.request.digest for query in story.reader_vault.asked("open")[-3:]]
    assert first != second == third
    report = await story.patient.log()
    assert [entry.purpose for entry in report.entries if entry.act == "release"] == [TREATMENT, emergency]
    assert not report.alarms


async def test_an_end_stops_a_reading_that_was_cut(story: Story) -> None:
    """A44: what is here of a document whose grant has ended is not opened, and is gone."""
    cut_after(story.reader_vault, CUTS[2])
    with story.refused(Unreachable, partly_here=True):
        await story.read(NUMBER)
    story.reader_vault.be_honest()
    await story.patient.revoke(story.grant.entry.gid)
    with story.refused(NotFound):
        await story.read(NUMBER)


async def test_what_was_spoilt_on_the_way_is_fetched_anew_once(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A12, A41: bytes of a lying server that were kept neither pass nor stand in the way of the true ones."""

    def spoilt(data: bytes) -> bytes:
        return bytes(len(data))

    async def by_reader() -> None:
        await story.read(NUMBER)

    async def by_patient() -> None:
        await story.patient.get(story.documents[NUMBER].doc, story.destination)

    for vault, fetch in ((story.reader_vault, by_reader), (story.patient_vault, by_patient)):
        for is_wrong_again in (True, False):
            cut_after(vault, CUTS[2], spoilt)
            with story.refused(Unreachable, partly_here=True):
                await fetch()
            vault.be_honest()
            if is_wrong_again:
                vault.tamper_ciphertext(spoilt)
                with story.refused(CannotOpen):
                    await fetch()
                vault.be_honest()
                continue
            await fetch()
            assert story.destination.read_bytes() == TEXTS[NUMBER]
            assert starts(vault)[-2:] == [CUTS[2], 0]
            story.destination.unlink()

    story.patient.files.drop_unwanted()
    story.patient.files.copies.drop(story.documents[NUMBER].ver)
    with monkeypatch.context() as twin:
        twin.setattr(Download, "opened", lambda self, decipher: decipher())
        cut_after(story.patient_vault, CUTS[2], spoilt)
        with story.refused(Unreachable, partly_here=True):
            await by_patient()
        story.patient_vault.be_honest()
        with story.refused(CannotOpen):
            await by_patient()


async def test_a_copy_that_was_damaged_is_fetched_anew(story: Story) -> None:
    """A changed, shortened or replaced copy is neither believed nor in the way; a link in its place is not followed."""
    document = await story.patient.get(story.documents[NUMBER].doc, story.destination)
    (copy,) = (story.folder / "patient" / "ciphertext").iterdir()
    sound = copy.read_bytes()
    elsewhere = story.folder / "elsewhere"
    elsewhere.write_bytes(sound)
    for damaged in (bytes(len(sound)), sound[:-1], sound + b"x", b"", None):
        copy.unlink()
        if damaged is None:
            copy.symlink_to(elsewhere)
        else:
            copy.write_bytes(damaged)
        await story.patient.get(document.doc, story.destination)
        assert story.destination.read_bytes() == TEXTS[NUMBER]
        assert not copy.is_symlink()
        assert copy.read_bytes() == sound == elsewhere.read_bytes()


async def test_copies_go_with_their_documents(story: Story) -> None:
    """What is deleted, here or by another device, leaves no copy; what is withheld holds up no other copy."""
    copies = story.folder / "patient" / "ciphertext"
    assert (await story.patient.fetch_replica()).fetched == 2
    await story.patient.delete(story.documents[0].doc)
    assert [copy.name for copy in copies.iterdir()] == [story.documents[1].ver.hex()]
    (copies / bytes(16).hex()).write_bytes(b"of a document that another device deleted")
    await story.patient.sync()
    assert [copy.name for copy in copies.iterdir()] == [story.documents[1].ver.hex()]

    third = await story.add(TEXTS[0], "third.txt")
    (copies / story.documents[1].ver.hex()).unlink()
    honest = story.patient_vault.honest

    async def wrong_of_one(query: CiphertextQuery) -> AsyncIterator[bytes]:
        data = await whole(honest, query)
        yield (bytes(len(data)) if query.ver == third.ver else data)[query.start :]

    story.patient_vault.serve_ciphertext(wrong_of_one)
    came = await story.patient.fetch_replica()
    assert came.fetched == 1
    assert list(came.left_out) == [third.doc]
    assert {copy.name for copy in copies.iterdir()} == {story.documents[1].ver.hex()}
    assert story.spooled() == []


async def test_a_server_cannot_hold_a_download_for_ever(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A55: a server that sends a byte and cuts, again and again, is left after as many waits as one that sends nothing."""
    monkeypatch.setattr(transfer, "WAITS", (0.0,) * 3)
    cut_after(story.patient_vault, 1)
    with story.refused(Unreachable, partly_here=True):
        await story.patient.get(story.documents[NUMBER].doc, story.destination)
    assert starts(story.patient_vault) == [0, 1, 2, 3]

    monkeypatch.setattr(transfer, "_GOING_ON", 1)
    cut_after(story.patient_vault, 1 << 16)
    await story.patient.get(story.documents[NUMBER].doc, story.destination)
    assert story.destination.read_bytes() == TEXTS[NUMBER]
