"""What may be typed, in French: the help of every command, and what is said of a mistyped word."""

import argparse
import json
import re
from collections.abc import Iterator

import pytest

from crypto.requests import Purpose
from languages.written import days_in
from vault_client import __main__ as program
from vault_client.audit_report import Entry
from vault_client.commands import parser
from vault_client.commands.acts import shown
from vault_client.commands.patient_log import entry_object, log_rows
from vault_client.commands.purpose_codes import WORDS, purposes_shown
from vault_server.__main__ import _parser as server_parser
from vault_server.keeper.__main__ import _parser as keeper_parser

ENGLISH = {
    "FILE",
    "DIR",
    "GRANT",
    "CARD",
    "CHANGE",
    "IDENTITY",
    "PASSKEY",
    "COMMAND",
    "DAY",
    "NAME",
    "KEY",
    "HOST",
}


@pytest.fixture(autouse=True)
def in_french(monkeypatch):
    """A process that speaks French."""
    monkeypatch.setenv("COFFRE_LANG", "fr")


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    yield of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from commands(each)


@pytest.mark.parametrize("made", [parser, server_parser, keeper_parser])
def test_no_help_holds_an_english_word_for_a_value(made):
    """Usage and options name files, folders and numbers in the reader's language: none of the words is the English one."""
    for each in commands(made()):
        words = set(re.findall(r"(?<![-\w])[A-ZÀ-Ý]{2,}(?![\w-])", each.format_help()))
        assert not words & ENGLISH, each.prog
        for action in each._actions:
            if action.nargs != 0 and not action.choices:
                assert action.metavar, f"{each.prog}: {action.dest} is shown by the name it has in the code"


def test_a_description_keeps_its_capitals():
    """The first letter of what a command is for is a capital, and the others stay as they are: Ctrl-C is a key."""
    text = " ".join(text for each in commands(parser()) for text in [each.description or ""])
    assert "Ctrl-C" in text
    assert "ctrl-c" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["patient", "authorise", "carte", "1", "--acts", "lire"], "--acts : « lire » n'est pas un acte. Les actes sont : release (ouvrir), "),
        (["patient", "amend", "1", "--purposes", "soins"], "--purposes : « soins » n'est pas le code d'un motif, comme TREAT (soins)."),
        (["log", "verify", "--server", "ici"], "--server : « ici » ne commence ni par https:// "),
        (["patient", "get", "1"], "il manque"),
        (["patient", "add"], "FICHIER"),
        (["patient", "erase"], "--document"),
        (["patient", "amend", "1", "--days", "dix"], "--days"),
    ],
)  # fmt: skip
def test_a_mistyped_word_is_answered_in_french(capsys, words, said):
    """What was typed wrongly, and what would be right, is said in French to the end, codes with their meaning."""
    assert program.main(words) == 2
    shown_text = capsys.readouterr().err.replace("\N{NO-BREAK SPACE}", " ")
    assert said in shown_text
    assert "Rien n'a été fait. Essayez : coffre" in shown_text
    assert not re.search(r"\b(argument|the|is no|required|invalid|release,)\b", shown_text)


def entry(code: str, reason: str) -> Entry:
    """A reading with a purpose."""
    return Entry(
        index=0, time=0, kind="access", act="release", identity=b"\1" * 32, name="Dr", grant=None, documents=(),
        changes=(), purpose=Purpose(code=code, role="", organisation="", name="", reason=reason),
    )  # fmt: skip


class Record:
    """A record without documents."""

    def __init__(self) -> None:
        self.replica = self.own = self
        self.identity = bytes(32)

    def documents(self) -> list[None]:
        """None."""
        return []

    def deleted_titles(self) -> dict[bytes, str]:
        """None."""
        return {}


def test_why_somebody_read_is_said_in_plain_words(monkeypatch):
    """A known purpose is words, another its code; days are the reader's language's, whoever wrote them. Programs read the code."""
    made = entry("TREAT", "2026-11-21 08:00 UTC – 2026-11-22 09:00 UTC (×2)")
    whys = {"fr": "soins · 21/11/2026 08:00 UTC – 22/11/2026 09:00 UTC (×2)", "en": "treatment · 2026-11-21 08:00 UTC – 2026-11-22 09:00 UTC (×2)"}  # fmt: skip
    for language, why in whys.items():
        monkeypatch.setenv("COFFRE_LANG", language)
        assert log_rows(Record(), [made], everything=True)[0][-1] == why
        assert json.loads(json.dumps(entry_object(made)))["purpose"].startswith("TREAT · 2026-11-21 08:00")
    assert purposes_shown(["TREAT", "X-OWN"]) == "treatment, X-OWN"


def test_every_word_for_a_code_is_french():
    """Acts and purposes have French words of their own."""
    assert shown(("release", "list")) == "ouvrir, voir la liste"
    assert all(purposes_shown([code]) != WORDS[code] for code in WORDS)


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("the 2026-11-21 and 2026-11-22.", "the 21/11/2026 and 22/11/2026."),
        ("no 12026-11-21, 2026-11-2, 2026-11-21-1", "no 12026-11-21, 2026-11-2, 2026-11-21-1"),
        ("", ""),
    ],
)
def test_days_within_a_text_are_written_as_they_are_read(text, french):
    """Each day, and nothing that only looks like one."""
    assert days_in(text) == french
