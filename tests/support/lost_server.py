"""A server whose newest data is lost: what its keepers have of its logs, an older backup, and what people kept."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from crypto.wire import losses as lost
from crypto.wire import messages as m
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.record_story import Record
from tests.contract.vault_story import Person, World
from vault_server.backup import back_up
from vault_server.leaves_file import LeavesWriter
from vault_server.restore import restore
from vault_server.settings import Settings

Log = tuple[str, bytes, list[bytes]]


def logs_of(data: Path) -> list[Log]:
    """Each log of a server as a keeper would have it: origin, newest cosigned checkpoint, leaves."""
    with closing(sqlite3.connect(data / "server" / "coffre.db")) as database:
        logs = database.execute("SELECT origin, note FROM logs ORDER BY origin").fetchall()
        sql = "SELECT leaf FROM leaves WHERE origin = ? ORDER BY idx"
        return [
            (origin, note, [leaf for (leaf,) in database.execute(sql, [origin])]) for origin, note in logs
        ]


def write_leaves(to: Path, logs: Iterable[Log]) -> Path:
    """The file that a keeper with these logs writes."""
    with to.open("wb") as file:
        writer = LeavesWriter(file)
        for _, note, leaves in logs:
            writer.add(note, 0, (), leaves)
        writer.close()
    return to


@dataclass
class KeptRecord:
    """A record whose holder keeps what it sent, and what opens the entries that made."""

    record: Record
    links: list[lost.ShownLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep each link from now on."""
        append = self.record.append

        async def keeping(submission: m.LinkSubmission) -> m.LinkAccepted:
            accepted = await append(submission)
            self.keep(submission, accepted)
            return accepted

        self.record.append = keeping  # type: ignore[method-assign]

    def keep(self, submission: m.LinkSubmission, accepted: m.LinkAccepted) -> None:
        """Keep one."""
        shown = tuple(logged.disclosure for logged in accepted.logged)
        sent = msgspec.structs.replace(submission, tags=())
        self.links.append(lost.ShownLink(submission=sent, disclosures=shown))


def disclosures(shown: lost.ShownLink, **changes: Any) -> lost.ShownLink:
    """What is shown, with its first disclosure changed."""
    first = msgspec.structs.replace(shown.disclosures[0], **changes)
    return msgspec.structs.replace(shown, disclosures=(first, *shown.disclosures[1:]))


@dataclass
class LostServer:
    """Runs until it is lost, and again from its backup."""

    folder: Path
    keeper: CosigningKeeper = field(default_factory=lambda: CosigningKeeper(Clock()))

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.folder / "data"

    @property
    def backup(self) -> Path:
        """The older backup."""
        return self.folder / "older.tar"

    @property
    def leaves(self) -> Path:
        """What the keeper has."""
        return self.folder / "keeper.leaves"

    def serving(self, **changes: Any) -> Any:
        """The server, run in this process."""
        return serving(self.data, self.keeper, **changes)

    async def back_up(self) -> None:
        """Make the backup now."""
        await asyncio.to_thread(back_up, Settings(data=self.data), self.backup, as_json=True)

    async def lose(self, change: Callable[[list[Log]], list[Log]] = lambda logs: logs) -> None:
        """The data are lost; the keeper has written down its leaves, as ``change`` makes them."""
        write_leaves(self.leaves, change(logs_of(self.data)))
        shutil.move(self.data / "server", self.folder / "lost")

    async def restore(self, *leaves: Path) -> None:
        """Restore the backup with leaves."""
        await asyncio.to_thread(restore, Settings(data=self.data), self.backup, leaves, as_json=True)

    @asynccontextmanager
    async def restored(self, world: World) -> AsyncIterator[InProcess]:
        """The restored server, and everybody of ``world`` on it."""
        await self.restore(self.leaves)
        async with self.serving() as running:
            world.service = running
            yield running


async def show_identity(world: World, person: Person, since: int = 0) -> None:
    """Somebody shows all links from a number on."""
    api = await world.service.api()
    for link in person.links[since:]:
        logged = await api.show_identity_link(lost.ShownIdentityLink(link=link, parts=()))
        world.check(logged, link.envelope, world.directory)
