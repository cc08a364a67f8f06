"""What the commands about grants say: what changed, what is not yet in force, what became of one, and how old a list is."""

from argparse import Namespace
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.errors import NotPermitted
from crypto.wire.cards import fingerprint
from vault_client.changes import AmendGrant, QueuedChange, WithdrawDocuments
from vault_client.commands import grant_standing, patient_grants, patient_sharing, profiles, trust_line
from vault_client.commands.list_ages import age, show_lists
from vault_client.commands.output import Screen, Usage
from vault_client.grant_changes import Renewal
from vault_client.grant_history import GrantStep
from vault_client.granted_lists import GrantedList
from vault_client.local_vault import EventTerms, GrantedVersion
from vault_client.sharing_terms import ACTS

GID = bytes(32)
LETTER, SCAN, LAB = (bytes([each]) * 16 for each in (1, 2, 3))
TITLES = {LETTER: "letter", SCAN: "scan", LAB: "lab"}


def versions(*documents: bytes) -> list[GrantedVersion]:
    """As a grant gives them."""
    return [GrantedVersion(doc=doc, ver=bytes(16), current=True) for doc in documents]


def grant(gid: bytes = GID, **changes: Any) -> SimpleNamespace:
    """A grant as the device has it."""
    entry = SimpleNamespace(gid=gid, recipient=bytes(32), ended=False, j=1)
    told = {
        "name": "Dr X",
        "subject": "demo:1",
        "expiry": 2,
        "end_in_force": False,
        "made": 1,
        "excluded": (),
    }
    return SimpleNamespace(entry=entry, acts=("list", "release"), purposes=("TREAT",), **(told | changes))


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A record with one grant, which commands open."""
    given = {GID: versions(LETTER, SCAN, LAB)}
    opened = SimpleNamespace(
        asked=None,
        given=given,
        documents=lambda: [
            SimpleNamespace(doc=doc, descriptor=SimpleNamespace(title=title)) for doc, title in TITLES.items()
        ],
        grants=lambda: [grant()],
        unanswered_grants=list,
        changing=lambda _: [],
        granted=lambda gid: given[gid],
        is_ending=lambda _: False,
        is_sent=lambda _: False,
        renewal=Renewal(),
        replica=SimpleNamespace(existing_grant=lambda _: grant()),
        service=SimpleNamespace(now=lambda: 1, is_offline=True, alarm="", standstill=""),
    )
    monkeypatch.setattr(
        profiles, "patient", lambda *_: nullcontext((opened, SimpleNamespace(put=lambda *_: None)))
    )
    monkeypatch.setattr(trust_line, "show_trust", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "500")
    return opened


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_what_was_taken_out_is_said(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str], elsewhere: bool
) -> None:
    """What goes out, what a mask takes with it, and, if there is one, the other grant by which it still opens."""

    async def withdraw(gid: bytes, documents: list[bytes]) -> SimpleNamespace:
        assert documents == [LETTER]
        record.given[gid] = versions(SCAN)
        return grant()

    record.withdraw = withdraw
    if elsewhere:
        other = b"\1" * 32
        record.given[other] = versions(LETTER)
        record.grants = lambda: [grant(), grant(other)]
    screen = Screen(as_json=False)
    await patient_sharing.withdraw(Namespace(grant="0000", documents=[LETTER.hex()]), screen)
    said = capsys.readouterr().out
    assert "1 document taken out of grant 00000000: letter. No keeper answers" in said
    assert "No longer in it either, being masked or deleted: lab." in said
    assert ("Dr X may open them still, under another grant: letter." in said) is elsewhere
    assert screen.result["taken_out"] == [LETTER.hex(), LAB.hex()]


async def test_what_was_not_taken_out_opens_still(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal says that what is in the grant opens as before; of what was never in it, nothing of the kind."""

    async def withdraw(*_: object) -> None:
        raise NotPermitted("No.")

    record.withdraw = withdraw
    for documents, is_said in (((LETTER,), True), ((LAB,), False)):
        record.given[GID] = versions(LETTER)
        screen, words = Screen(as_json=True), Namespace(grant="0000", documents=[documents[0].hex()])
        with pytest.raises(NotPermitted):
            await patient_sharing.withdraw(words, screen)
        screen.refuse("NotPermitted", "No.")
        assert ("what it gave can be opened" in capsys.readouterr().out) is is_said


