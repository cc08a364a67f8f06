"""What the server holds of one document, found as a curious operator would find it: by looking.

The store is searched for the document's ids without knowing its tables, so nothing can be left out by naming them.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crypto.errors import Damaged
from vault_client.patient import Patient, PatientDocument

SHOWN = 32


@dataclass(frozen=True)
class StoredRow:
    """One row that names the document: its table, and its columns cut short."""

    table: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ServerView:
    """First bytes of the ciphertext, rows, the leaf, and the signed link."""

    ciphertext: bytes
    rows: tuple[StoredRow, ...]
    leaf: bytes
    link: str


async def look(
    server: Path, patient: Patient, document: PatientDocument, index: int, link: str
) -> ServerView:
    """Everything in the folder ``server`` that bears an id of ``document``; ``index`` is that of its leaf."""
    origin = patient.replica.origin
    size = patient.service.believed(origin).head.size
    leaves = await patient.service.reader.leaves(origin, index, size)
    return ServerView(
        ciphertext=_ciphertext(server / "ciphertext", document.ver),
        rows=tuple(_rows(server / "coffre.db", (document.doc, document.ver))),
        leaf=leaves[: len(leaves) // (size - index)],
        link=link,
    )


def _ciphertext(folder: Path, ver: bytes) -> bytes:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ver.hex() in path.relative_to(folder).as_posix():
            with path.open("rb") as file:
                return file.read(SHOWN)
    raise Damaged("The server does not hold a document it was sent. The demo cannot go on.")


def _rows(database: Path, ids: tuple[bytes, ...]) -> list[StoredRow]:
    found = []
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(tables):
            columns = [row[1] for row in store.execute(f'PRAGMA table_info("{table}")')]
            where = " OR ".join(f'"{column}" IN (?, ?)' for column in columns)
            query = f'SELECT * FROM "{table}" WHERE {where}'  # noqa: S608 - the names are the store's own
            for row in store.execute(query, ids * len(columns)):
                shown = tuple((column, _short(value)) for column, value in zip(columns, row, strict=True))
                found.append(StoredRow(table, shown))
    return found


def _short(value: object) -> str:
    if isinstance(value, bytes):
        text = value.decode("ascii") if value.isascii() and value[:1] == b"{" else value.hex()
    else:
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
