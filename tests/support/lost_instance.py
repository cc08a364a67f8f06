"""A real server that loses its data, and goes on from an older backup and its keeper's leaves."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.instance import Instance, running
from vault_server.backup import back_up
from vault_server.keeper.leaves import write_leaves
from vault_server.restore import restore
from vault_server.settings import Settings


class LostInstance:
    """A server at one address, whatever becomes of it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, folder / "data"
        self._port, self._disasters, self._running = 0, 0, ExitStack()
        self.instance: Instance

    def start(self) -> Instance:
        """Start it."""
        self.instance = self._running.enter_context(running(self._data, self._port))
        self._port = urlsplit(self.instance.url).port or 0
        return self.instance

    def stop(self) -> None:
        """Stop it."""
        self._running.close()

    def back_up(self) -> None:
        """Make the only backup there will be, of the running server."""
        backup = self._folder / "older.tar"
        backup.unlink(missing_ok=True)
        back_up(Settings(data=self._data), backup, as_json=True)

    def lose(self) -> None:
        """It dies, and its data with it. The operator restores the backup with the keeper's leaves, and starts it."""
        self.stop()
        self._disasters += 1
        leaves = self._folder / f"keeper-{self._disasters}.leaves"
        write_leaves(Settings(data=self._data).keeper_folder, leaves, (), as_json=True)
        shutil.move(self._data / "server", self._folder / f"lost-{self._disasters}")
        restore(Settings(data=self._data), self._folder / "older.tar", [leaves], as_json=True)
        self.start()
