"""The story each attack begins with, told honestly; and what must not have moved when an attack was refused."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from crypto.sealed.recovery import KitFile
from crypto.signing import Envelope
from crypto.vault_chain import GrantEntry
from tests.support.instance import Instance
from tests.support.lying_keeper import LyingKeeper
from tests.support.lying_server import Behind, keeper_at, vault_at
from tests.support.lying_vault import LyingVault
from vault_client.device_store import DeviceStore
from vault_client.granted_document import GrantedDocument
from vault_client.http_keeper import HttpKeeper
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.local_vault import AuditPlace, GrantMade, LocalDocument, LocalGrant, LocalVault
from vault_client.own_identity import Profile
from vault_client.patient import Patient, PatientDocument
from vault_client.practitioner import Practitioner
from vault_client.received_grants import ReceivedGrant
from vault_client.service import Service
from vault_client.shown_trust_roots import TrustRecord
from vault_client.trust import BelievedHead, Pin

# A document of one piece, and one of several, whose last is not full.
TEXTS = (b"Potassium 4.1 mmol/l. " * 150, bytes(range(256)) * 600)

TRUSTED: dict[str, type[msgspec.Struct]] = {
    "trust": TrustRecord,
    "profile": Profile,
    "vault": LocalVault,
    "link": Envelope,
    "document": LocalDocument,
    "grant": GrantMade,
    "grant-entry": GrantEntry,
    "pin": Pin,
    "received": ReceivedGrant,
    "audit": AuditPlace,
}


async def put_between(service: Service) -> tuple[LyingVault, dict[bytes, LyingKeeper]]:
    """Have ``service`` speak over HTTP to a vault and keepers that can lie, until it is closed."""
    own = cast("HttpVault", service.api)
    honest, keepers = Behind(own._transport), {}
    honest.account = own.account
    vault = LyingVault(honest)
    for name, keeper in service.keepers.items():
        keepers[name] = LyingKeeper(keeper)
        url = await service._open.enter_async_context(keeper_at(keepers[name], service.root))
        service.keepers[name] = HttpKeeper(await _connected(service, url))
    url = await service._open.enter_async_context(vault_at(vault, service.root))
    own._transport, own._session = await _connected(service, url), None
    return vault, keepers


async def _connected(service: Service, url: str) -> HttpTransport:
    return await service._open.enter_async_context(HttpTransport(url))


class Story:
    """A patient, a practitioner, what was granted, and the liars between each of them and the server."""

    def __init__(self, instance: Instance, folder: Path, patient: Patient, reader: Practitioner) -> None:
        self.instance, self.folder = instance, folder
        self.patient, self.reader = patient, reader
        self.patient_vault: LyingVault
        self.reader_vault: LyingVault
        self.patient_keeper: LyingKeeper
        self.reader_keeper: LyingKeeper
        self.documents: list[PatientDocument] = []
        self.kits: list[KitFile] = []
        self.grant: LocalGrant
        self.out = folder / "out"
        self.out.mkdir()

    async def surround(self) -> None:
        """Put liars between everybody and the server, and everybody and the keeper."""
        self.patient_vault, keepers = await put_between(self.patient.service)
        (self.patient_keeper,) = keepers.values()
        self.reader_vault, keepers = await put_between(self.reader.service)
        (self.reader_keeper,) = keepers.values()

    @property
    def destination(self) -> Path:
        """Where what is opened goes."""
        return self.out / "opened"

    @property
    def origin(self) -> str:
        """The log the record is written in."""
        return self.patient.replica.origin

    async def add(self, text: bytes, name: str) -> PatientDocument:
        """The patient adds a document, and keeps no copy: what is fetched in a story comes from the server."""
        source = self.folder / name
        source.write_bytes(text)
        self.documents.append(await self.patient.add(source))
        self.patient.files.copies.drop(self.documents[-1].ver)
        return self.documents[-1]

    async def give(self) -> None:
        """The patient grants all documents to the practitioner, who takes the grant in."""
        wanted = [document.doc for document in self.documents]
        self.grant = await self.patient.authorise(await self.reader.card(), wanted)
        assert await self.reader.sync() == []
        await self.reader.listing()

    def listed(self, number: int = 0) -> GrantedDocument:
        """A document as the practitioner's list has it."""
        wanted = self.documents[number].doc
        return next(entry for entry in self.reader.documents() if entry.document.doc == wanted)

    async def read(self, number: int = 0) -> bytes:
        """The practitioner opens a document; its content."""
        await self.reader.read(self.listed(number), self.destination)
        return self.destination.read_bytes()

    @contextmanager
    def refused(
        self, *errors: type[Exception], partly_here: bool = False
    ) -> Iterator[pytest.ExceptionInfo[Exception]]:
        """Whatever happens inside is refused with one of ``errors``, and leaves nothing behind. Tells the refusal afterwards.

        ``partly_here``: but the ciphertext that came, for the next attempt to go on with.
        """
        before = self.trusted()
        with pytest.raises(errors) as refusal:
            yield refusal
        assert self.trusted() == before
        if partly_here:
            assert all(file.suffix == ".fetched" for file in self.spooled())
        else:
            assert self.spooled() == []
        assert list(self.out.iterdir()) == []

    def nothing_written(self) -> None:
        """Neither a document nor a piece of one lies anywhere."""
        assert [*self.out.iterdir(), *self.spooled()] == []

    def spooled(self) -> list[Path]:
        """The ciphertext under way."""
        return [file for who in ("patient", "reader") for file in (self.folder / who / "spool").iterdir()]

    def trusted(self) -> dict[str, Any]:
        """Everything both devices believe, but for log heads, which may move forward while something is refused."""
        return trusted_state(self.patient._store) | {
            f"reader {name}": record for name, record in trusted_state(self.reader._store).items()
        }

    def head(self, service: Service) -> BelievedHead:
        """The head of the record's log that a device believes."""
        return service.believed(self.origin)


def trusted_state(store: DeviceStore) -> dict[str, Any]:
    """What a device believes, by name."""
    return {name: record for group, kind in TRUSTED.items() for name, record in store.scan(group, kind)}


@asynccontextmanager
async def told(instance: Instance, folder: Path) -> AsyncIterator[Story]:
    """The story up to where the attacks begin: two documents, granted and listed."""
    kits: list[KitFile] = []
    async with (
        await instance.patient(folder / "patient", kits.append) as patient,
        await instance.practitioner(folder / "reader", keep_kit=kits.append) as reader,
    ):
        story = Story(instance, folder, patient, reader)
        story.kits = kits
        await story.surround()
        for number, text in enumerate(TEXTS):
            await story.add(text, f"document-{number}.txt")
        await story.give()
        yield story
