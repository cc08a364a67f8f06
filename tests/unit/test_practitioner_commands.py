"""What a practitioner may type to open documents, and what their files are called; the acts of a grant."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from crypto.descriptors import ListedDocument
from vault_client import __main__ as program
from vault_client.commands import acts, practitioner_reading
from vault_client.commands.output import Screen
from vault_client.granted_document import GrantedDocument
from vault_client.sharing_terms import ACTS


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run one command with --json in this process, where nobody can be asked."""
    code = program.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)


@pytest.mark.parametrize(
    ("typed", "given", "said"),
    [
        ("release", ("release", "list"), "open, see the list"),
        ("export,release", ("release", "list", "export"), "open, see the list, export"),
        ("reopen,prefetch", ("prefetch", "list", "reopen"), "fetch ahead, see the list, open again"),
        ("release,prefetch,reopen,export", ACTS, "all"),
    ],
)
def test_the_acts_of_a_grant_are_chosen(typed: str, given: tuple[str, ...], said: str) -> None:
    """The acts typed are granted in their one order, with the list; they are shown in words."""
    assert (acts.chosen(typed), acts.shown(given)) == (given, said)


@pytest.mark.parametrize("typed", ["", "open", "list", "release,", "prefetch", "release,reopen"])
def test_acts_that_are_none_are_mistyped(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    """What is no act, or gives nothing by itself, is not understood."""
    code, result = run(capsys, "patient", "authorise", "card", "1", "--acts", typed)
    assert (code, result["error"], "--acts" in result["message"]) == (2, "Usage", True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("1",),
        ("1", "-o", "file", "--to", "dir"),
        ("1", "2", "-o", "file"),
        ("1", "--all", "abcd", "--to", "dir"),
        ("--all", "abcd", "-o", "file"),
    ],
)
def test_what_to_read_and_where_to_is_said_once(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Documents or a whole grant; one file, or a folder: anything else is refused before the passphrase is asked for."""
    code, result = run(capsys, "practitioner", "read", *words)
    assert (code, result["error"]) == (2, "Usage")


def _granted_document(number: int, title: str, vault: bytes = bytes(32)) -> GrantedDocument:
    listed = ListedDocument(
        doc=bytes([number]) * 16,
        ver=bytes([number]) * 16,
        title=title,
        category="Note",
        author="",
        mime="text/plain",
        date="2026-01-02",
        length=1,
    )
    return GrantedDocument(vault=vault, gid=bytes(32), person="", document=listed, listed=1)


def test_files_of_a_folder_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Titles that are equal, or no names, make files of their own; one that is there is left alone, and said."""
    documents = [
        _granted_document(1, "letter"),
        _granted_document(2, "letter"),
        _granted_document(1, "letter", b"\1" * 32),
        _granted_document(3, "../../letter"),
    ]
    words = Namespace(to=tmp_path / "new" / "folder", output=None)
    screen = Screen(as_json=False)
    wanted = practitioner_reading._destinations(words, screen, documents)
    paths = [path for _, path in wanted]
    assert paths[0].name == "2026-01-02 letter 00000000 01010101.txt"
    assert (len(set(paths)), {path.parent for path in paths}) == (4, {words.to})
    paths[1].write_text("mine")
    assert practitioner_reading._destinations(words, screen, documents) == [*wanted[:1], *wanted[2:]]
    assert "is there already: letter was not asked for again" in " ".join(capsys.readouterr().out.split())
