"""``coffre serve --fsck``: whether everything that is stored of the logs is one, from entries to published heads.

It reads the database as it stood at one moment, also beside a running server, and changes nothing.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from crypto import trust_root_chain
from crypto.checkpoint import open_checkpoint
from crypto.errors import Damaged, NotPermitted, Refusal
from crypto.trust_root import TrustRoot
from languages.catalogue import spoken
from vault_server import instance
from vault_server.entry_check import EntryCheck
from vault_server.log_check import check_head, check_note, check_whole, does_not_fit
from vault_server.settings import Settings
from vault_server.store import dated_heads, losses
from vault_server.store import leaves as rows
from vault_server.store.connection import Connection
from vault_server.store.database import FILE, Statements
from vault_server.store.leaves import LogRow


class CheckedLog(NamedTuple):
    """A log that was found whole. ``lost``: of so many entries the content was lost with the server's newest data."""

    origin: str
    entries: int
    begins: int
    lost: int
    tiles: int
    seconds: float


async def fsck(settings: Settings, *, as_json: bool) -> None:
    """Check the server in ``settings.data``, and say what each log has.

    Raises NotPermitted where there is no server, NotProven at the first place that does not fit, Damaged when the
    database cannot be read.
    """
    began = time.monotonic()
    checked: list[CheckedLog] = []

    def tell(log: CheckedLog) -> None:
        checked.append(log)
        if not as_json:
            print(_line(log), flush=True)

    await check(settings, tell)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        print(json.dumps({"whole": True, "logs": [log._asdict() for log in checked], "seconds": seconds}))
        return
    print(
        spoken(
            f"Every log is whole, and so is what belongs to its entries. Checked in {seconds} s. What keepers know "
            "beyond it is asked at the next start."
        )
    )


async def check(settings: Settings, tell: Callable[[CheckedLog], None] = lambda log: None) -> None:
    """As ``fsck``; ``tell`` is called with each log that was found whole."""
    if not instance.exists(settings) or not (settings.server_folder / FILE).exists():
        raise NotPermitted(f"There is no server in {settings.data}, so there is nothing to check.")
    chain = instance.trust_roots(settings)
    root = trust_root_chain.advance(trust_root_chain.first(chain[0], card=None), chain[1:]).root
    with _reading(settings) as db:
        logs = {log.origin: log for log in await rows.logs(db)}
        _check_names(root, logs)
        if (unknown := await rows.unknown_log(db)) is not None:
            raise does_not_fit(f"The signed head of {unknown} is gone.")
        for log in logs.values():
            tell(await _check_log(db, root, log))
        await EntryCheck(db, logs, root.directory_origin).run()


async def _check_log(db: Statements, root: TrustRoot, log: LogRow) -> CheckedLog:
    began = time.monotonic()
    tiles = await check_whole(db, log)
    keepers = [keeper.cosigner for keeper in root.keepers]
    published = await check_note(db, log, root.log_key_of(log.origin), keepers)
    if log.origin == root.directory_origin:
        newest = None
        for size, head, replaced in await rows.directory_heads(db):
            await check_head(db, log, size, head)
            newest = (size, head) if replaced is None else newest
        if newest != (None if published is None else (published.size, published.root)):
            raise does_not_fit(f"The newest head of {log.origin} is not the one that was published.")
    for dated in await dated_heads.of_log(db, log.origin):
        try:
            old = open_checkpoint(dated.note, root.log_key_of(log.origin))
        except Refusal:
            raise does_not_fit(
                f"The head that dates entries of {log.origin} is not as the log signed it."
            ) from None
        await check_head(db, log, old.size, old.root)
    lost = sum(loss.end - loss.start for loss in await losses.of_log(db, log.origin))
    return CheckedLog(log.origin, log.size, log.minimum, lost, tiles, round(time.monotonic() - began, 3))


def _check_names(root: TrustRoot, logs: dict[str, LogRow]) -> None:
    """The directory and shards 0, 1, 2 and so on: whoever walks the logs from outside stops at the first that is not there."""
    named = {log.shard: log.origin for log in logs.values()}
    expected = {shard: root.log_origin(shard) for shard in range(len(logs) - 1)} | {
        None: root.directory_origin
    }
    for shard, origin in expected.items():
        if logs and named.get(shard) != origin:
            raise does_not_fit(f"The signed head of {origin} is gone, or another log stands in its place.")


@contextmanager
def _reading(settings: Settings) -> Iterator[Statements]:
    """The database as it stands now, whatever is written meanwhile."""
    file = settings.server_folder / FILE
    try:
        connection = Connection(file)
        try:
            connection.all("BEGIN")
            (said,) = connection.all("PRAGMA integrity_check(1)")[0]
            if said != "ok":
                raise does_not_fit(f"{file} is not a sound database.")
            yield Statements(connection)
        finally:
            connection.close()
    except sqlite3.Error:  # what it says may hold what is in a row
        raise Damaged(
            f"{file} could not be read to its end. Nothing was changed. Restore the newest copy of the data folder."
        ) from None


def _line(log: CheckedLog) -> str:
    said = [spoken(f"{log.origin} — entries: {log.entries}, tiles: {log.tiles}, seconds: {log.seconds}")]
    if log.begins:
        said.append(spoken(f"Those below {log.begins} were destroyed when their time was over."))
    if log.lost:
        count = log.lost
        said.append(
            spoken(
                f"What {count} of them say was lost with the server's newest data: what people's devices gave back since is "
                "checked."
            )
        )
    return " ".join(f"{each.removesuffix('.')}." for each in said)
