"""The programs of the demo: each started as an operator would start it, and always ended.

Each writes what it has to say into a file. They run in a session of their own, so that Ctrl-C reaches only the demo,
which then ends them in order.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crypto.errors import Stale, Unavailable
from vault_client.commands.processes import command_line

START_SECONDS = 60
STOP_SECONDS = 15
_STEP = 0.05


class Program:
    """A program that serves: started, stopped, and started again. ``output``: the file that it goes on writing to."""

    def __init__(self, name: str, words: Sequence[str], output: Path) -> None:
        self._command = command_line(name, words)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._begins = 0

    def start(self) -> None:
        """Start it, and do not wait for it."""
        self._begins = self._output.stat().st_size if self._output.exists() else 0
        self._process = _started(self._command, self._output)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something that it does. Raises Stale when it refuses to serve, Unavailable when it ends otherwise."""
        deadline = time.monotonic() + START_SECONDS
        while not reached():
            code = self._process.poll() if self._process is not None else None
            if code == 1:  # refused by a check
                raise Stale(_last_line(self._said()))
            if code is not None or time.monotonic() > deadline:
                raise Unavailable(
                    "The demo's server did not start. Nothing was shown. See its output.log (--keep)."
                )
            await asyncio.sleep(_STEP)

    async def ready(self) -> None:
        """Wait until it says that it answers, and raise as ``until`` does."""
        await self.until(lambda: any(map(_is_ready, self._said().splitlines())))

    async def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            # A process that is being ended must not be left alone by a second Ctrl-C.
            await asyncio.shield(asyncio.to_thread(_stop, self._process))

    def _said(self) -> str:
        return self._output.read_bytes()[self._begins :].decode("utf-8", errors="replace")


async def finish(name: str, words: Sequence[str], output: Path) -> None:
    """Run a program to its end. Raises Unavailable unless it did what it was told."""
    process = _started(command_line(name, words), output)
    try:
        code = await asyncio.to_thread(process.wait)
    finally:
        await asyncio.shield(asyncio.to_thread(_stop, process))
    if code != 0:
        said = _last_line(await asyncio.to_thread(output.read_text, "utf-8", errors="replace"))
        raise Unavailable(f"The demo's {name} did not do its part: {said}")


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def _started(command: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "COFFRE_LANG": "en"},  # what it says is put into words where it is shown
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _is_ready(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("ready") is True


def _last_line(said: str) -> str:
    lines = said.splitlines()
    return lines[-1].removeprefix("coffre: ") if lines else "it said nothing."
