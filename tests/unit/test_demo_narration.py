"""How the demo is told on screens of every width, in either language."""

import re

import pytest

from vault_client.demo import narration as words
from vault_client.demo.cast import PEOPLE
from vault_client.demo.narration import Narration
from vault_client.demo.refusals import Attempt


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_nothing_of_a_table_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """Times, names and titles are shown whole at every width, and words are not broken."""
    monkeypatch.setenv("COLUMNS", str(width))
    row = ("12", "03:04:37", "Dr Anaïs Roche", "voit la liste", "Compte rendu d'hospitalisation")
    Narration(quiet=False).table(words.LOG_COLUMNS, [row])
    shown = capsys.readouterr().out.split()
    assert all(word in shown for cell in row for word in cell.split())


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_lines_are_broken_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """No line is longer than the screen, none begins with what belongs to the line before."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("COFFRE_LANG", "fr")
    narration = Narration(quiet=False)
    narration.say("reader-sees", name="Dr Anaïs Roche", titles=words.BETWEEN[0].join(["une lettre"] * 9))
    narration.attempt(Attempt("tampered", "CannotOpen", "It was refused in many words. " * 3, held=True))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not any(line.lstrip(" ").startswith((":", ";", "/")) for line in lines)


def test_french_is_set_as_french_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a colon or a semicolon, and inside a number, stands a space that does not break."""
    monkeypatch.setenv("COFFRE_LANG", "fr")
    for french, _ in [*words.LINES.values(), *words.SCENES.values(), *words.ATTEMPTS.values()]:
        assert " :" not in french
        assert " ;" not in french
    assert words.number(17625) == "17\N{NO-BREAK SPACE}625"


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("fr", ["1  En résumé", "Dr A voit\N{NO-BREAK SPACE}: x", "Octets", "refusé"]),
        ("en", ["1  In short", "Dr A sees: x", "Bytes", "refused"]),
    ],
)
def test_the_demo_speaks_one_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, shown: list[str]
) -> None:
    """Titles, lines, tables and attempts are in the language of whoever runs it, and nothing of them in the other."""
    monkeypatch.setenv("COFFRE_LANG", language)
    narration = Narration(quiet=False)
    narration.scene("end")
    narration.say("reader-sees", name="Dr A", titles="x")
    narration.table(words.SUMMARY_COLUMNS, [("x", words.number(1234), "0", words.chosen(words.YES))])
    narration.attempt(Attempt("revoked", "NotFound", "Not found: there is nothing here for you.", held=True))
    out = capsys.readouterr().out
    assert all(mine in out for mine in shown)
    other = {
        "fr": ("In short", "sees", "Bytes", "refused", "yes"),
        "en": ("En résumé", "voit", "Octets", "refusé", "oui"),
    }
    assert not any(word in out for word in other[language])


def test_every_sentence_says_the_same_in_both() -> None:
    """What varies stands in the French and in the English of each line."""
    for french, english in words.LINES.values():
        assert set(re.findall(r"\{\w+\}", french)) == set(re.findall(r"\{\w+\}", english))


def test_those_who_are_called_physicians_are() -> None:
    """The demo speaks of two physicians, and certifies both as such."""
    assert all(profession.startswith("médecin") for _, profession, _ in PEOPLE)


def test_a_quiet_demo_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """For a program nothing is told, in tables neither."""
    narration = Narration(quiet=True)
    narration.scene("start")
    narration.table(words.LOG_COLUMNS, [("1",) * 5])
    assert capsys.readouterr().out == ""
