"""A copy of the database as it stood at one moment, and the parts of ciphertext that it names.

Taken by another process than the server, which goes on writing meanwhile. One statement takes it: a copy made in steps
begins again at every foreign write, and beside a busy server never ends.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from crypto.errors import Damaged

PATIENCE_SECONDS = 60
NAMED = "SELECT vault, ver, number FROM upload_parts"


class Part(NamedTuple):
    """One part of a version's ciphertext."""

    vault: bytes
    ver: bytes
    number: int


def take(database: Path, to: Path) -> None:
    """Copy the database as it stands now into the new file ``to``. Raises Damaged, or an OSError."""
    to.touch(mode=0o600, exist_ok=False)
    try:
        with closing(_opened(database)) as source:
            source.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        raise Damaged(
            f"{database} could not be copied ({error}). Nothing was kept. See whether there is room, and whether the "
            "server can read its database."
        ) from None


def parts(snapshot: Path, beyond: Path | None) -> Iterator[Part]:
    """The parts that a snapshot names, without those that an earlier one, ``beyond``, names too."""
    with closing(_opened(snapshot)) as database:
        if beyond is None:
            yield from map(Part._make, database.execute(NAMED))
            return
        database.execute("ATTACH ? AS earlier", (str(beyond),))
        yield from map(
            Part._make,
            database.execute(f"{NAMED} EXCEPT SELECT vault, ver, number FROM earlier.upload_parts"),  # noqa: S608
        )


def forget(snapshot: Path, missing: Iterable[Part]) -> None:
    """Have a snapshot name these parts no more."""
    with closing(_opened(snapshot)) as database, database:
        database.executemany("DELETE FROM upload_parts WHERE vault = ? AND ver = ? AND number = ?", missing)


def _opened(path: Path) -> sqlite3.Connection:
    # Never made: where there is no database, that is said.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE_SECONDS)
