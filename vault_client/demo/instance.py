"""The service of the demo: a vault server and four keepers, of which three must agree, on free ports of this machine."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto.trust_root import InstanceCard, read_card
from vault_client.demo.processes import Program, finish, free_ports

KEEPERS = 4


@dataclass(frozen=True)
class KeeperPlace:
    """Where a keeper lies, and the port that its card names."""

    folder: Path
    port: int

    @property
    def card(self) -> Path:
        """The public half, for whoever founds the service."""
        return self.folder / "keeper-card.json"


class Instance:
    """A service, by its folder and its addresses. What is started on it is ended by ``stop``."""

    def __init__(self, data: Path, port: int, keepers: Sequence[KeeperPlace]) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._places = tuple(keepers)
        self.server = self.server_on(data)
        self.keepers = [self.keeper_on(number, place.folder) for number, place in enumerate(keepers)]
        self._served = [*self.keepers, self.server]

    @property
    def card_file(self) -> Path:
        """Where the server puts the instance card."""
        return self.data / "server" / "instance-card.json"

    @property
    def card(self) -> InstanceCard:
        """What its people are given."""
        return read_card(self.card_file.read_text("utf-8"))

    @property
    def keeper_folders(self) -> list[Path]:
        """The folder of each keeper."""
        return [place.folder for place in self._places]

    def server_on(self, data: Path) -> Program:
        """The server at this service's address, on the folder ``data``."""
        words = ["--data", str(data), "--port", str(self._port), "--cover-leaves", "0", "--json"]
        words += ["--keepers", *(str(place.card) for place in self._places)]
        words += ["--independent", *(place.folder.name for place in self._places)]
        return Program("serve", words, data / "server" / "output.log")

    def keeper_on(self, number: int, folder: Path) -> Program:
        """The keeper of this number at its address, on ``folder``."""
        words = ["serve", "--data", str(folder), "--server", self.url, "--card", str(self.card_file)]
        words += ["--port", str(self._places[number].port), "--json"]
        return Program("keeper", words, folder / "output.log")

    async def start(self, *programs: Program) -> None:
        """Start ``programs``, and wait until all of them answer. Raises as ``Program.until`` does."""
        self._served += [program for program in programs if program not in self._served]
        for program in programs:
            program.start()
        for program in programs:
            await program.ready()

    async def stop(self, *programs: Program) -> None:
        """End ``programs``; without any, all that were started."""
        await asyncio.gather(*(program.stop() for program in programs or self._served))

    async def found(self) -> None:
        """Make the keepers, then the service, and start all of it."""
        await asyncio.gather(*(_found_keeper(place) for place in self._places))
        # The server waits for its keepers, and they for its card: all are there before any is ready.
        self.server.start()
        await self.server.until(
            lambda: self.card_file.exists() and self.card_file.read_bytes().endswith(b"\n")
        )
        await self.start(*self.keepers)
        await self.server.ready()

    async def certify(self, card: Path, *, subject: str, name: str, profession: str) -> None:
        """Have the registrar certify the identity on ``card``. Raises Unavailable when it refuses."""
        words = ["certify", str(card), "--subject", subject, "--name", name, "--profession", profession]
        await finish("registrar", [*words, "--data", str(self.data)], self.data / "operator" / "output.log")

    async def back_up(self, file: Path) -> None:
        """Write a backup of the running server."""
        await finish(
            "serve", ["--data", str(self.data), "--backup", str(file)], self.data / "server" / "output.log"
        )

    async def restore(self, file: Path, data: Path) -> None:
        """Make a server's folder of a backup, in the empty folder ``data``."""
        await finish("serve", ["--data", str(data), "--restore", str(file)], data / "output.log")


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Instance]:
    """A new service on ``data`` until the block ends. Raises Unavailable when it does not start."""
    folders = [data / f"keeper-{number}" for number in range(1, KEEPERS + 1)]
    for folder in (data, data / "server", *folders):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port, *ports = free_ports(1 + KEEPERS)
    places = [KeeperPlace(*each) for each in zip(folders, ports, strict=True)]
    instance = Instance(data, port, places)
    try:
        await instance.found()
        yield instance
    finally:
        await instance.stop()


async def _found_keeper(place: KeeperPlace) -> None:
    words = ["init", "--data", str(place.folder), "--url", f"http://127.0.0.1:{place.port}"]
    words += ["--name", place.folder.name, "--operator", place.folder.name]
    await finish("keeper", words, place.folder / "output.log")
