"""A patient and a certified practitioner on a server, and that server with its keeper as processes of their own.

For the benches that run the whole job over HTTP on loopback. Profiles have keys instead of passphrases, and everything
lies in a folder that disappears.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crypto.secret_bytes import SecretBytes
from crypto.trust_root import InstanceCard, read_card
from crypto.wire.cards import card_text
from vault_client.device_store import DeviceStore
from vault_client.granted_document import GrantedDocument
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner

ROOT: Final = Path(__file__).resolve().parents[1]
SERVER: Final = (sys.executable, "-m", "vault_server")


@dataclass(frozen=True, slots=True)
class People:
    """Somebody with a record and somebody who may be given access to it."""

    patient: Patient
    practitioner: Practitioner

    async def authorise(self, doc: bytes) -> GrantedDocument:
        """Grant one document and have it arrive, with its listing open."""
        await self.patient.authorise(await self.practitioner.card(), [doc])
        await self.practitioner.sync()
        (granted,) = [each for each in await self.practitioner.listing() if each.document.doc == doc]
        return granted


@contextmanager
def server_process(data: Path) -> Iterator[InstanceCard]:
    """A server and the keeper beside it, listening; ended with the block."""
    command = [*SERVER, "serve", "--data", str(data), "--port", "0", "--json"]
    with (
        (data.parent / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT) as process,
    ):
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise SystemExit(f"The server did not start: {(data.parent / 'server.log').read_text()}")
            yield read_card(Path(json.loads(line)["card"]).read_text(encoding="utf-8"))
        finally:
            process.terminate()


@contextmanager
def served_folder() -> Iterator[tuple[Path, InstanceCard]]:
    """A folder that disappears with the block, and a server whose data is in its ``data``."""
    with (
        tempfile.TemporaryDirectory(prefix="coffre-bench-") as name,
        server_process(Path(name) / "data") as card,
    ):
        yield Path(name), card


@asynccontextmanager
async def people(folder: Path, data: Path, card: InstanceCard) -> AsyncIterator[People]:
    """A patient and a practitioner of the server at ``card``, whose operator's keys are in ``data``."""
    async with AsyncExitStack() as stack:
        patient = await stack.enter_async_context(
            await Patient.begin(_store(folder / "patient"), folder / "patient", card=card, keep_kit=_forget)
        )
        practitioner = await stack.enter_async_context(
            await enrolled(folder / "practitioner", data, card, SecretBytes.random(), "demo:bench")
        )
        yield People(patient, practitioner)


async def enrolled(
    folder: Path, data: Path, card: InstanceCard, key: SecretBytes, subject: str
) -> Practitioner:
    """A certified practitioner with a profile in ``folder`` under ``key``."""
    store = DeviceStore.create_with_key(folder, key)
    practitioner = await Practitioner.begin(store, folder, card=card, keep_kit=_forget)
    shown = folder.with_name(f"{folder.name}-card.json")
    shown.write_text(card_text(await practitioner.card()), encoding="utf-8")
    await asyncio.to_thread(_certify, shown, data, subject)
    await practitioner.sync()
    return practitioner


def _certify(card: Path, data: Path, subject: str) -> None:
    who = ["--subject", subject, "--name", "Dr Banc", "--profession", "médecin"]
    command = [*SERVER, "registrar", "certify", str(card), *who, "--data", str(data)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _store(folder: Path) -> DeviceStore:
    return DeviceStore.create_with_key(folder, SecretBytes.random())


def _forget(_: object) -> None:
    """Nobody recovers a benchmark."""
