"""The documents of an export: each version verified, and written under a name that people can read."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from crypto.descriptors import Descriptor
from crypto.errors import Refusal, TooMany, Unauthenticated, Unreachable
from crypto.exports import DOCUMENTS, ExportedDocument, ExportedParts, ExportedVersion
from crypto.file_names import safe_name
from crypto.pieces import HEADER
from crypto.secret_bytes import SecretBytes
from crypto.vault_chain import Document, Version
from vault_client import vault_parts
from vault_client.document_files import DocumentFiles
from vault_client.file_description import SUFFIXES
from vault_client.own_versions import open_descriptor, open_key
from vault_client.progress import Progress
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica


class _Opened(NamedTuple):
    """A version whose parts are here and open."""

    parts: ExportedParts
    key: SecretBytes
    descriptor: Descriptor


class ExportDocuments:
    """Writes the documents of one record below ``folder``."""

    def __init__(
        self,
        service: Service,
        replica: VaultReplica,
        files: DocumentFiles,
        folder: Path,
        progress: Progress | None,
        total: int,
    ) -> None:
        self.parts: list[ExportedParts] = []
        self._service = service
        self._replica = replica
        self._files = files
        self._folder = folder
        self._progress = progress
        self._total = total
        self._done = self._told = 0
        self._names: set[str] = set()
        self._tried: Counter[tuple[str, str]] = Counter()

    async def write(self, document: Document) -> ExportedDocument:
        """Write every version of ``document``; of a deleted one there is nothing.

        A version that the server refuses, or gives otherwise than it was signed, is left out. Raises Unavailable when
        the server gives nothing at all.
        """
        versions = [
            _without_content(version) if document.deleted else await self._version(document.doc, version)
            for version in document.versions
        ]
        return ExportedDocument(
            doc=document.doc, masked=document.masked, deleted=document.deleted, versions=tuple(versions)
        )

    async def _version(self, doc: bytes, version: Version) -> ExportedVersion:
        try:
            opened = await self._open(doc, version)
            exported = await self._content(doc, version, opened)
        except (TooMany, Unauthenticated):
            raise
        except Refusal:
            exported = _without_content(version)
        except Unreachable:
            await self._service.check_answering()  # else it is not about this document
            exported = _without_content(version)
        else:
            self.parts.append(opened.parts)
        self._done += version.length
        return exported

    async def _open(self, doc: bytes, version: Version) -> _Opened:
        names, vault = (version.self_wrap, version.descriptor), self._replica.vault
        found = await vault_parts.fetched(self._service, vault, names)
        self_wrap, sealed = (found[name] for name in names)
        key = open_key(self._replica.epoch(version.epoch), vault, doc, version, self_wrap)
        parts = ExportedParts(doc=doc, ver=version.ver, self_wrap=self_wrap, descriptor=sealed)
        return _Opened(parts, key, open_descriptor(key, vault, doc, version.ver, sealed))

    async def _content(self, doc: bytes, version: Version, opened: _Opened) -> ExportedVersion:
        name, length = self._name(opened.descriptor), opened.descriptor.length
        async with self._files.opened(
            doc, version, opened.key, length, self._folder / name, self._report
        ) as file:
            header = await asyncio.to_thread(_header, file)
        return ExportedVersion(
            ver=version.ver,
            ct_root=version.ct_root,
            header=header,
            descriptor=opened.descriptor,
            file=f"{DOCUMENTS}/{name}",
        )

    def _report(self, done: int, _: int) -> None:
        # What is fetched is told of twice, on its way here and when it is opened.
        self._told = max(self._told, self._done + done)
        if self._progress is not None:
            self._progress(self._told, self._total)

    def _name(self, descriptor: Descriptor) -> str:
        """A name no other document has, on systems that tell capitals apart and on those that do not."""
        wanted = (f"{descriptor.date} {descriptor.title}".strip(), SUFFIXES.get(descriptor.mime, ".bin"))
        while True:
            self._tried[wanted] += 1
            name = safe_name(*wanted, self._tried[wanted])
            if name.casefold() not in self._names:
                self._names.add(name.casefold())
                return name


def _header(ciphertext: Path) -> bytes:
    with ciphertext.open("rb") as file:
        return file.read(HEADER)


def _without_content(version: Version) -> ExportedVersion:
    return ExportedVersion(ver=version.ver, ct_root=version.ct_root, header=None, descriptor=None, file=None)
