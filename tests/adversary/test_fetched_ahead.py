"""What was fetched ahead: opened without a network, declared afterwards, and gone once its end is known."""

from pathlib import Path

import pytest

from crypto.errors import CannotOpen, NotPermitted, Unreachable
from tests.adversary.story import TEXTS, Story
from vault_client import fetched_ahead
from vault_client.device_store import DeviceStore
from vault_client.fetched_ahead import FetchedAhead, KeptDocument
from vault_client.granted_document import GrantedDocument
from vault_client.practitioner import TREATMENT
from vault_client.reading import KeptBack


async def fetch_both(story: Story) -> list[GrantedDocument]:
    """Both documents are fetched ahead, under one request."""
    both = [story.listed(0), story.listed(1)]
    assert await story.reader.prefetch(both) == []
    return both


async def reopen(story: Story, document: GrantedDocument) -> list[KeptBack]:
    """One document is opened again."""
    return await story.reader.reopen([(document, story.destination)])


def copies(story: Story) -> list[Path]:
    """The ciphertext that the practitioner's profile keeps."""
    return list((story.folder / "reader" / "ciphertext").iterdir())


async def acts(story: Story) -> list[str]:
    """The readings in the patient's log, which holds."""
    report = await story.patient.log()
    assert report.alarms == ()
    return [f"{entry.kind} {entry.act}" for entry in report.entries if entry.act and entry.act != "list"]


async def test_what_was_fetched_ahead_opens_without_a_network(story: Story) -> None:
    """The control: fetched under one request, opened while nobody answers, and then in the log with the times of opening."""
    both = await fetch_both(story)
    assert await acts(story) == ["access prefetch"]
    assert len(copies(story)) == 2
    for name in ("open", "mailbox", "checkpoint", "identity_chain"):
        story.reader_vault.withhold(name, Unreachable("Nobody."))
    asked = len(story.reader_keeper.heard)
    for number in (0, 1, 1):
        assert await reopen(story, both[number]) == []
        assert story.destination.read_bytes() == TEXTS[number]
    assert (story.reader.undeclared, len(story.reader_keeper.heard)) == (3, asked)
    assert await acts(story) == ["access prefetch"]

    story.reader_vault.be_honest()
    assert await story.reader.sync() == []
    assert story.reader.undeclared == 0
    assert await acts(story) == ["access prefetch", "access reopen"]
    entry = (await story.patient.log()).entries[-1]
    assert set(entry.documents) == {each.document.doc for each in both}
    assert entry.purpose is not None
    assert (entry.purpose.code, entry.purpose.reason.endswith(" UTC (×3)")) == (TREATMENT.code, True)
    assert len(story.reader_keeper.heard) == asked  # whoever has the key needs no keeper
    assert story.reader.removed == []


async def test_with_a_network_it_is_logged_first(story: Story) -> None:
    """While the server answers, the entry stands in the log before the document is opened."""
    both = await fetch_both(story)
    story.reader.service.is_offline = False
    assert await reopen(story, both[0]) == []
    assert story.reader.undeclared == 0
    assert await acts(story) == ["access prefetch", "access reopen"]


async def test_what_has_ended_is_not_opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A44: what was fetched ahead does not open once the device knows of the end, and nothing of it is left."""
    both = await fetch_both(story)
    await story.patient.revoke(story.grant.entry.gid)
    with monkeypatch.context() as twin:
        twin.setattr(FetchedAhead, "remove_ended", lambda *_: [])
        twin.setattr(FetchedAhead, "remove", lambda *_: [])
        assert await reopen(story, both[0]) == []
        assert story.destination.read_bytes() == TEXTS[0]
        story.destination.unlink()

    (first,) = await reopen(story, both[0])
    assert isinstance(first.why, NotPermitted)
    assert {each.why for each in story.reader.removed} == {"ended"}
    assert {each.document for each in story.reader.removed} == set(both)
    assert (copies(story), story.reader.fetched_ahead(), keys(story)) == ([], [], [])
    story.nothing_written()
    assert "access reopen" not in await acts(story)
    assert "refused reopen" in await acts(story)


def keys(story: Story) -> list[KeptDocument]:
    """The keys that the practitioner's profile keeps."""
    store: DeviceStore = story.reader._store
    return [kept for _, kept in store.scan("ahead", KeptDocument)]


async def test_what_is_masked_is_removed_when_that_is_learnt(story: Story) -> None:
    """The server refuses to log a reopening of it: it is removed, not opened, and the other one stays."""
    both = await fetch_both(story)
    await story.patient.mask(both[0].document.doc)
    story.reader.service.is_offline = False
    kept_back = await story.reader.reopen(
        [(both[0], story.destination), (both[1], story.destination.with_name("second"))]
    )
    assert [(each.document, type(each.why)) for each in kept_back] == [(both[0], NotPermitted)]
    assert [(each.document, each.why) for each in story.reader.removed] == [(both[0], "refused")]
    assert story.reader.fetched_ahead() == [both[1]]
    assert len(copies(story)) == 1
    first, both_refused, *each_alone = await acts(story)
    assert (first, both_refused) == ("access prefetch", "refused reopen")
    assert sorted(each_alone) == ["access reopen", "refused reopen"]


