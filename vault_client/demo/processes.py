"""The programs of the demo: a vault server and a keeper, started as an operator would, and always ended.

Each writes what it has to say into ``output.log`` of its own folder. They listen on free ports of this machine, in a
session of their own, so that Ctrl-C reaches only the demo, which then ends them in order.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto.errors import Unavailable
from crypto.trust_root import InstanceCard, read_card
from vault_client.commands.processes import command_line

START_SECONDS = 60
STOP_SECONDS = 15
_STEP = 0.05


@dataclass(frozen=True)
class Instance:
    """A running server with its keeper."""

    data: Path
    url: str
    card: InstanceCard

    async def certify(self, card: Path, *, subject: str, name: str, profession: str) -> None:
        """Have the instance's registrar certify the identity on ``card``. Raises Unavailable when it refuses."""
        words = ("certify", str(card), "--subject", subject, "--name", name, "--profession", profession)
        await _finish("registrar", [*words, "--data", str(self.data)], self.data / "operator" / "output.log")


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Instance]:
    """A server and a keeper on ``data`` until the block ends. Raises Unavailable when one does not start."""
    server, keeper = data / "server", data / "keeper-1"
    for folder in (data, server, keeper):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server_port, keeper_port = _free_ports(2)
    server_url, keeper_url = f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{keeper_port}"
    init = ["init", "--data", str(keeper), "--url", keeper_url, "--name", "keeper-1", "--operator", "demo"]
    await _finish("keeper", init, keeper / "output.log")
    card = server / "instance-card.json"
    async with AsyncExitStack() as stack:
        # The server waits for its keeper, and the keeper for the server: both are there before either is ready.
        words = [
            "--data",
            str(data),
            "--port",
            str(server_port),
            "--keepers",
            str(keeper / "keeper-card.json"),
            "--cover-leaves",
            "0",
            "--json",
        ]
        serving = await stack.enter_async_context(_started("serve", words, server / "output.log"))
        await _until(lambda: card.exists() and card.read_bytes().endswith(b"\n"), serving)
        words = ["serve", "--data", str(keeper), "--server", server_url, "--card", str(card)]
        await stack.enter_async_context(
            _started("keeper", [*words, "--port", str(keeper_port)], keeper / "output.log")
        )
        await _until(lambda: _is_ready(server / "output.log"), serving)
        yield Instance(data=data, url=server_url, card=read_card(card.read_text("utf-8")))


@asynccontextmanager
async def _started(
    program: str, words: Sequence[str], output: Path
) -> AsyncIterator[subprocess.Popen[bytes]]:
    with output.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program; starting it does not wait
            command_line(program, words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # A process that is being ended must not be left alone by a second Ctrl-C.
        await asyncio.shield(asyncio.to_thread(_stop, process))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


async def _finish(program: str, words: Sequence[str], output: Path) -> None:
    async with _started(program, words, output) as process:
        if await asyncio.to_thread(process.wait) != 0:
            raise Unavailable(f"The demo's {program} did not do its part: {_last_line(output)}")


async def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(
                "The demo's server did not start. Nothing was shown. See its output.log (--keep)."
            )
        await asyncio.sleep(_STEP)


def _is_ready(output: Path) -> bool:
    for line in output.read_text("utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("ready") is True:
            return True
    return False


def _last_line(output: Path) -> str:
    lines = output.read_text("utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing."


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()
