"""Adding a document: encrypted into the spool, sent in parts, named by a link.

What is needed to go on is kept (``AddDocument``) before anything is sent, so whatever is cut goes on where it was.
"""

import asyncio
import secrets
from pathlib import Path

from crypto.descriptors import Descriptor, document_context
from crypto.errors import Damaged, Full, NotPermitted
from crypto.sealed.wrapping import SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.statements import part_hash
from crypto.vault_links import AddVersion
from crypto.wire.messages import UploadQuery
from vault_client.changes import AddDocument, AnyChange
from vault_client.ciphertext_replica import CiphertextReplica
from vault_client.ciphertext_spool import encrypt_file, in_thread
from vault_client.file_description import check_source, describe
from vault_client.own_versions import seal_descriptor
from vault_client.progress import Progress
from vault_client.service import Service
from vault_client.transfer import send_ciphertext
from vault_client.vault_replica import Intent, VaultReplica


class Adding:
    """How documents of this device come into the record."""

    def __init__(
        self, service: Service, replica: VaultReplica, spool: Path, copies: CiphertextReplica
    ) -> None:
        self._service = service
        self._replica = replica
        self._spool = spool
        self._copies = copies

    async def prepare(
        self, source: Path, descriptor: Descriptor | None, progress: Progress | None
    ) -> AddDocument:
        """Encrypt ``source``, at most 2 GiB, into the spool, durably. Nothing is sent."""
        await asyncio.to_thread(check_source, source)
        doc, ver, key = secrets.token_bytes(16), secrets.token_bytes(16), SecretBytes.random()
        vault = self._replica.vault
        context = document_context(vault, doc, ver)
        file = self._spool / ver.hex()
        sealed = await in_thread(
            lambda report: encrypt_file(source, file, key=key, context=context, progress=report), progress
        )
        if descriptor is None:
            description = describe(source)
            descriptor = Descriptor(
                title=description.title,
                category=description.category,
                author="",
                mime=description.mime,
                date=description.date,
                length=sealed.length,
            )
        return AddDocument(
            doc=doc,
            ver=ver,
            key=key.reveal(),
            descriptor=descriptor,
            sealed_descriptor=seal_descriptor(key, vault, doc, ver, descriptor),
            length=sealed.ciphertext_length,
            part_hashes=sealed.part_hashes,
        )

    def check(self, change: AddDocument) -> None:
        """Raises NotPermitted when the ciphertext is not in the spool any more."""
        if not self._file(change).is_file():
            raise NotPermitted("Its ciphertext is no longer on this device. It was not added. Add it again.")

    def hand_over(self, change: AnyChange) -> None:
        """Make the ciphertext of ``change``, if it has one, the profile's own copy; without room it is left out."""
        if isinstance(change, AddDocument) and self._file(change).is_file():
            try:
                self._copies.keep(change.ver, self._file(change))
            except (Full, Damaged):
                self.discard(change)

    def discard(self, change: AnyChange) -> None:
        """Keep the ciphertext of ``change``, if it has one, in the spool no longer."""
        if isinstance(change, AddDocument):
            self._file(change).unlink(missing_ok=True)

    async def finish(self, change: AddDocument, progress: Progress | None) -> None:
        """Send what the server does not have, and the link. Raises as ``send_ciphertext`` and ``append`` do."""
        await self._send(change, progress)
        try:
            await self._append(change)
        except NotPermitted:
            status = await self._service.api.upload_status(
                UploadQuery(vault=self._replica.vault, ver=change.ver)
            )
            if len(status.parts) == len(change.part_hashes):
                raise
            await self._send(change, progress)  # the server forgot the unfinished upload in between
            await self._append(change)

    async def _send(self, change: AddDocument, progress: Progress | None) -> None:
        await send_ciphertext(
            self._service.api,
            self._file(change),
            vault=self._replica.vault,
            ver=change.ver,
            length=change.length,
            part_hashes=change.part_hashes,
            progress=progress,
        )

    async def _append(self, change: AddDocument) -> None:
        while True:
            epoch = self._replica.epoch().epoch
            try:
                await self._replica.append(self._intent(change))
            except NotPermitted:
                if self._replica.epoch().epoch == epoch:
                    raise
            else:
                return

    def _intent(self, change: AddDocument) -> Intent:
        """What to append on the present head: the key is wrapped under its epoch."""
        epoch = self._replica.epoch()
        wrapper = SelfWrapper(SecretBytes(epoch.secret), self._replica.vault)
        self_wrap = wrapper.wrap(SecretBytes(change.key), change.doc, change.ver, change.ct_root)
        operation = AddVersion(
            doc=change.doc,
            ver=change.ver,
            ct_root=change.ct_root,
            length=change.length,
            epoch=epoch.epoch,
            self_wrap=part_hash(self_wrap),
            descriptor=part_hash(change.sealed_descriptor),
        )
        return Intent(operations=(operation,), parts=(self_wrap, change.sealed_descriptor))

    def _file(self, change: AddDocument) -> Path:
        return self._spool / change.ver.hex()
