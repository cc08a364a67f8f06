"""The programs, with hundreds of clients that do nothing or too little: everybody else is answered as before."""

import contextlib
import json
import resource
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from crypto.wire.vault_api import PREFIX

SLOW = 200
IDLE = 1000
OURS = 100
# What an idle connection may cost the server, which is kept by a transport, a parser and two timers.
A_CONNECTION = 32 << 10
ROOT = Path(__file__).resolve().parents[2]

HALF = (
    b"",
    b"GET /coffre/vers",
    b"GET /coffre/version HTTP/1.1\r\nhost: x\r\nx: ",
    b"POST "
    + PREFIX.encode()
    + b"/version HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{",
    b"POST "
    + PREFIX.encode()
    + b"/publish_link HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n{",
    b"PUT " + PREFIX.encode() + b"/part HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
)


class Running(NamedTuple):
    """A server and its keeper."""

    url: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def answers(self) -> bool:
        """Whether a prompt client is answered."""
        with urllib.request.urlopen(f"{self.url}/coffre/version", timeout=60) as answer:  # noqa: S310 - our own
            return json.load(answer)["name"] == "coffre"

    @property
    def memory(self) -> int:
        """The bytes that the server has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that waits three seconds for a head."""
    data = tmp_path_factory.mktemp("many")
    command = [
        sys.executable,
        "-m",
        "tests.wire.impatient",
        "serve",
        "--data",
        str(data / "data"),
        "--port",
        "0",
        "--json",
    ]
    with (
        (data / "said").open("w") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT) as process,
    ):
        try:
            assert process.stdout is not None
            yield Running(json.loads(process.stdout.readline())["serving"], process)
        finally:
            process.terminate()
            process.wait(30)


def connected(stack: contextlib.ExitStack, server: Running, said: bytes = b"") -> socket.socket:
    """One client that says so much."""
    client = stack.enter_context(socket.create_connection(server.address, 60))
    with contextlib.suppress(ConnectionResetError):
        client.sendall(said)
    return client


def is_closed(client: socket.socket) -> bool:
    """Wait until the server has closed a connection, whatever it said before."""
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def test_slow_clients_hold_up_nobody(server: Running) -> None:
    """While two hundred clients hang in heads and bodies of all kinds, a prompt one is answered, again and again."""
    with contextlib.ExitStack() as stack:
        for number in range(SLOW):
            connected(stack, server, HALF[number % len(HALF)])
        for _ in range(20):
            assert server.answers()


def test_a_thousand_idle_connections_cost_little_and_end(server: Running) -> None:
    """The server answers beside them, has little memory for each, and closes every one of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(IDLE, hard - OURS)
    if many < IDLE:
        print(
            f"This system allows {hard} open files, so {many} idle connections are tried instead of {IDLE}."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, many + OURS), hard))
    try:
        assert server.answers()
        before = server.memory
        with contextlib.ExitStack() as stack:
            idle = [connected(stack, server) for _ in range(many)]
            assert server.answers()
            assert server.memory - before < many * A_CONNECTION
            assert all(map(is_closed, idle))
        assert server.answers()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