async def test_it_is_kept_no_longer_than_the_grant(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the grant has expired by this device's clock, what it gave is removed and not opened."""
    both = await fetch_both(story)
    expiry = story.reader.grants.get(both[0].gid).state.event.expiry
    monkeypatch.setattr(story.reader.service, "now", lambda: expiry - 1)
    assert len(story.reader.fetched_ahead()) == 2
    monkeypatch.setattr(story.reader.service, "now", lambda: expiry)
    story.reader.service.is_offline = True
    (kept_back,) = await reopen(story, both[0])
    assert isinstance(kept_back.why, NotPermitted)
    assert {each.why for each in story.reader.removed} == {"expired"}
    assert (copies(story), keys(story)) == ([], [])
    story.nothing_written()


async def test_what_was_taken_out_is_removed(story: Story) -> None:
    """A document that the patient took out of the grant is removed when that is learnt; the other one stays."""
    both = await fetch_both(story)
    await story.patient.withdraw(story.grant.entry.gid, [both[0].document.doc])
    assert len(story.reader.fetched_ahead()) == 2
    assert await story.reader.sync() == []
    assert [(each.document, each.why) for each in story.reader.removed] == [(both[0], "taken out")]
    assert story.reader.fetched_ahead() == [both[1]]
    assert (len(copies(story)), len(keys(story))) == (1, 1)
    assert await reopen(story, both[1]) == []
    assert (await acts(story))[-1] == "access reopen"


async def test_what_may_no_longer_be_reopened_is_removed(story: Story) -> None:
    """An amended grant that allows no reopening takes away what was fetched ahead under it, once that is learnt."""
    await fetch_both(story)
    await story.patient.amend(story.grant.entry.gid, acts=("release", "list"))
    assert await story.reader.sync() == []
    assert {each.why for each in story.reader.removed} == {"taken out"}
    assert (copies(story), keys(story)) == ([], [])


async def test_a_grant_allows_it_or_not(story: Story) -> None:
    """Under a grant without these acts nothing is fetched ahead or exported, nothing is asked, and reading goes on."""
    wanted = [document.doc for document in story.documents]
    grant = await story.patient.authorise(await story.reader.card(), wanted, acts=("release", "list"))
    await story.reader.sync()
    await story.reader.listing()
    document = next(each for each in story.reader.documents() if each.gid == grant.entry.gid)
    asked = len(story.reader_vault.asked("open"))
    (kept_back,) = await story.reader.prefetch([document])
    assert isinstance(kept_back.why, NotPermitted)
    with pytest.raises(NotPermitted):
        await story.reader.read(document, story.destination, act="export")
    assert len(story.reader_vault.asked("open")) == asked
    await story.reader.read(document, story.destination)


async def test_what_is_spoilt_is_not_kept(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A12: ciphertext that is not what was signed is not kept, and a copy that was changed here opens nothing."""
    story.reader_vault.tamper_ciphertext(lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    with monkeypatch.context() as twin:
        twin.setattr(fetched_ahead, "_check", lambda *_: None)
        assert await story.reader.prefetch([story.listed(0)]) == []
        assert story.reader.fetched_ahead() == [story.listed(0)]
    (kept_back,) = await story.reader.prefetch([story.listed(1)])
    assert isinstance(kept_back.why, CannotOpen)
    assert story.reader.fetched_ahead() == [story.listed(0)]
    story.reader.service.is_offline = True
    (kept_back,) = await reopen(story, story.listed(0))
    assert isinstance(kept_back.why, CannotOpen)
    story.nothing_written()


async def test_what_was_never_fetched_does_not_open(story: Story) -> None:
    """Without a copy nothing is declared, nothing is asked and nothing opened."""
    story.reader.service.is_offline = True
    (kept_back,) = await reopen(story, story.listed(0))
    assert isinstance(kept_back.why, NotPermitted)
    assert story.reader.undeclared == 0


async def test_one_stuck_declaration_holds_up_no_other(story: Story) -> None:
    """A41: a server that refuses otherwise than by the one refusal makes nothing disappear: it waits, and is sent again."""
    both = await fetch_both(story)
    story.reader.service.is_offline = True
    assert await reopen(story, both[0]) == []
    story.reader_vault.withhold("open", NotPermitted("No."))
    assert await story.reader.sync() == []
    assert (story.reader.undeclared, story.reader.removed) == (1, [])
    story.reader_vault.be_honest()
    await story.reader.sync()
    assert story.reader.undeclared == 0
    assert await acts(story) == ["access prefetch", "access reopen"]
