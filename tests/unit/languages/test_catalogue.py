"""How French is made from English at the edge of a program."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.catalogue import LONGEST, entries, spoken
from languages.choice import language
from languages.help import SpokenParser


@pytest.fixture
def in_french(monkeypatch):
    """A process that speaks French."""
    monkeypatch.setenv("COFFRE_LANG", "fr")


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8", "COFFRE_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "COFFRE_LANG": "FR"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "COFFRE_LANG": ""}, "fr"),
    ],
)
def test_the_system_says_which_language(monkeypatch, variables, wanted):
    """COFFRE_LANG before LC_ALL before LC_MESSAGES before LANG; French where it says so, else English."""
    for name in ("COFFRE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == wanted


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("Try again.", "Réessayez."),
        ("Try again. ", "Réessayez. "),
        ("A list: there is nothing here for you. Nothing was opened.", "Une liste : il n'y a rien ici pour vous. Rien n'a été ouvert."),
        ("A device was removed that is not there. The link was not believed.", "Un appareil a été retiré sans être là. Le maillon n'a pas été cru."),
        (
            "The profile in /a/St. John is open in another program. Nothing was opened. Close that one and try again.",
            "Le profil dans /a/St. John est ouvert dans un autre programme. Rien n'a été ouvert. Fermez celui-là et réessayez.",
        ),
        ("x y cannot be read. Look whether it is there.", "x y ne peut pas être lu. Regardez s'il est là."),
        ("Nobody wrote this. Try again.", "Nobody wrote this. Try again."),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_found_whole_or_by_sentences(in_french, english, french):
    """Whatever stands for a name is kept; a part that is looked up in its turn is French; what is not known stays."""
    assert spoken(english).replace("\N{NO-BREAK SPACE}", " ") == french


def test_what_a_person_named_is_not_translated(in_french):
    """A document that is called like a word of ours keeps its name."""
    assert spoken("masked was verified and written to yes.") == "masked a été vérifié et écrit dans yes."
    assert "in force" in spoken("in force (You) may open 1 document until ended: 3 documents.")


def test_english_is_what_the_code_says(monkeypatch):
    """In English nothing is looked up."""
    monkeypatch.setenv("COFFRE_LANG", "en")
    for english in entries():
        assert spoken(english) == english


@given(st.text(max_size=60))
def test_any_text_is_shown(text):
    """No text that comes over the wire breaks the looking up, braces included, nor is shown empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COFFRE_LANG", "fr")
        assert bool(spoken(text)) == bool(text)
        assert spoken(f"{text} is not a card.").endswith((" n'est pas une carte.", " is not a card."))


def test_a_long_text_is_left_alone(in_french):
    """What somebody sent at great length is shown as it is: looking it up would cost more than it is worth."""
    text = "Try again. " * LONGEST
    assert spoken(text) == text
    assert spoken("Try again. Try again.") != "Try again. Try again."


def test_help_and_mistyped_words_are_french(in_french, capsys):
    """Headings, options and argparse's own refusals."""
    parser = SpokenParser(prog="coffre", description="A personal health record that its server cannot read.")
    parser.add_argument("--days", type=int, required=True, help="end a grant")
    text = parser.format_help().replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("usage :")
    for said in ("Un dossier de santé", "termine un partage", "affiche cette aide"):
        assert said in text
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "il manque" in capsys.readouterr().err
    assert isinstance(parser, argparse.ArgumentParser)
