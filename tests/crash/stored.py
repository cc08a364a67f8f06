"""What must hold in the folders of server and keepers once they have stopped: one log, one tree, no orphan, no fork.

What ``coffre serve --fsck`` says is one part of it; that every head which was shown is a prefix of its log is found out apart.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from crypto.errors import CoffreError
from crypto.merkle import Frontier, leaf_hash
from crypto.pieces import upload_part_hash
from tests.crash.service import Shown
from vault_server.fsck import check
from vault_server.settings import Limits, Settings
from vault_server.store.ciphertext import CiphertextStore
from vault_server.store.database import Database, Writer
from vault_server.uploads import Uploads


def broken(data: Path, shown: Iterable[Shown]) -> list[str]:
    """What does not hold, in words. Sweeps as the server does each day, a day early."""
    asyncio.run(_sweep(data / "server"))
    kept: set[Shown] = set()
    damaged: list[str] = []
    for folder in sorted(data.glob("keeper-*")):
        with closing(sqlite3.connect(folder / "keeper.db")) as keeper:
            kept |= {Shown(*row) for row in keeper.execute("SELECT origin, size, root FROM logs")}
            damaged += _whole(keeper, f"the database of {folder.name}")
    with closing(sqlite3.connect(data / "server" / "coffre.db")) as server:
        return [
            *_checked(data),
            *damaged,
            *_trees(server, {*shown, *kept}),
            *_ciphertext(server, data / "server" / "ciphertext"),
        ]


def _checked(data: Path) -> Iterator[str]:
    """Entries, tiles, heads, and what belongs to the entries, as the server's own check sees them."""
    try:
        asyncio.run(check(Settings(data=data)))
    except CoffreError as error:
        yield f"fsck: {error}"


def _whole(database: sqlite3.Connection, name: str) -> Iterator[str]:
    if (said := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        yield f"{name}: {said}"


def _trees(server: sqlite3.Connection, shown: set[Shown]) -> Iterator[str]:
    """Leaves give the signed head, and every head that anybody was shown is one of theirs."""
    for origin, size, root in server.execute("SELECT origin, size, root FROM logs").fetchall():
        heads = {head.size: head.root for head in shown if head.origin == origin}
        if len(heads) != sum(head.origin == origin for head in shown):
            yield f"{origin}: two heads of one size were shown"
        frontier = Frontier()
        rows = server.execute(
            "SELECT idx, leaf FROM leaves WHERE origin = ? ORDER BY idx", (origin,)
        ).fetchall()
        if [index for index, _ in rows] != list(range(size)):
            yield f"{origin}: {len(rows)} leaves, or with gaps, and a head of {size}"
        for at, (_, leaf) in enumerate(rows, 1):
            frontier.append(leaf_hash(leaf))
            if heads.pop(at, frontier.root()) != frontier.root():
                yield f"{origin}: the head of {at} that was shown is not one of this log: a fork"
        heads.pop(0, None)
        if frontier.root() != root or heads:
            yield f"{origin}: not the leaves of its head, or shorter than what was shown: {sorted(heads)}"


def _ciphertext(server: sqlite3.Connection, folder: Path) -> Iterator[str]:
    """The files are those of the versions that links name, whole, and no others."""
    parts = {
        f"{ver[:1].hex()}/{vault.hex()}-{ver.hex()}/{number:06d}": (number, digest)
        for vault, ver, number, digest in server.execute("SELECT vault, ver, number, hash FROM upload_parts")
    }
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    yield from (f"{name} is an orphan that was not swept" for name in found.keys() - parts.keys())
    yield from (f"{name} is gone" for name in parts.keys() - found.keys())
    for name in found.keys() & parts.keys():
        number, digest = parts[name]
        if upload_part_hash(found[name].read_bytes(), number) != digest:
            yield f"{name} holds other bytes"
    for (left,) in server.execute("SELECT count(*) FROM uploads WHERE committed = 0"):
        if left:
            yield f"{left} uploads that no link names were not forgotten"
    sql = (
        "SELECT count(*) FROM versions LEFT JOIN uploads USING (vault, ver) JOIN documents USING (vault, doc) "
        "WHERE NOT deleted AND committed IS NOT 1"
    )
    for (left,) in server.execute(sql):
        if left:
            yield f"{left} versions have no ciphertext"


async def _sweep(folder: Path) -> None:
    """What ``Upkeep.sweep`` does, to everything that was begun until now."""
    database = Database.open(folder)
    writer = Writer(database.write, 16, lambda why: None)
    writer.start()
    try:
        store = CiphertextStore(folder / "ciphertext", 0)
        await Uploads(Limits(), database.reader, writer, store).sweep(int(time.time()) + 2)
    finally:
        await writer.close()
        database.close()
