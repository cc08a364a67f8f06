"""Everything a person reads is in the catalogue, in both languages: texts of the code and of the catalogue are held together."""

import ast
import errno
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from languages.catalogue import NAME, catalogue, entries

ROOT = Path(__file__).resolve().parents[2]
# The demo says everything in both languages by itself; the documents it makes are content, and nobody's words.
CONTENT = {
    "vault_client/demo/cast.py",
    "vault_client/demo/ct_slice.py",
    "vault_client/demo/discharge_letter.py",
    "vault_client/demo/documents.py",
    "vault_client/demo/laboratory_report.py",
    "vault_client/demo/narration.py",
    "vault_client/demo/scanned_prescription.py",
    "vault_client/demo/skin_photo.py",
    "vault_client/demo/text_pdf.py",
}
SOURCES = sorted(
    path
    for package in ("crypto", "languages", "vault_server", "vault_client")
    for path in (ROOT / package).rglob("*.py")
    if path.relative_to(ROOT).as_posix() not in CONTENT
)
SQL = re.compile(r"(CREATE|SELECT|INSERT|UPDATE|DELETE|ALTER|PRAGMA|BEGIN|WITH|DROP|VACUUM|ATTACH)\b")
# What ends in a command to be typed has no stop behind it.
SENTENCE = re.compile(r"[A-Z“].*([.?!:]\s*|: coffre [a-z].*)", re.DOTALL)
# Calls whose texts are read although they are no sentences: by position or by name.
SPOKEN_CALLS = {"say", "aside", "CannotOpen", "NotFound", "add_output", "commands"}
SPOKEN_NAMES = {"help", "description", "epilog"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a source file that people read, with names for what varies, and where they stand."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed: set[int] = set()
    read: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))  # a docstring
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in ast.walk(node) if part is not node}
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in SPOKEN_CALLS:
                read |= {id(each) for each in node.args if " " in template(each)}
            if called == "spoken":
                read |= {id(each) for each in ast.walk(node)}
            read |= {id(each.value) for each in node.keywords if each.arg in SPOKEN_NAMES}
            if called == "table" and node.args:
                read |= {id(each) for each in ast.walk(node.args[0])}
    for node in ast.walk(tree):
        if id(node) in passed or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text = template(node)
        words = re.findall(r"[A-Za-z’']{2,}", NAME.sub("", text))
        is_sentence = SENTENCE.fullmatch(NAME.sub("A", text, 1)) and len(words) > 1 and not SQL.match(text)
        if words and (id(node) in read or is_sentence):
            yield node.lineno, text


def template(node: ast.AST) -> str:
    """A text of the code as the catalogue has it; empty for what is none."""
    if not isinstance(node, ast.JoinedStr):
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    parts = (part.value if isinstance(part, ast.Constant) else "{varies}" for part in node.values)
    return "".join(map(str, parts))


def pieces(text: str, stops: str = ".?!") -> list[str]:
    """A text in sentences, each as it is compared: without the names of what varies."""
    found = re.split(rf"(?<=[{stops}]) (?=[A-Z“{{])", text.strip())
    return [NAME.sub("{}", piece) for piece in found]


def missing(text: str) -> list[str]:
    """The sentences of ``text`` that the catalogue lacks."""
    if NAME.sub("{}", text.strip()) in KNOWN or all(piece in KNOWN for piece in pieces(text, ".?!:")):
        return []
    return [piece for piece in pieces(text) if piece not in KNOWN and re.search(r"[a-z]{2}", piece)]


ARGPARSE = {
    "usage:",
    "positional arguments",
    "options",
    "show this help message and exit",
    "show program's version number and exit",
    "the following arguments are required: {}",
    "unrecognized arguments: {}",
    "argument {}: expected one argument",
    "argument {}: expected at least one argument",
    "argument {}: invalid choice: {} (choose from {})",
    "argument {}: invalid int value: {}",
    "argument {}: not allowed with argument {}",
    "one of the arguments {} is required",
    "argument {}: {}",
}
SYSTEM = {os.strerror(number) for number in errno.errorcode}
IN_FRENCH = re.compile(r"\{(?P<name>\w+)(?::(?P<form>\w+))?\}")
CHOICE = re.compile(r"\{(?P<name>\w+):(?P<one>[^{}|]+)\|(?P<many>[^{}|]+)\}")
KNOWN = {NAME.sub("{}", english) for english in entries()}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_people_read_is_there_in_french(path):
    """Every sentence of a source file, and every other text it shows, is in the catalogue, whole or by sentences."""
    lacking = [f"{path.name}:{line}: {piece}" for line, text in texts(path) for piece in missing(text)]
    assert not lacking, "\n".join(lacking)


def test_nothing_is_in_the_catalogue_that_is_said_nowhere():
    """A text that left the code leaves the catalogue; those of argparse and of the system are their own."""
    literals = {
        NAME.sub("{}", template(node)).strip()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    }
    said = literals | {
        piece
        for text in literals
        for stops in (".?!", ".?!:")
        for piece in pieces(text.replace("{}", "{varies}"), stops)
    }
    made = {
        "{} other grants",
        "{} change",
        "{} changes",
        "{} document",
        "{} documents",
        "{} entry",
        "{} entries",
        "{} reading",
        "{} readings",
        "{} alarm",
        "{} alarms",
        "{} file",
        "{} files",
        "{} other grant",
        *("{} minute", "{} minutes", "{} hour", "{} hours", "{} day", "{} days"),
    }
    unused = [
        english for english in entries() if NAME.sub("{}", english) not in said | made | ARGPARSE | SYSTEM
    ]
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("english", [english for english in entries() if NAME.search(english)])
def test_names_are_the_same_in_both_languages(english):
    """What varies in the English stands in the French too, and nothing else does."""
    french = entries()[english]
    assert set(NAME.findall(english)) == {each["name"] for each in IN_FRENCH.finditer(french)}
    assert {each["form"] for each in IN_FRENCH.finditer(french)} <= {None, "spoken", "day"}
    assert "{" not in CHOICE.sub("", IN_FRENCH.sub("", french)), "a form that is none"
    assert re.search(r"[A-Za-z]{2}", NAME.sub("", english)), "nothing but names would match everything"
    assert not re.search(r"\}\{", english), "two names side by side cannot be told apart"


