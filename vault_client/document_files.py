"""The content of one's own documents: from the copies on this device, else from the server."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crypto.descriptors import document_context
from crypto.errors import CannotOpen, Damaged, Distrusted, Full, NotFound, Unreachable
from crypto.secret_bytes import SecretBytes
from crypto.vault_chain import Version
from crypto.wire.messages import CiphertextQuery
from vault_client.ciphertext_replica import CiphertextReplica
from vault_client.ciphertext_spool import check_ciphertext, decrypt_file, in_thread
from vault_client.local_vault import LocalDocument, newest
from vault_client.progress import Progress
from vault_client.service import Service
from vault_client.spool import fetched_spool
from vault_client.transfer import Download
from vault_client.vault_replica import VaultReplica


@dataclass(frozen=True)
class ReplicaFetched:
    """What came of fetching every copy: how many came, and why some documents are not here, by id."""

    fetched: int
    left_out: dict[bytes, str]


class DocumentFiles:
    """Reads the documents of one record. ``copies``: those that are here."""

    def __init__(
        self, service: Service, replica: VaultReplica, copies: CiphertextReplica, spool: Path
    ) -> None:
        self._service = service
        self._replica = replica
        self.copies = copies
        self._spool = spool

    def is_here(self, document: LocalDocument) -> bool:
        """Whether a document can be read without the server."""
        version = newest(document.document)
        return self.copies.find(version.ver, version.length) is not None

    async def write(self, document: LocalDocument, destination: Path, progress: Progress | None) -> None:
        """Write a document to ``destination``, once all of it is verified, and keep its copy here if there is room.

        Raises as ``opened`` does.
        """
        doc, version = document.document.doc, newest(document.document)
        key, length = self._replica.document_key(document), document.descriptor.length
        async with self.opened(doc, version, key, length, destination, progress) as file:
            if not self.is_here(document):
                # What was asked for is done; that no copy is here is seen in the list.
                with suppress(Full, Damaged):
                    self.copies.keep(version.ver, file)

    @asynccontextmanager
    async def opened(
        self,
        doc: bytes,
        version: Version,
        key: SecretBytes,
        length: int,
        destination: Path,
        progress: Progress | None,
    ) -> AsyncIterator[Path]:
        """A version of ``length`` bytes written to ``destination``, once all of it is verified. Yields its ciphertext.

        Raises Unreachable when it is not here and the server does not answer, CannotOpen when the server's is not what
        was signed. A copy that is not is removed, and fetched anew.
        """

        async def decipher(file: Path) -> None:
            await in_thread(
                lambda report: decrypt_file(
                    file,
                    destination,
                    key=key,
                    context=document_context(self._replica.vault, doc, version.ver),
                    ct_root=version.ct_root,
                    length=length,
                    progress=report,
                ),
                progress,
            )

        copy = self.copies.find(version.ver, version.length)
        if copy is not None:
            try:
                await decipher(copy)
            except CannotOpen:
                self.copies.drop(version.ver)
            else:
                yield copy
                return
        await self._check_answering()
        with self._fetching(version, progress) as (download, file):
            await download.fetch()
            await download.opened(lambda: decipher(file))
            yield file

    async def fetch_all(self, progress: Progress | None) -> ReplicaFetched:
        """Fetch the copies that are missing, and remove those that are no longer wanted.

        A document whose ciphertext is withheld or wrong, or for which there is no room, holds up no other. Raises
        Unreachable when the server does not answer; what came until then is kept.
        """
        self.drop_unwanted()
        missing = [each for each in self._replica.documents() if not self.is_here(each)]
        left_out: dict[bytes, str] = {}
        done, total = 0, sum(newest(each.document).length for each in missing)
        for document in missing:
            version = newest(document.document)
            try:
                await self._fetch(document, _further(progress, done, total))
            except (CannotOpen, NotFound, Full) as error:
                left_out[document.document.doc] = str(error)
            done += version.length
        return ReplicaFetched(len(missing) - len(left_out), left_out)

    def drop_unwanted(self) -> None:
        """Remove the copies of documents that are no longer in the record, and of versions that are not the newest."""
        self.copies.keep_only({newest(each.document).ver for each in self._replica.documents()})

    async def _fetch(self, document: LocalDocument, progress: Progress | None) -> None:
        version = newest(document.document)
        with self._fetching(version, progress) as (download, file):
            self.copies.check_room(version.length)
            await download.fetch()
            await download.opened(
                lambda: in_thread(
                    lambda report: check_ciphertext(file, ct_root=version.ct_root, progress=report), None
                )
            )
            self.copies.keep(version.ver, file)

    async def _check_answering(self) -> None:
        try:
            await self._service.follow()
        except Distrusted:
            raise
        except Unreachable:
            raise Unreachable(
                "This document is not on this device, and the server does not answer. Nothing was written. Try again when "
                "it does."
            ) from None

    @contextmanager
    def _fetching(self, version: Version, progress: Progress | None) -> Iterator[tuple[Download, Path]]:
        with fetched_spool(self._spool, version.ct_root) as file:
            query = CiphertextQuery(vault=self._replica.vault, request=None, ver=version.ver, start=0)
            yield Download(self._service.api, file, query, version.length, progress), file


def _further(progress: Progress | None, before: int, total: int) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, _: progress(before + done, total)
