"""The keeper beside this server: another program, started as one, and stopped with it."""

import asyncio
import ctypes
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from crypto.errors import Unavailable
from crypto.trust_root import Keeper
from crypto.wire.keeper_api import KeeperCard
from vault_server.keeper_cards import read_card
from vault_server.settings import Settings
from vault_server.store.files import make_folder

PROGRAM = "vault_server.keeper"
NAME = "keeper-1"
CARD = "keeper-card.json"
KEYS = "keys"
STOP_SECONDS = 10

# Linux ends a child with its parent on request. Loaded here: after a fork is no time to load anything.
_PARENT_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


async def make_card(settings: Settings, port: int) -> KeeperCard:
    """Found the keeper beside this server, and read its card. Raises Unavailable."""
    make_folder(settings.keeper_folder)
    url = f"http://127.0.0.1:{_free_port(port + 1)}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", PROGRAM, "init", "--data", str(settings.keeper_folder)),
        *("--url", url, "--name", NAME, "--operator", "the operator of the vault server"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() != 0:
        raise Unavailable("The keeper beside this server could not be founded. Nothing was started.")
    return _card(settings)


def stands_beside(settings: Settings, keepers: Sequence[Keeper]) -> bool:
    """Whether the data folder holds the keys of one of ``keepers``: then it is started with the server.

    Raises Malformed when what lies in the place of its card is none.
    """
    if not (settings.keeper_folder / KEYS).is_dir() or not (settings.keeper_folder / CARD).exists():
        return False
    own = _card(settings).cosigning_key
    return any(keeper.cosigning_key == own for keeper in keepers)


def _card(settings: Settings) -> KeeperCard:
    return read_card(settings.keeper_folder / CARD)


class KeeperProcess:
    """A running keeper."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, settings: Settings, server_url: str, card: Path) -> "KeeperProcess":
        """Run the keeper at the address on its card. It is told to end when this process does, however that ends."""
        address = urlsplit(_card(settings).url)
        await _wait_until_free(address.hostname or "127.0.0.1", address.port or 0)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", PROGRAM, "serve", "--data", str(settings.keeper_folder)),
            *("--server", server_url, "--card", str(card)),
            *("--host", address.hostname or "127.0.0.1", "--port", str(address.port)),
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
        )
        return cls(process)

    async def ended(self) -> int:
        """Wait until it ends by itself."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and wait; after ten seconds, end it."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _wait_until_free(host: str, port: int) -> None:
    """Wait a little for the keeper of a server that was killed to have ended. Raises Unavailable."""
    for _ in range(STOP_SECONDS * 10):
        with suppress(OSError), socket.create_server((host, port)):
            return
        await asyncio.sleep(0.1)
    raise Unavailable(
        f"The keeper's address, {host} port {port}, is taken by another program. Nothing was started. Stop that one."
    )


def _end_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else a free one. The keeper keeps it for ever: its card names it."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port if port < 65536 else 0)) as free:
                return int(free.getsockname()[1])
        except OSError:
            continue
    raise Unavailable("There is no free port for the keeper. Nothing was started.")
