"""How French is made from English at the edge of a program."""

import argparse
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.catalogue import LONGEST, NAME, entries, spoken
from languages.choice import language
from languages.help import SpokenParser
from languages.written import day, is_singular_in_french, label
from vault_client.commands.output import counted
from vault_client.commands.patient_documents import IS_MASKED
from vault_client.commands.patient_log import CHANGES


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


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("The record has {} of the export.", ("Le dossier a 0 document de l'export.", "Le dossier a 1 document de l'export.", "Le dossier a 2 documents de l'export.")),
        (
            "{} cannot be imported and will be missing from the new record; all others can.",
            (
                "0 document ne peut pas être importé et manquera dans le nouveau dossier ; tous les autres le peuvent.",
                "1 document ne peut pas être importé et manquera dans le nouveau dossier ; tous les autres le peuvent.",
                "2 documents ne peuvent pas être importés et manqueront dans le nouveau dossier ; tous les autres le peuvent.",
            ),
        ),
        (
            "{} could not be imported: missing or changed in the export.",
            (
                "0 document n'a pas pu être importé : manquant ou modifié dans l'export.",
                "1 document n'a pas pu être importé : manquant ou modifié dans l'export.",
                "2 documents n'ont pas pu être importés : manquants ou modifiés dans l'export.",
            ),
        ),
        (
            "{} fetched, to be read without the server too.",
            (
                "0 document pris ici, pour être lu aussi sans le serveur.",
                "1 document pris ici, pour être lu aussi sans le serveur.",
                "2 documents pris ici, pour être lus aussi sans le serveur.",
            ),
        ),
        ("It holds {}.", ("Il contient 0 document.", "Il contient 1 document.", "Il contient 2 documents.")),
    ],
)  # fmt: skip
def test_french_agrees_with_the_number(in_french, english, french):
    """None and one take the singular in French, and only one does in English."""
    said = [spoken(english.format(counted(count, "document"))) for count in range(3)]
    assert tuple(each.replace("\N{NO-BREAK SPACE}", " ") for each in said) == french
    assert [counted(count, "document") for count in range(3)] == ["0 documents", "1 document", "2 documents"]


def test_a_number_decides_whatever_it_is(in_french):
    """Numbers of many digits are many, also when they begin with a 1; what begins with no number is many."""
    for count, word in ((10, "entrées"), (1, "entrée"), (100_000, "entrées")):
        assert spoken(f"{count} entries") == f"{count} {word}"
    assert not is_singular_in_french("some")


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("2026-11-21", "21/11/2026"),
        ("2026-11-21 08:00:01", "21/11/2026 08:00:01"),
        ("", ""),
        ("in 2026-11-21", "in 2026-11-21"),
    ],
)
def test_a_day_is_written_as_it_is_read(monkeypatch, text, french):
    """A day is written in the French order in French, and as it is in English."""
    for wanted, shown in (("en", text), ("fr", french)):
        monkeypatch.setenv("COFFRE_LANG", wanted)
        assert day(text) == shown


def test_a_day_in_a_sentence_is_french_too(in_french):
    """The server says a day as programs write it; a person reads it in their language."""
    english = "demo:1 is certified for another identity, ABCD, until 2027-02-01."
    assert spoken(english).endswith("jusqu'au 01/02/2027.")


def test_a_label_has_its_colon(monkeypatch):
    """French puts a no-break space before a colon, English does not."""
    for wanted, shown in (("en", "x:"), ("fr", "x\N{NO-BREAK SPACE}:")):
        monkeypatch.setenv("COFFRE_LANG", wanted)
        assert label("x") == shown


def test_a_state_is_no_deed(in_french):
    """A document that is masked, and that somebody masked one, are two things in French."""
    assert spoken(IS_MASKED).startswith("masqué ")
    assert spoken(CHANGES["masked"]) == "a masqué"


@pytest.mark.parametrize("english", [each for each in entries() if NAME.search(each)])
def test_a_text_is_taken_for_no_other(in_french, english):
    """A sentence is found as itself, and not as a shorter one of which a name stands for the rest of it."""
    numbers = ("alarms", "changes", "documents", "entries", "grants")
    parts = {name: "2 documents" if name in numbers else "2ab" for name in NAME.findall(english)}
    french = spoken(english.format_map(parts))
    words = re.sub(r"\{[^}]*\}", "\n", entries()[english]).split("\n")
    assert french.startswith(words[0])
    assert french.endswith(words[-1])


def test_a_reason_behind_a_sentence_is_found_with_it(in_french):
    """A sentence that begins as a shorter one does, with a reason of ours behind it, is French to the end."""
    english = (
        "Grant 1a2b goes on under keys that a removed device knows: it could not be keyed anew. Try again."
    )
    assert spoken(english).startswith("Le partage 1a2b continue")
    assert spoken(english).endswith("Réessayez.")


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
    for said in ("Un dossier médical", "termine un partage", "affiche cette aide"):
        assert said in text
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "il manque" in capsys.readouterr().err
    assert isinstance(parser, argparse.ArgumentParser)