# Names of a number, or of a number with its thing; those of a limit (in capitals) are many by what they are.
NUMBERS = {
    "alarms",
    "changes",
    "count",
    "days",
    "documents",
    "done",
    "entries",
    "files",
    "grants",
    "held",
    "limit",
    "new",
    "old",
    "percent",
    "seen",
    "size",
    "width",
}
THINGS = (
    r"bytes|cards|changes|days|devices|documents|entries|files|grants|hashes|keepers|leaves|others|signatures"
)
MANY = {
    "A message of {v1} bytes was refused: at most {limit} are read here.",  # more than a limit
    "A note of {v1} bytes was refused: at most {MAX_NOTE} are read here.",
    "A note with {v1} signatures was refused: at most {MAX_SIGNATURES} are read here.",
    "A proof of {v1} hashes was refused: no tree needs more than {MAX_HASHES}.",
    "A record of {v1} bytes was not stored: at most {MAX_RECORD} are kept in one.",
    "A request was refused: at most {limit} bytes are read here.",  # a limit
    "A text of {v1} bytes was refused: at most {MAX_TEXT} are read here.",
    "An answer was longer than {limit} bytes.",
    "it is longer than {limit} bytes.",
    "The server was restored into {server}: {files} files, every one verified.",  # keys, a database, trust roots
    "There are {count} groups in all, and one is typed at a time.",
    "What came of the document stays for {days} days: the same command goes on from there.",  # KEPT_DAYS
    "{percent} % of the document is here and stays for {days} days.",
    "{to} is a whole backup of the server: {files} files, {size} bytes.",
}


def test_a_number_that_may_be_one_has_no_plural_behind_it():
    """In English so many things are said by ``counted``, or the number stands where it governs nothing."""
    plural = re.compile(rf"\{{[a-z]\w*\}} (\w+ )?({THINGS})\b")
    lacking = [english for english in entries() if plural.search(english) and english not in MANY]
    assert [each for each in lacking if not each.startswith("{count} ")] == []
    assert entries().keys() >= MANY, "these are said no more"


@pytest.mark.parametrize(
    "english", [each for each in entries() if NUMBERS & set(NAME.findall(each)) and each not in MANY]
)
def test_french_agrees_with_its_numbers(english):
    """What follows a number that may be 0 or 1 is not in the plural, or it is chosen by the number."""
    french = entries()[english]
    for name in NUMBERS & set(NAME.findall(english)):
        plural = rf"\{{{name}(:spoken)?\}} (ne |n'|à )?(?!dans\b)(sont|ont|\w+[sx])\b"
        assert not re.search(plural, french), french
        assert not re.search(rf"\{{{name}(:spoken)?\}}.*\w(és|ées)\b", CHOICE.sub("", french)), french
    for choice in CHOICE.finditer(french):
        assert choice["name"] in NUMBERS
        assert choice["one"] != choice["many"]


# One word for one thing: where the English has the first, the French has the second, and the other way round.
GLOSSARY = [
    (r"folders?", r"répertoires?"),
    (r"records?", r"dossiers?|enregistrements?"),
    (r"keepers?", r"gardiens?"),
    (r"practitioners?", r"soignants?"),
    (r"devices?", r"appareils?"),
    (r"passphrases?", r"phrases? secrètes?"),
    (r"(recovery )?kits?", r"kits?"),
]


@pytest.mark.parametrize(("word", "mot"), GLOSSARY)
def test_one_thing_has_one_name(word, mot):
    """A patient's record is a «dossier» and a folder of files a «répertoire», and neither is ever called the other."""
    typed = re.compile(r"coffre [a-z]+( [a-z-]+)*|--?\w[\w-]*|\{\w+(:\w+)?\}|`[^`]*`")

    def has(pattern, text):
        return re.search(rf"\b({pattern})\b", typed.sub("", text), re.IGNORECASE) is not None

    ours = {english: french for english, french in entries().items() if english not in SYSTEM}
    odd = [english for english, french in ours.items() if has(word, english) != has(mot, french)]
    assert odd == []


def test_no_two_texts_look_the_same():
    """Texts that differ only in the names of what varies cannot be told apart when they are looked up."""
    shapes = Counter(NAME.sub("{}", english) for english in entries())
    assert [shape for shape, count in shapes.items() if count > 1] == []


def test_french_is_written_as_french_is():
    """A no-break space before : ; ? ! and inside « », none of it doubled, and no text is empty."""
    for english, french in entries().items():
        bare = re.sub(r"\{\w+(:\w+)?\}|\{\w+:|https?://\S*|\w+:\w+|HOST:PORT|%\(default\)s", "", french)
        assert french.strip(), english
        assert not re.search(r"(?<!\N{NO-BREAK SPACE})[:;?!»](?=\s|$)", bare), french
        assert not re.search(r"«(?!\N{NO-BREAK SPACE})", french), french


def test_templates_are_tried_from_the_most_telling():
    """A text that two templates fit is taken for the one with more words of its own."""
    lengths = [sum(map(len, each.literals)) for each in catalogue().templates]
    assert lengths == sorted(lengths, reverse=True)
