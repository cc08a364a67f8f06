"""``coffre keeper leaves``: every leaf this keeper has of its service's logs, for a server that lost its newest data.

It reads the keeper's store as it stands at one moment, whether or not the keeper runs, and changes nothing there.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from crypto.checkpoint import Checkpoint, parse_note
from crypto.errors import Damaged, NotPermitted
from crypto.merkle import Frontier, leaf_hash
from crypto.tiles import HEIGHT, WIDTH
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server.keeper.rows import LogRow
from vault_server.keeper.store import DATABASE, have_store
from vault_server.leaves_file import BATCH, LeavesWriter
from vault_server.store.connection import Connection
from vault_server.store.files import PUBLIC_FILE, in_words, sync_folder
from vault_server.store.working_folder import working_folder


class WrittenLog(NamedTuple):
    """What was written of one log."""

    origin: str
    entries: int
    begins: int


def write_leaves(data: Path, to: Path, origins: Collection[str], *, as_json: bool) -> None:
    """Write the leaves of ``origins``, or of every log, to the new file ``to``, whole or not at all.

    Raises NotPermitted where there is no store, no such log, or the file exists; Damaged, Full, Unavailable.
    """
    if not have_store(data):
        raise NotPermitted(f"There is no keeper's store in {data}. Nothing was written.")
    _check_new(to)
    with in_words("Nothing was written."), working_folder(to.with_name(f".{to.name}.part")) as folder:
        try:
            written = _write(data / DATABASE, folder / "leaves", origins)
        except sqlite3.Error:
            raise Damaged(f"The keeper's store in {data} could not be read. Nothing was written.") from None
        _check_new(to)
        (folder / "leaves").replace(to)
        sync_folder(to.parent)
    if as_json:
        print(json.dumps({"leaves": str(to), "logs": [log._asdict() for log in written]}))
        return
    for log in written:
        print(_line(log))
    text = spoken(
        f"{to} holds them. Nothing in it is secret: give it to the operator of the service, who restores with it: coffre serve "
        "--restore BACKUP --leaves FILE"
    )
    print(wrapped(text, sys.stdout))


def _check_new(to: Path) -> None:
    if os.path.lexists(to):
        raise NotPermitted(f"{to} is there already. Nothing was written. Choose a name that is not in use.")


def _write(database: Path, to: Path, origins: Collection[str]) -> list[WrittenLog]:
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PUBLIC_FILE)
    written = []
    with os.fdopen(handle, "wb") as file, closing(Connection(database)) as db:
        db.all("BEGIN")
        writer = LeavesWriter(file)
        for log in _logs(db, origins):
            begins = _begins(db, log)
            tree = _Tree(db, log, begins)
            writer.add(log.note, begins, tree.subtrees(), tree.leaves())
            tree.check()
            written.append(WrittenLog(log.origin, log.size, begins))
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    return written


def _logs(db: Connection, origins: Collection[str]) -> list[LogRow]:
    """The logs of which a head was cosigned, in order of origin. Raises NotPermitted when one of ``origins`` is none."""
    rows = db.all("SELECT log, origin, size, root, note FROM logs WHERE note != x''")
    logs = sorted((LogRow(*row) for row in rows), key=lambda log: log.origin.encode())
    if unknown := set(origins) - {log.origin for log in logs}:
        raise NotPermitted(f"This keeper knows no log {min(unknown)}. Nothing was written.")
    return [log for log in logs if not origins or log.origin in origins]


def _begins(db: Connection, log: LogRow) -> int:
    """From where on every leaf is there: those that went by age before this keeper saw them are only hashes."""
    rows = db.all(
        "SELECT place FROM leaves AS here WHERE log = ?1 AND place < ?2 AND NOT EXISTS "
        "(SELECT 1 FROM leaves WHERE log = ?1 AND place = here.place - 1) ORDER BY place DESC LIMIT 1",
        *(log.log, log.size),
    )
    return rows[0][0] if rows else 0


class _Tree:
    """What the store has of one log, read in order, and the tree that it makes."""

    def __init__(self, db: Connection, log: LogRow, begins: int) -> None:
        self._db, self._log, self._begins = db, log, begins
        self._frontier = Frontier()

    def subtrees(self) -> Iterator[bytes]:
        """The hash over each 256 leaves below the beginning."""
        end = self._begins // WIDTH
        for start in range(0, end, BATCH):
            rows = self._db.all(
                "SELECT hash FROM subtrees WHERE log = ? AND place >= ? AND place < ? ORDER BY place",
                *(self._log.log, start, min(start + BATCH, end)),
            )
            for (each,) in rows:
                self._frontier.append_subtree(each, HEIGHT)
                yield each

    def leaves(self) -> Iterator[bytes]:
        """The leaves from there on."""
        for start in range(self._begins, self._log.size, BATCH):
            rows = self._db.all(
                "SELECT leaf FROM leaves WHERE log = ? AND place >= ? AND place < ? ORDER BY place",
                *(self._log.log, start, min(start + BATCH, self._log.size)),
            )
            for (each,) in rows:
                self._frontier.append(leaf_hash(each))
                yield each

    def check(self) -> None:
        """Raises Damaged unless what was read is just what the checkpoint says."""
        said = Checkpoint.parse(parse_note(self._log.note).text)
        if (self._frontier.size, self._frontier.root()) != (said.size, said.root):
            raise Damaged(
                f"The keeper's leaves of {said.origin} are not those of its newest head. Nothing was written. Ask another keeper."
            )


def _line(log: WrittenLog) -> str:
    said = spoken(f"{log.origin} — entries: {log.entries}, leaves: {log.entries - log.begins}")
    gone = spoken(f"Those below {log.begins} went by age and are only hashes.")
    return f"{said}. {gone}" if log.begins else said
