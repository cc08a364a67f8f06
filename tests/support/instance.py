"""One real server and its keepers, as processes on loopback, and the people of a story on them.

One keeper stands beside the server, and is its child. Several run by themselves: a test can stop and start each.

The operator's private keys lie in the instance's folder: ``Instance`` reads them, so that a test can lie with the
signatures a dishonest operator could make.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto.sealed.recovery import KitFile
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.trust_root import InstanceCard, read_card
from crypto.wire.cards import card_text
from crypto.wire.keeper_api import KeeperCard
from tests.support.keeper_program import KeeperProgram, free_port
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_server.instance import read_key
from vault_server.keeper.keys import CARD, load_card, load_keys
from vault_server.registrar import certify
from vault_server.settings import Settings

STOP_SECONDS = 15

KeepKit = Callable[[KitFile], None]


@dataclass(frozen=True)
class Instance:
    """A running server: its data folder, its instance card, and the secrets of its operator."""

    data: Path
    url: str
    card: InstanceCard
    keepers: tuple[KeeperProgram, ...] = ()

    @property
    def log_key(self) -> SigningKey:
        """What signs the heads of the access logs."""
        return read_key(Settings(data=self.data).server_folder / "keys" / "log.key")

    @property
    def directory_key(self) -> SigningKey:
        """What signs the heads of the directory."""
        return read_key(Settings(data=self.data).server_folder / "keys" / "directory.key")

    @property
    def keeper_key(self) -> SigningKey:
        """What the keeper cosigns with: the operator has it, as this keeper is not independent."""
        return load_keys(Settings(data=self.data).keeper_folder).cosigning

    @property
    def keeper_card(self) -> KeeperCard:
        """The keeper's public half."""
        return load_card(Settings(data=self.data).keeper_folder)

    async def patient(
        self, folder: Path, keep_kit: KeepKit = lambda kit: None, *, person: str = ""
    ) -> Patient:
        """Somebody new with an empty record."""
        store = DeviceStore.create_with_key(folder, SecretBytes.random())
        return await Patient.begin(store, folder, person=person, card=self.card, keep_kit=keep_kit)

    async def practitioner(
        self, folder: Path, *, subject: str | None = "demo:1", keep_kit: KeepKit = lambda kit: None
    ) -> Practitioner:
        """A new practitioner; certified unless ``subject`` is None."""
        store = DeviceStore.create_with_key(folder, SecretBytes.random())
        practitioner = await Practitioner.begin(store, folder, card=self.card, keep_kit=keep_kit)
        if subject is not None:
            await self.certify(practitioner, folder / "card.json", subject)
            await practitioner.sync()
        return practitioner

    async def certify(self, practitioner: Practitioner, card: Path, subject: str) -> None:
        """Have the instance's registrar certify ``practitioner``, whose card is written to ``card``."""
        text = card_text(await practitioner.card())
        await asyncio.to_thread(card.write_text, text)
        await asyncio.to_thread(
            certify,
            self.data,
            card,
            subject=subject,
            name="Dr Claire Martin",
            profession="cardiologist",
            days=300,
            now=int(time.time()),
            as_json=True,
            replace=True,
        )


@contextmanager
def running(data: Path, port: int = 0, *options: str, keepers: int = 1) -> Iterator[Instance]:
    """Start a server, on a free port unless told one, and its keepers; end all of them afterwards.

    The server's data lie in ``data``, and so do those of the one keeper beside it; each of several has a folder next to it.
    ``options``: what else the operator says.
    """
    with ExitStack() as stack:
        named = []
        if keepers > 1:
            named = [
                KeeperProgram.found(data.with_name(f"{data.name}-keeper-{place}"), f"keeper-{place}")
                for place in range(keepers)
            ]
            port = port or free_port()  # the keepers are started while the server waits for them
            for keeper in named:
                stack.callback(keeper.stop)
                keeper.serve(f"http://127.0.0.1:{port}", data / "server" / "instance-card.json")
        yield stack.enter_context(served(data, port, tuple(named), options))


@contextmanager
def served(
    data: Path, port: int, keepers: tuple[KeeperProgram, ...] = (), options: tuple[str, ...] = ()
) -> Iterator[Instance]:
    """Start a server alone; ``keepers``, named to it, are somebody else's to start and end."""
    command = [
        sys.executable,
        "-m",
        "vault_server",
        "serve",
        "--data",
        str(data),
        "--port",
        str(port),
        "--json",
        *options,
    ]
    if keepers:
        command += ["--keepers", *(str(keeper.folder / CARD) for keeper in keepers)]
    said = data.with_suffix(".log")
    with (
        said.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise RuntimeError(f"The server did not start: {said.read_text()}")
            ready = json.loads(line)
            card = read_card(Path(ready["card"]).read_text())
            yield Instance(data, ready["serving"], card, keepers)
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            finally:
                server.kill()  # if it does not listen: to wait for its end would be to wait for ever
