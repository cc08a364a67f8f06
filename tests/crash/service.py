"""The server and its keepers under fire: programs on loopback, each killed by itself, and the heads they showed."""

import hashlib
import random
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from crypto.checkpoint import Checkpoint, parse_note
from crypto.trust_root import InstanceCard, read_card
from tests.crash.programs import Program
from tests.support.instance import Instance

START_SECONDS = 240
LOGS = ("coffre/directory", "coffre/log/0")
# Below those that systems give by themselves, to connections and to whoever asks for any: from 32768 on, or 49152.
PORTS = range(16384, 32768)


class Shown(NamedTuple):
    """A head that was shown to anybody. It must be a prefix of the log for ever."""

    origin: str
    size: int
    root: bytes


class Service:
    """A server and its keepers with their data in ``data``, on ports of their own for all their runs."""

    def __init__(self, data: Path, words: Path, environment: dict[str, str], keepers: int = 1) -> None:
        """``words``: the folder in which they write what they have to say. ``environment``: of all programs."""
        self.data = data
        server_port, *self._keeper_ports = free_ports(1 + keepers)
        self.url = f"http://127.0.0.1:{server_port}"
        serve = ["vault_server", "serve", "--data", str(data), "--port", str(server_port)]
        self._folders = [data / f"keeper-{number}" for number in range(1, keepers + 1)]
        named = ["--keepers", *(str(folder / "keeper-card.json") for folder in self._folders)]
        self.server = Program([*serve, *named, "--json"], words / "server.log", environment)
        self._card = data / "server" / "instance-card.json"
        self._found = []
        self.keepers = []
        for folder, port in zip(self._folders, self._keeper_ports, strict=True):
            init = ["vault_server.keeper", "init", "--data", str(folder), "--name", folder.name]
            url = ["--url", f"http://127.0.0.1:{port}", "--operator", f"who runs {folder.name}"]
            self._found.append(Program([*init, *url], words / "init.log"))
            run = ["vault_server.keeper", "serve", "--data", str(folder), "--server", self.url]
            at = ["--card", str(self._card), "--port", str(port)]
            self.keepers.append(Program([*run, *at], words / f"{folder.name}.log", environment))

    @property
    def programs(self) -> list[Program]:
        """The server and all keepers."""
        return [self.server, *self.keepers]

    @property
    def card(self) -> InstanceCard:
        """The instance card."""
        return read_card(self._card.read_text())

    @property
    def instance(self) -> Instance:
        """The same service, for its registrar."""
        return Instance(self.data, self.url, self.card)

    def found(self) -> None:
        """Make keepers and instance, and start all."""
        for folder, making in zip(self._folders, self._found, strict=True):
            folder.mkdir(parents=True)
            making.start()
            if making.process is None or making.process.wait() != 0:
                raise RuntimeError(making.last_words())
        self.server.start()
        _until(lambda: self._card.exists() and self._card.read_bytes().endswith(b"\n"), self.server)
        for keeper in self.keepers:
            keeper.start()
        self.wait()

    def wait(self) -> None:
        """Wait until the server's logs are open again: enough keepers have cosigned them."""
        _until(lambda: all(_get(f"{self.url}/{name}/checkpoint") for name in LOGS), self.server)

    def heads(self) -> list[Shown]:
        """What is shown now, by all; nothing of whom does not answer."""
        found = []
        for name in LOGS:
            origin = f"{self.url.removeprefix('http://')}/{name}"
            kept = hashlib.sha256(origin.encode()).hexdigest()
            keepers = [f"http://127.0.0.1:{port}/{kept}" for port in self._keeper_ports]
            for url in (f"{self.url}/{name}", *keepers):
                if (note := _get(f"{url}/checkpoint")) is not None:
                    head = Checkpoint.parse(parse_note(note).text)
                    found.append(Shown(head.origin, head.size, head.root))
        return found


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own server
            return bytes(answer.read())
    except (OSError, HTTPException):
        return None


def _until(ready: Callable[[], bool], program: Program) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if program.ended is not None or time.monotonic() > deadline:
            raise RuntimeError(f"It did not start: {program.last_words()}")
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that the system gives to nobody by itself while their programs are down."""
    with ExitStack() as stack:
        return [stack.enter_context(_listening()).getsockname()[1] for _ in range(count)]


def _listening() -> socket.socket:
    while True:
        with suppress(OSError):  # in use
            return socket.create_server(("127.0.0.1", random.choice(PORTS)))
