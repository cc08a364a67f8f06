"""The command line without a server: what may be typed, how secrets come in, what each ending says."""

import json
import os
import stat
import subprocess
import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import pytest

from crypto.errors import Conflict, Damaged, Full, NotFound, NotPermitted, Unavailable, Unreachable
from crypto.labels import SUITE
from crypto.sealed.recovery import Kit, KitFile, read_kit_file
from crypto.statements import RootRef
from crypto.vault_links import AnyOperation, Block, Mask
from vault_client import __main__ as program
from vault_client import audit_report
from vault_client.audit_report import Entry, change_of
from vault_client.commands import (
    grant_standing,
    output,
    patient_sharing,
    practitioner,
    processes,
    profiles,
    secrets_input,
    trust_line,
)
from vault_client.commands.confirmation import confirm
from vault_client.commands.names import pick, pick_all, remember, short
from vault_client.commands.output import Screen, Usage, amount, day, moment, several
from vault_client.commands.patient_log import CHANGES, deed
from vault_client.device_store import DeviceStore
from vault_client.local_vault import GrantedVersion
from vault_client.sharing_terms import ACTS

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.delenv("COFFRE_HOME", raising=False)
    monkeypatch.delenv("COFFRE_DEBUG", raising=False)


def passed(secret: bytes) -> int:
    """A file descriptor from which ``secret`` can be read."""
    reading, writing = os.pipe()
    os.write(writing, secret)
    os.close(writing)
    return reading


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run one command with --json in this process."""
    code = program.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have ``log verify`` end in ``error``."""

    async def verify(arguments: Namespace, screen: Screen) -> None:
        screen.result["begun"] = True
        raise error

    monkeypatch.setattr("vault_client.commands.log.verify", verify)


