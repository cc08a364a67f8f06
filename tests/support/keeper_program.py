"""A keeper as a program of its own, which a test founds, starts, stops and kills."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crypto.encoding import decode
from crypto.wire.keeper_api import KeeperCard
from vault_server.keeper import founding
from vault_server.keeper.keys import CARD

SECONDS = 60


class KeeperProgram:
    """One keeper: its folder, its address, and its process while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._words: list[str] = []
        self._program = ["-m", "vault_server.keeper"]

    @classmethod
    def found(cls, folder: Path, name: str) -> "KeeperProgram":
        """Make its keys and its card, at a free port."""
        url = f"http://127.0.0.1:{free_port()}"
        making = founding.found(folder, url=url, name=name, operator=f"who runs {name}")
        with ThreadPoolExecutor(1) as thread:  # the caller's may have a loop of its own
            thread.submit(asyncio.run, making).result()
        return cls(folder)

    @property
    def card(self) -> KeeperCard:
        """Its public half."""
        return decode((self.folder / CARD).read_bytes().strip(), KeeperCard)

    def serve(self, server: str, card: Path) -> None:
        """Start it as soon as the instance card is there, and do not wait for it."""
        port = self.card.url.rpartition(":")[2]
        self._words = ["serve", "--data", str(self.folder), "--server", server, "--card", str(card)]
        self._words += ["--port", port]
        # A shell waits for the card, which the server writes at its first start, and is then replaced.
        waiting = 'while [ ! -s "$0" ]; do sleep 0.05; done; exec "$@"'
        self._start(["sh", "-c", waiting, str(card), sys.executable, *self._program, *self._words])

    def start(self) -> None:
        """Start it once more."""
        self._start([sys.executable, *self._program, *self._words])

    def wait(self) -> None:
        """Wait until it listens."""
        address = ("127.0.0.1", int(self._words[-1]))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(address, 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"The keeper did not start: {(self.folder / 'output.log').read_text()}")

    def wait_until_ready(self) -> None:
        """Wait until it says that it is well."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.card.url}/coffre/health", timeout=SECONDS).close()  # noqa: S310 - our own
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"The keeper is not ready: {(self.folder / 'output.log').read_text()}")

    def lose(self, clock: Path) -> None:
        """End it, take its store away, and start it once more, by the clock in a file (``timed_keepers``)."""
        self.stop()
        for file in self.folder.glob("keeper.db*"):
            file.unlink()
        self._program = ["-m", "tests.support.timed_keepers", str(clock)]
        self.start()

    def stop(self) -> None:
        """End it, also when it hangs."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Have it take questions and answer none, until it is told to ``go_on``."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise RuntimeError("The keeper does not run.")
        os.kill(self._process.pid, number)

    def _start(self, command: list[str]) -> None:
        with (self.folder / "output.log").open("ab") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
