"""What a file on this machine is, as far as its name and first bytes say: may it become a document, and as what.

The first bytes decide and the suffix only helps where a format has no signature of its own (XML, JSON, text), so a
renamed file is not believed. Nothing is parsed here: content is hostile, and telling a kind apart is not opening it.
Signatures are those of ISO 32000 (PDF), DICOM PS3.10 (preamble and ``DICM``), PNG, JFIF and APPNOTE (zip).
"""

import os
from codecs import getincrementaldecoder
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

from crypto.encoding import acceptable
from crypto.errors import TooLarge, Unavailable
from crypto.wire.messages import MAX_DOCUMENT

MAX_TITLE = 256
_HEAD = 4096
_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (128, b"DICM", "application/dicom"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
)
_TEXT_SUFFIXES = frozenset((".txt", ".csv", ".xml"))
_TEXT_CONTROLS = frozenset("\t\n\v\f\r")


class Category(StrEnum):
    """The closed list of what a document may be filed under."""

    REPORT = "Compte rendu"
    PRESCRIPTION = "Ordonnance"
    LABORATORY = "Biologie"
    IMAGING = "Imagerie"
    PICTURE = "Photo"
    DOCUMENT = "Document"
    DATA = "Données de santé"
    NOTE = "Note"
    ARCHIVE = "Archive"
    OTHER = "Autre"


SUFFIXES: Final = {
    "application/pdf": ".pdf",
    "application/dicom": ".dcm",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "application/zip": ".zip",
    "text/xml": ".xml",
    "application/json": ".json",
    "text/plain": ".txt",
}

_CATEGORIES = {
    "application/pdf": Category.DOCUMENT,
    "application/dicom": Category.IMAGING,
    "image/png": Category.PICTURE,
    "image/jpeg": Category.PICTURE,
    "application/zip": Category.ARCHIVE,
    "text/xml": Category.DATA,
    "application/json": Category.DATA,
    "text/plain": Category.NOTE,
    "application/octet-stream": Category.OTHER,
}


class FileDescription(NamedTuple):
    """What may be said of a file without opening it; the date is YYYY-MM-DD."""

    title: str
    category: Category
    mime: str
    date: str


def check_source(source: Path) -> None:
    """Check that ``source`` may become a document. Raises Unavailable, or TooLarge above 2 GiB."""
    if source.is_dir():
        raise Unavailable(f"{source} is a folder. Nothing was added. Name its files.")
    if not os.access(source, os.R_OK):
        raise Unavailable(f"{source} cannot be read. Nothing was added. Look whether it is there.")
    if not source.is_file():  # a pipe or a device may never end
        raise Unavailable(f"{source} is not a file. Nothing was added. Save what it holds as a file first.")
    if source.stat().st_size > MAX_DOCUMENT:
        raise TooLarge(f"{source} has more than 2 GiB. Nothing was added. Divide it, or make it smaller.")


def describe(path: Path) -> FileDescription:
    """Title from the name, kind from the first bytes, date of last change (UTC).

    Raises Unavailable when ``path`` is not a regular file or cannot be read.
    """
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):  # a pipe would be waited for without end
            raise Unavailable(f"{_shown(path)} is not a file. It was not read; give the path of a file.")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise Unavailable(
            f"{_shown(path)} could not be read ({reason}). Nothing was added; check the path and its permissions."
        ) from None
    mime = mime_of(path.name, head)
    date = datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat()
    return FileDescription(title_of(path.name), _CATEGORIES[mime], mime, date)


def title_of(name: str) -> str:
    """The name without its suffix, fit to be signed, at most 256 characters and never empty."""
    return acceptable(Path(name).stem).strip()[:MAX_TITLE].rstrip() or "Sans titre"


def mime_of(name: str, head: bytes) -> str:
    """The media type of a file called ``name`` that begins with ``head`` (a few thousand bytes are enough)."""
    for offset, signature, mime in _SIGNATURES:
        if head.startswith(signature, offset):
            return mime
    suffix = Path(name).suffix.lower()
    if suffix == ".pdf" and b"%PDF-" in head[:1024]:  # every reader allows this much before it
        return "application/pdf"
    text = _as_text(head, suffix)
    if text is None:
        return "application/octet-stream"
    start = text.lstrip()
    if start.startswith("<?xml") or (suffix == ".xml" and start.startswith("<")):
        return "text/xml"
    if suffix == ".json" and start.startswith(("{", "[")):
        return "application/json"
    return "text/plain"


def _as_text(head: bytes, suffix: str) -> str | None:
    # Incremental, because the head may end in the middle of a character. Older French software writes Latin-1,
    # which any bytes are: it is supposed only where the suffix says text.
    try:
        text = getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        if suffix not in _TEXT_SUFFIXES:
            return None
        text = head.decode("latin-1")
    printable = all(
        character.isprintable() or character in _TEXT_CONTROLS for character in text if character < "\x80"
    )
    return text if text and printable else None


def _shown(path: Path) -> str:
    return f'"{acceptable(str(path))}"'