def test_help_loads_nothing_heavy() -> None:
    """What may be typed is known without the network, the cryptography or the drawing libraries."""
    script = (
        "import sys; from vault_client.commands import parser; parser();"
        "print([name for name in ('aiohttp', 'nacl', 'cryptography', 'rich', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nothing",),
        ("patient",),
        ("patient", "enrol"),
        ("patient", "enrol", "--server", NOBODY, "--card", "card"),
        ("patient", "list", "--passphrase", "secret"),
        ("patient", "get", "1"),
        ("log", "verify"),
    ],
)
def test_what_is_mistyped_ends_in_two(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """A command that is not understood does nothing and ends in 2, with one JSON object if that was asked for."""
    code, result = run(capsys, *words)
    assert (code, result["error"]) == (2, "Usage")
    assert program.main(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err[:8]) == ("", "coffre: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(), 1),
        (NotPermitted("No."), 1),
        (Conflict("Overtaken."), 1),
        (Usage("What?"), 2),
        (EOFError(), 2),
        (Unreachable("Nobody."), 3),
        (Damaged("Spoilt."), 3),
        (Full("Full."), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_ending_has_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    """A refusal ends in 1, what was mistyped in 2, what cannot be had in 3; what was done before is reported."""
    ending(monkeypatch, error)
    ended, result = run(capsys, "log", "verify", "--server", NOBODY)
    assert (ended, result["begun"]) == (code, True)
    assert result["message"]


def test_a_bug_is_called_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An error nobody foresaw ends in 1 without its text, which could hold anything; COFFRE_DEBUG shows where."""
    ending(monkeypatch, ValueError("something private"))
    assert program.main(["log", "verify", "--server", NOBODY]) == 1
    said = capsys.readouterr()
    assert ("This is a bug" in said.err, "private" in said.err, said.out) == (True, False, "")
    monkeypatch.setenv("COFFRE_DEBUG", "1")
    assert program.main(["log", "verify", "--server", NOBODY]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_yes_is_needed_before_a_passphrase(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without --yes and without anybody to ask, nothing is deleted, and no profile is opened."""
    code, result = run(capsys, "patient", "delete", "1", "--home", str(tmp_path))
    assert (code, result["error"], "--yes" in result["message"]) == (2, "Usage", True)
    assert run(capsys, "patient", "delete", "1", "--home", str(tmp_path), "--yes")[0] == 3


@pytest.mark.parametrize("words", [("log", "verify"), ("patient", "enrol")])
def test_an_address_without_a_scheme_is_mistyped(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """An address needs its beginning, http:// or https://, and that is what is said."""
    code, result = run(capsys, *words, "--server", "localhost:8765")
    assert (code, result["error"], "neither https:// nor" in result["message"]) == (2, "Usage", True)


def test_an_unreachable_server_ends_in_three(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody answers: 3. An address that is neither HTTPS nor this computer is refused: 1."""
    assert run(capsys, "log", "verify", "--server", NOBODY)[0] == 3
    code, result = run(capsys, "log", "verify", "--server", "http://example.org")
    assert (code, result["error"]) == (1, "NotPermitted")


def test_enrolling_can_be_tried_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An enrolment that reached nobody leaves a profile in which the next one succeeds or fails for its own reasons."""
    words = (
        "patient",
        "enrol",
        "--server",
        NOBODY,
        "--home",
        str(tmp_path / "home"),
        "--kit",
        str(tmp_path / "kit"),
    )
    for _ in range(2):
        code, result = run(capsys, *words, "--passphrase-fd", str(passed(b"several words\n")))
        assert (code, result["error"], (tmp_path / "kit").exists()) == (3, "Unreachable", False)
    code, result = run(capsys, *words, "--passphrase-fd", str(passed(b"another\n")))
    assert (code, result["error"]) == (1, "CannotOpen")
    assert result["message"].startswith("The passphrase is wrong")


def test_nobody_is_enrolled_twice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where somebody is enrolled already, that is said before the passphrase is asked for."""
    (tmp_path / "home" / "spool").mkdir(parents=True)
    words = ("patient", "enrol", "--server", NOBODY, "--home", str(tmp_path / "home"))
    code, result = run(capsys, *words, "--kit", str(tmp_path / "kit"))
    assert (code, result["error"]) == (1, "Conflict")


@pytest.mark.parametrize("word", ["--card", "authorise"])
def test_what_is_no_card_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path, word: str) -> None:
    """A file that is no card, or another kind of card, is refused by its name."""
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"{}")
    words = ("authorise", str(letter), "1") if word == "authorise" else ("enrol", word, str(letter))
    kit = () if word == "authorise" else ("--kit", str(tmp_path / "kit"))
    code, result = run(capsys, "patient", *words, *kit)
    assert (code, result["error"]) == (1, "Malformed")
    assert f"{letter} is not a " in result["message"]


def test_all_files_are_looked_at_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is missing, or is a folder, is refused before any is added."""
    (tmp_path / "letter").write_text("letter")
    for wrong, why in ((tmp_path, "is a folder"), (tmp_path / "none", "cannot be read")):
        code, result = run(capsys, "patient", "add", str(tmp_path / "letter"), str(wrong))
        assert (code, why in result["message"]) == (3, True)


@pytest.mark.parametrize("days", ["0", "-1", "1096"])
def test_a_grant_lasts_three_years_at_most(capsys: pytest.CaptureFixture[str], days: str) -> None:
    """A grant for no day, or for more than three years, is not understood."""
    code, result = run(capsys, "patient", "authorise", "card", "1", "--days", days)
    assert (code, "1095" in result["message"]) == (2, True)


@pytest.mark.parametrize(("answer", "goes_on"), [("yes", True), ("Yes ", True), ("", False), ("y", False)])
def test_what_cannot_be_taken_back_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    """At a terminal only a yes goes on, unless it was given beforehand; where nobody can be asked it must be."""
    monkeypatch.setattr("builtins.input", lambda _: answer)
    confirm(Namespace(yes=True, json=False), "Sure?")
    with pytest.raises(Usage, match="--yes"):
        confirm(Namespace(yes=False, json=False), "Sure?")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    confirm(Namespace(yes=True, json=True), "Sure?")
    with pytest.raises(Usage, match="--yes"):
        confirm(Namespace(yes=False, json=True), "Sure?")
    if goes_on:
        confirm(Namespace(yes=False, json=False), "Sure?")
    else:
        with pytest.raises(NotPermitted):
            confirm(Namespace(yes=False, json=False), "Sure?")


async def test_sharing_names_the_documents(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The question before sharing and the lines behind it name the documents; the profile is opened before it is asked."""
    told: list[str] = []
    first, second = (
        SimpleNamespace(doc=bytes([each]) * 16, descriptor=SimpleNamespace(title=title))
        for each, title in ((1, "letter, signed"), (2, "scan"))
    )
    grant = _grant(0)

    async def share(*_: object, **__: object) -> SimpleNamespace:
        granted.append(GrantedVersion(doc=second.doc, ver=bytes(16), current=True))
        return grant

    def opened(*_: object) -> Any:
        told.append("opened")
        return nullcontext((record, None))

    def answer(_: str) -> str:
        told.append(capsys.readouterr().out)
        return "yes"

    granted: list[GrantedVersion] = []
    record = SimpleNamespace(
        authorise=share,
        extend=share,
        documents=lambda: [first, second],
        grants=lambda: [grant],
        unanswered_grants=list,
        changing=lambda _: [],
        granted=lambda _: list(granted),
        asked=None,
        is_ending=lambda _: False,
        service=SimpleNamespace(now=lambda: 1),
    )
    monkeypatch.setattr(profiles, "patient", opened)
    monkeypatch.setattr(profiles, "identity_card", lambda _: None)
    monkeypatch.setattr("crypto.wire.cards.card_fingerprint", lambda _: "ABCD")
    monkeypatch.setattr(trust_line, "show_trust", lambda *_: None)
    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setenv("COLUMNS", "500")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    both = [each.doc.hex() for each in (first, second)]
    words = Namespace(card="card", documents=both, days=1, acts=ACTS, met_again=False, yes=False, json=False)
    await patient_sharing.authorise(words, Screen(as_json=False))
    assert (told[0], "2 documents: letter, signed · scan. The fingerprint on it is ABCD" in told[1]) == (
        "opened",
        True,
    )
    assert "until 1970-01-01: letter, signed · scan. Grant 00000000." in capsys.readouterr().out
    more = Namespace(grant=grant.entry.gid.hex(), documents=both[1:])
    granted.clear()
    await patient_sharing.extend(more, Screen(as_json=False))
    assert "may open 1 document more: scan." in capsys.readouterr().out


TERMS: dict[str, Any] = {"acts": ("list", "release"), "purposes": ("TREAT",), "excluded": ()}
NOTHING_WAITS: dict[str, Any] = {
    "waiting": list,
    "changing": lambda _: [],
    "unanswered_grants": list,
    "outcome": SimpleNamespace(sent=[], dropped=[], refused=[]),
    "given_back": None,
}


def _grant(gid: int, *, ended: bool = False, recipient: bytes = bytes(32)) -> SimpleNamespace:
    entry = SimpleNamespace(gid=bytes([gid]) * 32, recipient=recipient, ended=ended, j=0)
    return SimpleNamespace(entry=entry, name="Dr X", subject="demo:1", expiry=2, end_in_force=ended, **TERMS)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], ""),
        ([_grant(1, ended=True), _grant(2, recipient=b"\1" * 32)], ""),
        ([_grant(1)], "In force for this person besides: 1 other grant."),
        ([_grant(1), _grant(2)], "In force for this person besides: 2 other grants."),
    ],
)
async def test_what_goes_on_after_an_end_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    others: list[SimpleNamespace],
    said: str,
) -> None:
    """Ending one grant says how many others the same person has, since those give what they gave before."""
    grant = _grant(0, ended=True)

    async def revoke(_: bytes) -> SimpleNamespace:
        return grant

    record = SimpleNamespace(
        revoke=revoke,
        grants=lambda: [grant, *others],
        **NOTHING_WAITS,
        granted=lambda _: [],
        asked=None,
        is_ending=lambda _: False,
        service=SimpleNamespace(now=lambda: 1),
    )
    monkeypatch.setattr(profiles, "unsent_patient", lambda *_: nullcontext((record, None)))
    monkeypatch.setattr(trust_line, "show_trust", lambda *_: None)
    await patient_sharing.revoke(Namespace(grant=grant.entry.gid.hex()), Screen(as_json=False))
    shown = capsys.readouterr().out
    assert ("for this person" in shown, said in shown) == (bool(said), True)


@pytest.mark.parametrize(("in_force", "said"), [(True, "is ended"), (False, "not yet in force")])
async def test_an_end_is_said_to_be_in_force_only_when_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_force: bool, said: str
) -> None:
    """An end that nobody confirmed is shown as sent, in words and in the JSON object."""
    gid = bytes(32)
    entry = SimpleNamespace(gid=gid, recipient=bytes(32), ended=True, j=0)
    grant = SimpleNamespace(
        entry=entry, name="Dr X", subject="demo:1", expiry=0, end_in_force=in_force, **TERMS
    )

    async def revoke(_: bytes) -> SimpleNamespace:
        return grant

    record = SimpleNamespace(
        revoke=revoke,
        grants=lambda: [grant],
        **NOTHING_WAITS,
        granted=lambda _: [],
        asked=None,
        service=None,
    )
    monkeypatch.setattr(profiles, "unsent_patient", lambda *_: nullcontext((record, None)))
    monkeypatch.setattr(trust_line, "show_trust", lambda *_: None)
    screen = Screen(as_json=False)
    await patient_sharing.revoke(Namespace(grant=gid.hex()), screen)
    assert said in capsys.readouterr().out
    assert screen.result["state"] == ("ended" if in_force else "sent, not yet in force")


@pytest.mark.parametrize(
    ("ended", "in_force", "ending", "said"),
    [
        (False, False, False, "in force"),
        (False, False, True, "asked to end, not yet in force"),
        (True, False, True, "sent, not yet in force"),
        (False, True, True, "ended at the keepers, not yet in the log: revoke again"),
        (True, True, False, "ended"),
    ],
)
def test_a_grant_is_ended_when_keepers_or_log_and_record_say_so(
    ended: bool, in_force: bool, ending: bool, said: str
) -> None:
    """What stands in neither the record nor the log is not called ended, and what was asked to end is not in force."""
    entry = SimpleNamespace(gid=bytes(32), ended=ended)
    grant = SimpleNamespace(entry=entry, end_in_force=in_force, expiry=2)
    record = SimpleNamespace(
        is_ending=lambda _: ending, unanswered_grants=list, service=SimpleNamespace(now=lambda: 1)
    )
    assert grant_standing.standing(grant, record) == said
    record.unanswered_grants = lambda: [grant]
    assert grant_standing.standing(grant, record) == ("sent, not confirmed" if said == "in force" else said)


@pytest.mark.parametrize(
    ("output", "said"), [(None, "card -o FILE"), (Path("card.json"), "give card.json to the")]
)
async def test_what_comes_next_is_not_what_was_just_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: Path | None, said: str
) -> None:
    """Who has no certificate yet is told to write the card to a file or, when that is done, to hand it over."""

    async def nothing(*_: object) -> tuple[str, ...]:
        return ()

    reader = SimpleNamespace(card=lambda: _answered(card), service=None)
    card = SimpleNamespace(chain=SimpleNamespace(identity=bytes(32)))
    monkeypatch.setattr(profiles, "practitioner", lambda *_: nullcontext((reader, None)))
    monkeypatch.setattr(profiles, "write_text", lambda *_: None)
    monkeypatch.setattr(practitioner, "_certificates", nothing)
    monkeypatch.setattr("crypto.wire.cards.card_text", lambda _: "{}")
    monkeypatch.setattr("crypto.wire.cards.card_fingerprint", lambda _: "ABCD")
    monkeypatch.setattr(trust_line, "show_trust", lambda *_: None)
    await practitioner.card(Namespace(output=output, noun="practitioner"), Screen(as_json=False))
    shown = capsys.readouterr().out
    assert ("share with you" in shown, said in shown, shown.count("-o FILE")) == (True, True, output is None)


async def _answered(what: object) -> object:
    return what


def test_a_keeper_that_was_left_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Whose answer did not fit is said by name; when all agreed, nothing is."""
    screen = Screen(as_json=False)
    practitioner.say_left_out(SimpleNamespace(left_out=list), screen)
    assert (screen.result["left_out"], capsys.readouterr().out) == ([], "")
    practitioner.say_left_out(SimpleNamespace(left_out=lambda: ["keeper-2"]), screen)
    assert screen.result["left_out"] == ["keeper-2"]
    assert "keeper-2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "change", "changes": ("founded",)}, "founded the record"),
        ({"kind": "change", "changes": ("unmasked",)}, "unmasked"),
        (
            {"kind": "change", "changes": ("shared",), "name": "Dr X", "documents": (bytes(16),) * 2},
            "let Dr X open 2 documents",
        ),
        (
            {"kind": "change", "changes": ("shared",), "name": "{0}"},
            "let {0} open documents",
        ),
        (
            {"kind": "change", "changes": ("ended",), "name": "Dr X", "grant": b"\xfb" * 32},
            "ended grant fbfbfbfb",
        ),
        (
            {"kind": "change", "changes": ("amended",), "grant": b"\xfb" * 32},
            "changed what grant fbfbfbfb allows",
        ),
        (
            {"kind": "change", "changes": ("keyed anew",), "grant": b"\xfb" * 32, "documents": (bytes(16),)},
            "gave new keys to grant fbfbfbfb, which now gives 1 document",
        ),
        ({"kind": "granted", "grant": b"\xfb" * 32}, "was given grant fbfbfbfb"),
        (
            {"kind": "granted", "changes": ("changed",), "grant": b"\xfb" * 32},
            "was told how grant fbfbfbfb changed",
        ),
        ({"kind": "ended", "grant": b"\xfb" * 32}, "the end of grant fbfbfbfb is in force"),
        ({"kind": "change", "changes": ("added", "masked")}, "added, masked"),
        ({"kind": "access", "act": "release"}, "opened"),
        ({"kind": "refused", "act": "list"}, "was refused"),
    ],
)
def test_the_log_is_told_in_plain_words(entry: dict[str, Any], said: str) -> None:
    """Each entry of the log is a sentence, whatever names stand in it."""
    blank = {
        "index": 0,
        "time": 0,
        "act": "",
        "identity": None,
        "name": "",
        "grant": None,
        "documents": (),
        "changes": (),
        "purpose": None,
    }
    assert deed(Entry(**{**blank, **entry})) == said


def test_every_operation_has_a_word() -> None:
    """Whatever a link may hold, the log can say."""
    words = {change_of(Mask(doc=bytes(16), masked=masked)) for masked in (True, False)} | {
        change_of(Block(identity=bytes(32), blocked=blocked)) for blocked in (True, False)
    }
    assert words == {"masked", "unmasked", "blocked", "unblocked"}
    assert set(audit_report._CHANGES) == set(get_args(AnyOperation))
    assert set(audit_report._CHANGES.values()) | words | {
        audit_report.FOUNDED,
        audit_report.AMENDED,
        audit_report.KEYED_ANEW,
        audit_report.ERASED,
    } == set(CHANGES)


@pytest.mark.parametrize("time", [2**53 - 1, 253402300800])
def test_every_time_can_be_shown(time: int) -> None:
    """A time that is somebody else's word, and behind every calendar, is shown as the last day there is."""
    assert (day(time), moment(time)) == ("9999-12-31", "9999-12-31 23:59:59")


def test_a_list_of_any_length_is_remembered(store: DeviceStore) -> None:
    """Of a list that is longer than the numbers, the numbers that can be typed are kept."""
    ids = [number.to_bytes(48) for number in range(70_000)]
    remember(store, "things", iter(ids))
    assert [pick(store, "things", word, ids) for word in ("1", "999")] == [ids[0], ids[998]]


def test_a_kit_is_never_lost(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a terminal and without --kit nobody is enrolled, and nothing is made."""
    words = ("patient", "enrol", "--server", NOBODY, "--home", str(tmp_path / "home"))
    code, result = run(capsys, *words, "--passphrase-fd", str(passed(b"secret")))
    assert (code, result["error"], (tmp_path / "home").exists()) == (2, "Usage", False)


def test_a_profile_that_is_not_there_ends_in_three(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A profile that does not exist cannot be opened, and is not made; that is said before any passphrase."""
    code, result = run(capsys, "patient", "list", "--home", str(tmp_path / "home"))
    assert (code, "patient enrol" in result["message"]) == (3, True)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [(b"secret", "secret"), (b"secret\n", "secret"), (b"secret\n\n", "secret\n"), (b" \n", " ")],
)
def test_one_newline_is_no_part_of_a_passphrase(given: bytes, expected: str) -> None:
    """From a file descriptor everything counts but one newline at the end."""
    assert secrets_input.passphrase(Namespace(passphrase_fd=passed(given))) == expected


@pytest.mark.parametrize("number", [98765, passed(b"\xff")])
def test_a_passphrase_that_cannot_be_read_is_a_usage_error(number: int) -> None:
    """A file descriptor that is closed, or holds no text, gives no passphrase."""
    with pytest.raises(Usage):
        secrets_input.passphrase(Namespace(passphrase_fd=number))


def test_a_passphrase_is_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one twice, an old one once; never when nobody can answer."""
    answers = iter(["a new passphrase", "another", "too short", "the same again", "the same again", "old"])
    monkeypatch.setattr(secrets_input, "getpass", lambda _: next(answers))
    nothing = Namespace(passphrase_fd=None)
    with pytest.raises(Usage):
        secrets_input.passphrase(nothing)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for _ in range(2):
        with pytest.raises(Usage):
            secrets_input.passphrase(nothing, new=True)
    assert secrets_input.passphrase(nothing, new=True) == "the same again"
    assert secrets_input.passphrase(nothing) == "old"


def a_kit() -> KitFile:
    """A new kit as it is kept."""
    return KitFile(
        suite=SUITE,
        url=NOBODY,
        root=RootRef(version=1, digest=bytes(32)),
        identity=bytes(32),
        vault=None,
        text=Kit.generate().to_text(),
    )


def test_a_kit_file_is_private_and_new(tmp_path: Path) -> None:
    """The kit goes to a new file of mode 0600; a file that is there is refused and stays as it was."""
    kit, path = a_kit(), tmp_path / "kit"
    arguments = Namespace(kit=path, json=False, noun="patient")
    keep = secrets_input.kit_keeper(arguments)
    keep(kit)
    assert read_kit_file(path.read_text()) == kit
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        keep(a_kit())
    with pytest.raises(Conflict):
        secrets_input.kit_keeper(arguments)
    assert read_kit_file(path.read_text()) == kit
    secrets_input.note_vault(path, bytes(32))
    assert read_kit_file(path.read_text()) == msgspec.structs.replace(kit, vault=bytes(32))
    assert (stat.S_IMODE(path.stat().st_mode), list(tmp_path.iterdir())) == (0o600, [path])
    with pytest.raises(Unavailable):
        secrets_input.note_vault(tmp_path / "other", bytes(32))


def test_a_kit_is_on_disk_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows may be published only once a power cut takes the kit away no more: its file and the entry of it are synced."""
    path, synced, sync = tmp_path / "kit", [], os.fsync

    def noted(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    secrets_input.kit_keeper(Namespace(kit=path, json=False, noun="patient"))(a_kit())
    assert synced == [path.stat().st_ino, tmp_path.stat().st_ino]


def test_a_kit_without_room_leaves_nothing_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves no half kit: the next try writes a whole one."""
    path = tmp_path / "kit"
    keep = secrets_input.kit_keeper(Namespace(kit=path, json=False, noun="patient"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="Nobody was enrolled"):
            keep(a_kit())
    assert list(tmp_path.iterdir()) == []
    keep(a_kit())
    assert path.exists()


def test_a_document_is_named_by_number_or_beginning(store: DeviceStore) -> None:
    """Up to three digits are a number of the last list, four characters the beginning of an id."""
    first, second = bytes.fromhex("1234" + "00" * 14), bytes.fromhex("12ab" + "00" * 14)
    remember(store, "documents", [second, first])
    assert pick(store, "documents", "1", [first, second]) == second
    assert pick(store, "documents", "1234", [first, second]) == first
    assert pick(store, "documents", "12AB", [first, second]) == second
    assert pick_all(store, "documents", ["2", first.hex(), "1"], [first, second]) == [first, second]
    assert short(first) == "12340000"


@pytest.mark.parametrize("word", ["", "0", "3", "-1", "²", "12", "abc", "ffff", "1200", "not an id"])
def test_a_name_of_none_or_several_is_refused(store: DeviceStore, word: str) -> None:
    """What means no document, or more than one, names nothing."""
    known = [bytes.fromhex("120000" + end * 13) for end in ("00", "11")]
    remember(store, "documents", known)
    with pytest.raises(Usage):
        pick(store, "documents", word, known)


def test_what_is_shown_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A title can neither colour the screen nor move about on it."""
    screen = Screen(as_json=False)
    screen.table(("Title",), [("[bold]x[/bold]\x1b[2J",)])
    screen.say("y\x1b[2J")
    shown = capsys.readouterr().out
    assert ("[bold]x[/bold][2J" in shown, "y[2J" in shown, "\x1b" in shown) == (True, True, False)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_words_are_not_broken_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    """At a terminal a long message, or a refusal, is lines of whole words; in a pipe it is one line."""
    monkeypatch.setenv("COLUMNS", "20")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: is_terminal, raising=False)
    screen = Screen(as_json=False)
    screen.say("considerable " * 5)
    screen.refuse("Usage", "considerable " * 5)
    said = capsys.readouterr()
    for lines in (said.out.splitlines(), said.err.splitlines()):
        assert " ".join(lines).count("considerable") == 5
        assert (len(lines) > 1, max(map(len, lines)) <= 20) == (is_terminal, is_terminal)


def test_a_bar_speaks_french(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """How much of a file is done is said in the units of everything else, and without those of the library."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COFFRE_LANG", "fr")
    monkeypatch.setenv("COLUMNS", "200")
    with Screen(as_json=False).progress("[b]scan") as progress:
        assert progress is not None
        progress(1_500_000, 3_000_000)
    shown = capsys.readouterr().err
    assert ("1,5 Mo / 3,0 Mo" in shown, "[b]scan" in shown, "MB" in shown, "bytes" in shown) == (
        True,
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], ""), (["a"], "a"), (["a, b", "c"], "a, b · c"), (["a", "b", "c", "d", "e"], "a · b · c · … (5)")],
)
def test_a_few_names_stand_for_many(names: list[str], shown: str) -> None:
    """The first three are named, and all counted when there are more; a comma in a name divides nothing."""
    assert several(names) == shown


def test_json_is_the_only_output(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing else is written, and no progress is drawn."""
    screen = Screen(as_json=True)
    screen.say("text")
    screen.aside("text")
    screen.table(("a",), [("b",)])
    with screen.progress("work") as progress:
        assert progress is None
    screen.result["done"] = "é"
    screen.finish()
    said = capsys.readouterr()
    assert (json.loads(said.out), said.out.count("\n"), said.err) == ({"done": "é"}, 1, "")


def test_progress_is_drawn_for_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar is drawn on stderr when that is a terminal."""
    screen = Screen(as_json=False)
    with screen.progress("work") as progress:
        assert progress is None
    monkeypatch.setattr(output.sys.stderr, "isatty", lambda: True, raising=False)
    with screen.progress("work") as progress:
        assert progress is not None
        progress(1, 2)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_900, "99.9 kB"),
        (483_256, "483 kB"),
        (10**13, "10000 GB"),
    ],
)
def test_sizes_are_shown_short(count: int, shown: str) -> None:
    """Three digits are enough."""
    assert amount(count) == shown


def test_the_servers_programs_take_the_process_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """serve, keeper and registrar become the server's programs with every word typed, in no current folder."""
    started: list[list[str]] = []
    monkeypatch.setattr(processes.os, "execv", lambda _, command: started.append(command))
    for word, module in (
        ("serve", "vault_server"),
        ("keeper", "vault_server.keeper"),
        ("registrar", "vault_server"),
    ):
        started.clear()
        processes.replace_process(word, ["--help", "--json"])
        assert started[0][:4] == [sys.executable, "-P", "-m", module]
        assert started[0][-2:] == ["--help", "--json"]


def test_a_server_that_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the server's libraries serve ends in 3 and says what to install."""
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    code, result = run(capsys, "serve")
    assert (code, "coffre[server]" in result["message"]) == (3, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("patient", "log", "--disclose-keys", "--yes"), 2),
        (("patient", "log", "--disclose-keys", "--evidence", "new"), 2),
        (("patient", "log", "--evidence", "{full}"), 1),
        (("evidence", "verify", "nowhere"), 3),
        (("evidence", "verify", "{full}/file"), 1),
    ],
)
def test_evidence_is_asked_for_rightly(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """A key without a file or a yes, a folder in use, no file and a file that is none end before anything is done."""
    (tmp_path / "file").write_text("{}")
    said = [word.format(full=tmp_path) for word in words]
    assert run(capsys, *said)[0] == code
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
