"""How the demo is told on screens of every width."""

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
    row = ("12", "03:04:37", "Dr Anaïs Roche", "voit la liste / listed", "Compte rendu d'hospitalisation")
    Narration(quiet=False).table(words.LOG_COLUMNS, [row])
    shown = capsys.readouterr().out.split()
    assert all(word in shown for cell in row for word in cell.split())


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_lines_are_broken_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """No line is longer than the screen, none begins with what belongs to the line before."""
    monkeypatch.setenv("COLUMNS", str(width))
    narration = Narration(quiet=False)
    narration.say("reader-sees", name="Dr Anaïs Roche", titles=words.BETWEEN.join(["une lettre"] * 9))
    narration.attempt(Attempt("tampered", "CannotOpen", "It was refused in many words. " * 3, held=True))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not any(line.lstrip(" ").startswith((":", ";", "/")) for line in lines)


def test_french_is_set_as_french_is() -> None:
    """Before a colon or a semicolon, and inside a number, stands a space that does not break."""
    for french, _ in [*words.LINES.values(), *words.SCENES.values(), *words.ATTEMPTS.values()]:
        assert " :" not in french
        assert " ;" not in french
    assert words.number(17625) == "17\N{NO-BREAK SPACE}625"


def test_those_who_are_called_physicians_are() -> None:
    """The demo speaks of two physicians, and certifies both as such."""
    assert all(profession.startswith("médecin") for _, profession, _ in PEOPLE)


def test_a_quiet_demo_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """For a program nothing is told, in tables neither."""
    narration = Narration(quiet=True)
    narration.scene("start")
    narration.table(words.LOG_COLUMNS, [("1",) * 5])
    assert capsys.readouterr().out == ""
