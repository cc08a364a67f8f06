"""A record with something of everything in it, exported once, to be looked at and tampered with."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto import labels
from crypto.encoding import encode
from crypto.exports import MANIFEST, SIGNATURES, ExportManifest, ExportSignatures, read_manifest
from crypto.signing import SigningKey, sign
from tests.support.instance import Instance, running
from vault_client.export_check import CheckedExport

# Nothing at all, one piece, and several pieces of which the last is not full.
TEXTS = (b"", b"Potassium 4.1 mmol/l. " * 40, bytes(range(256)) * 600)
DELETED = b"to be deleted"
PERSON = "Jeanne Dupont"


@dataclass(frozen=True)
class Exported:
    """An export, where its record still is, and the key that can sign for it."""

    instance: Instance
    folder: Path
    profile: Path
    device: SigningKey
    checked: CheckedExport

    @property
    def manifest(self) -> ExportManifest:
        """What it says."""
        return read_manifest((self.folder / MANIFEST).read_bytes())

    def resign(self, folder: Path, manifest: ExportManifest) -> None:
        """Put a manifest into ``folder`` that the patient's device signed."""
        envelope = sign(labels.EXPORT, manifest, self.device)
        (folder / MANIFEST).write_bytes(envelope.body)
        (folder / SIGNATURES).write_bytes(encode(ExportSignatures(signatures=envelope.signatures)))


@contextmanager
def exported(base: Path) -> Iterator[Exported]:
    """A patient adds, grants, masks, deletes; a practitioner lists and reads; one grant ends, one goes on."""
    with running(base / "data") as instance:
        yield asyncio.run(_played(instance, base))


async def _played(instance: Instance, base: Path) -> Exported:
    async with (
        await instance.patient(base / "patient", person=PERSON) as patient,
        await instance.practitioner(base / "reader") as reader,
    ):
        documents = []
        for number, text in enumerate((*TEXTS, DELETED)):
            source = base / f"Bilan : n° {number}?.txt"
            await asyncio.to_thread(source.write_bytes, text)
            documents.append((await patient.add(source)).doc)
        first = await patient.authorise(await reader.card(), documents[:2])
        await reader.sync()
        await reader.listing()
        await reader.read(next(iter(reader.documents())), base / "read")
        await patient.revoke(first.entry.gid)
        await patient.authorise(await reader.card(), documents[1:3])
        await patient.mask(documents[1])
        await patient.delete(documents[3])
        checked = await patient.export(base / "export")
        device = patient.own.device
    return Exported(instance, base / "export", base / "patient", device, checked)
