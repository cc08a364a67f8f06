"""What a file's name and first bytes say of it."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.encoding import Body, ShortText, decode, encode
from crypto.errors import Unavailable
from vault_client.file_description import Category, FileDescription, describe, mime_of, title_of

DICOM_HEAD = bytes(128) + b"DICM" + bytes(60)


class Titled(Body, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A signed body with a title and a category, as a descriptor has them."""

    title: ShortText
    category: ShortText


@pytest.mark.parametrize(
    ("name", "head", "mime"),
    [
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.pdf", b"\r\n\xef\xbb\xbf%PDF-1.4\n\xe2\xe3", "application/pdf"),
        ("a.dcm", DICOM_HEAD, "application/dicom"),
        ("IM000001", DICOM_HEAD, "application/dicom"),
        ("a.xml", b"<ClinicalDocument/>", "text/xml"),
        ("a.XML", b'\xef\xbb\xbf<?xml version="1.0"?><a/>', "text/xml"),
        ("a.xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>né</a>'.encode("latin-1"), "text/xml"),
        ("a.json", b' {"resourceType": "Bundle"}', "application/json"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("a.jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        ("a.zip", b"PK\x03\x04\x14\0", "application/zip"),
        ("vide.zip", b"PK\x05\x06" + bytes(18), "application/zip"),
        ("a.txt", "Tension : 13/8, à contrôler".encode(), "text/plain"),
        ("a.txt", "à contrôler".encode("latin-1"), "text/plain"),
        ("LISEZMOI", b"bonjour\n", "text/plain"),
        ("a.bin", b"\0\1\2\3", "application/octet-stream"),
        ("vide", b"", "application/octet-stream"),
    ],
)
def test_each_kind_is_told_by_its_first_bytes(name: str, head: bytes, mime: str) -> None:
    """Every kind that the viewer knows is recognised, and what is none of them is called nothing."""
    assert mime == mime_of(name, head)


@pytest.mark.parametrize(
    ("name", "head", "mime"),
    [
        ("photo.jpg", b"%PDF-1.7\n", "application/pdf"),
        ("lettre.pdf", b"MZ\x90\0\3\0\0\0", "application/octet-stream"),
        ("lettre.txt", b"MZ\x90\0\3\0\0\0", "application/octet-stream"),
        ("coupe.dcm", b"DICM" + bytes(200), "application/octet-stream"),
        ("donnees.json", b"resourceType", "text/plain"),
        ("document.xml", b"pas du XML", "text/plain"),
        ("notes.txt", b"%PDF", "text/plain"),
        ("sans-suffixe", "\N{SNOWMAN}".encode("utf-16"), "application/octet-stream"),
    ],
)
def test_a_suffix_is_not_believed_against_the_bytes(name: str, head: bytes, mime: str) -> None:
    """Renaming a file does not change what it is said to be."""
    assert mime == mime_of(name, head)


@given(st.text(min_size=1, alphabet="aé\N{EURO SIGN}\N{MICROSCOPE}\n"), st.integers(0, 3))
def test_text_cut_inside_a_character_is_still_text(text: str, cut: int) -> None:
    """The head of a long file may end anywhere."""
    whole = ("début " + text).encode()

    assert mime_of("notes", whole[: len(whole) - cut]) == "text/plain"


@given(st.binary(max_size=300), st.sampled_from(["a.pdf", "a.xml", "a.json", "a.txt", "a.dcm", "a", ""]))
def test_any_bytes_have_a_kind(head: bytes, name: str) -> None:
    """No content, however hostile, makes the description fail."""
    assert "/" in mime_of(name, head)


@given(st.text(alphabet=st.characters(exclude_characters="/\0"), min_size=1))
def test_a_title_can_be_signed(name: str) -> None:
    """Whatever a file is called, its title is short, not empty, and passes the checks of a signed body."""
    body = Titled(title=title_of(name), category=Category.DATA)

    assert body == decode(encode(body), Titled)


def test_a_title_is_the_name_without_its_suffix() -> None:
    """Accents written in two code points become one; characters that could mislead the eye are dropped."""
    assert title_of("Radio du poignet.2026.pdf") == "Radio du poignet.2026"
    assert title_of("re\N{COMBINING ACUTE ACCENT}sultats.xml") == "résultats"
    assert title_of("lettre\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe") == "lettrefdp"
    assert title_of("m\udce9decin.txt") == "mdecin"
    assert title_of("\n\t.txt") == "Sans titre"


def test_a_long_title_is_cut() -> None:
    """A title has at most 256 characters and no space at its end."""
    assert title_of("é" * 300 + ".pdf") == "é" * 256
    assert title_of("a" * 255 + " " + "b" * 40) == "a" * 255


def test_a_file_is_described(tmp_path: Path) -> None:
    """Title, category, kind and date of one file."""
    path = tmp_path / "Vaccins de Camille.pdf"
    path.write_bytes(b"%PDF-1.7\n")
    os.utime(path, (1_772_752_500, 1_772_752_500))

    assert FileDescription(
        "Vaccins de Camille", Category.DOCUMENT, "application/pdf", "2026-03-05"
    ) == describe(path)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change its time zone for one test")
def test_the_date_does_not_depend_on_where_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The date is that of UTC, in which 23:15 on the fifth is not yet the sixth."""
    path = tmp_path / "note.txt"
    path.write_text("bonjour")
    os.utime(path, (1_772_752_500, 1_772_752_500))
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "NZST-12")
            time.tzset()
            described = describe(path)
    finally:
        time.tzset()

    assert described.date == "2026-03-05"


def test_what_is_not_a_readable_file_is_refused(tmp_path: Path) -> None:
    """A folder, a missing file and a pipe are answered with a sentence, without waiting."""
    pipe = tmp_path / "tuyau"
    os.mkfifo(pipe)
    for path in (tmp_path, tmp_path / "absent.pdf", pipe):
        with pytest.raises(Unavailable, match=path.name):
            describe(path)


def test_real_samples_are_recognised(shared_samples: Path) -> None:
    """Documents that others made are told apart as their own suffixes say."""
    expected = {
        ".pdf": "application/pdf",
        ".dcm": "application/dicom",
        ".xml": "text/xml",
        ".json": "application/json",
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".zip": "application/zip",
        ".txt": "text/plain",
    }
    samples = [path for path in shared_samples.glob("*/*") if path.suffix in expected]

    assert len(samples) >= 8
    for path in samples:
        assert (path.name, expected[path.suffix]) == (path.name, describe(path).mime)