async def test_other_terms_are_said(record: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """The new time is shown; to name nothing, or too long a time, is not understood."""
    told: dict[str, Any] = {}

    async def amend(gid: bytes, **terms: Any) -> SimpleNamespace:
        told.update(terms)
        return grant(expiry=86_400)

    record.amend = amend
    words = {"grant": "0000", "days": None, "acts": None, "purposes": None}
    for wrong in ({}, {"days": 0}, {"days": 1096}):
        with pytest.raises(Usage):
            await patient_sharing.amend(Namespace(**(words | wrong)), Screen(as_json=False))
    acts = {"days": 3, "acts": ("list",)}
    await patient_sharing.amend(Namespace(**(words | acts)), Screen(as_json=False))
    assert told == {"days": 3, "acts": ("list",), "purposes": None}
    assert "Dr X may open 3 documents until 1970-01-02." in capsys.readouterr().out


async def test_what_is_not_yet_in_force_is_said(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change that waits is named with its grant: until it is in the log, the grant is in force as it was."""
    changes = (
        WithdrawDocuments(gid=GID, documents=(SCAN,)),
        AmendGrant(gid=GID, acts=None, purposes=None, expiry=9),
    )
    record.changing = lambda _: [
        QueuedChange(id=bytes(16), number=0, asked=0, change=change) for change in changes
    ]
    screen = Screen(as_json=False)
    await patient_grants.grants(Namespace(grant=None), screen)
    said = capsys.readouterr().out
    assert "in force as before until this is in the log: take out of grant 00000000: scan." in said
    assert "in force as before until this is in the log: other terms for grant 00000000." in said
    (shown,) = screen.result["grants"]
    assert [each["change"] for each in shown["changing"]] == ["withdraw", "amend"]
    assert (shown["acts"], shown["purposes"], shown["event"]) == (["list", "release"], ["TREAT"], 1)


async def test_what_became_of_a_grant_is_told(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each event by what it gave, took out or changed; what this device was not told stays empty."""
    terms = EventTerms(acts=ACTS, expiry=86_400, purposes=("TREAT",), made=1)
    record.grant_history = lambda _: [
        GrantStep(0, 1, False, (LETTER, SCAN), (), terms, False),
        GrantStep(1, 1, True, (LAB,), (SCAN,), terms, True),
        GrantStep(2, 0, True, (), (), None, False),
        GrantStep(None, 0, False, (), (), None, False),
    ]
    screen = Screen(as_json=False)
    await patient_grants.grants(Namespace(grant="0000"), screen)
    said = capsys.readouterr().out
    for line in (
        "granted",
        "documents added · documents taken out · other terms",
        "+ lab  − scan",
        "keyed anew",
        "ended",
        "all",
        "Grant 00000000 gives: letter · scan · lab.",
    ):
        assert line in said
    assert [step["event"] for step in screen.result["history"]] == [0, 1, 2, None]
    assert [step["time"] for step in screen.result["history"]] == [1, 1, None, None]


@pytest.mark.parametrize("words", [None, "0000"])
async def test_whom_a_grant_leaves_out_is_said(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str], words: str | None
) -> None:
    """Among all grants and by itself, by fingerprint; of a grant that leaves out nobody nothing is said."""
    out = (b"\1" * 32, b"\2" * 32)
    record.grants = lambda: [grant(excluded=out), grant(bytes([1]) * 32)]
    record.given[bytes([1]) * 32] = versions(LETTER)
    terms = EventTerms(acts=ACTS, expiry=86_400, excluded=out[:1])
    record.grant_history = lambda _: [GrantStep(0, 1, False, (LETTER,), (), terms, False)]
    screen = Screen(as_json=False)
    await patient_grants.grants(Namespace(grant=words), screen)
    said = capsys.readouterr().out
    those = ", ".join(map(fingerprint, out))
    assert f"Left out of grant 00000000, and may open nothing under it: {those}." in said
    assert "Left out of grant 01010101" not in said
    shown = screen.result if words else screen.result["grants"][0]
    assert shown["excluded"] == [each.hex() for each in out]
    if words:
        assert screen.result["history"][0]["excluded"] == [out[0].hex()]


def test_what_the_sync_did_about_keys_is_said(
    record: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A grant keyed anew is named, and so is one that could not be, with the reason."""
    record.renewal = Renewal(made=[GID], refused={b"\1" * 32: NotPermitted("Ask them in person.")})
    screen = Screen(as_json=False)
    grant_standing.show_renewal(screen, record)
    said = capsys.readouterr().err
    assert "Grant 00000000 was keyed anew" in said
    assert "01010101 is to be keyed anew, and could not be" in said
    assert "Ask them in person." in said
    assert screen.result["keyed_anew"] == [GID.hex()]


def test_a_list_is_shown_with_its_age(capsys: pytest.CaptureFixture[str]) -> None:
    """The day of its newest event and how long ago it was confirmed; both empty where they are not known."""
    lists = [
        GrantedList(GID, GID, event=2, received=86_400, confirmed=3 * 86_400, acts=ACTS, expiry=9 * 86_400),
        GrantedList(b"\1" * 32, GID, event=0, received=0, confirmed=None, acts=ACTS, expiry=86_400),
    ]
    reader = SimpleNamespace(lists=lambda: lists, service=SimpleNamespace(now=lambda: 3 * 86_400 + 7300))
    screen = Screen(as_json=False)
    show_lists(screen, reader)  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "1970-01-02" in said
    assert "2 hours ago" in said
    assert "not yet" in said
    assert [each["received"] for each in screen.result["lists"]] == [86_400, None]
    assert [each["confirmed"] for each in screen.result["lists"]] == [3 * 86_400, None]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 minutes"),
        (59, "0 minutes"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (90_000, "1 day"),
        (172_800, "2 days"),
    ],
)
def test_an_age_is_in_the_largest_unit(seconds: int, said: str) -> None:
    """A clock behind a keeper's makes nothing of the future."""
    assert age(seconds) == said
