"""Ciphertext on its way in and out: parts create-only, whole streams from any byte."""

import asyncio
from collections.abc import AsyncIterator

from crypto import pieces
from crypto.durations import DAY
from crypto.errors import Conflict, Malformed, NotFound, NotPermitted, TooLarge, TooMany
from crypto.pieces import part_slice, upload_part_hash
from crypto.vault_chain import Version
from crypto.vault_links import AddVersion
from crypto.wire import messages as m
from vault_server.settings import Limits
from vault_server.store import grants as grant_rows
from vault_server.store import uploads as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.ciphertext import CHUNK, CiphertextStore
from vault_server.store.database import Statements, Transaction, Writer


class Uploads:
    """The ciphertext of every vault. Callers have checked who asks."""

    def __init__(self, limits: Limits, reader: Statements, writer: Writer, store: CiphertextStore) -> None:
        self._limits = limits
        self._reader = reader
        self._writer = writer
        self._store = store

    async def status(self, query: m.UploadQuery) -> m.UploadStatus:
        """The parts that are safely stored."""
        return m.UploadStatus(parts=tuple(await rows.parts(self._reader, query.vault, query.ver)))

    async def put(self, query: m.PartUpload, data: bytes, now: int) -> None:
        """Store one part. Raises Conflict for other bytes, Malformed for a wrong length, TooLarge, TooMany, Full."""
        vault, ver, number = query.vault, query.ver, query.number
        if query.length > m.MAX_CIPHERTEXT:
            raise TooLarge(
                f"A ciphertext of more than {m.MAX_CIPHERTEXT} bytes was refused. Nothing was stored."
            )
        place = part_slice(number, query.length)
        if len(data) != place.stop - place.start:
            raise Malformed("A part does not have the length its place asks for. Nothing was stored.")
        upload = await rows.upload(self._reader, vault, ver)
        if upload is None:
            await self._check_quota(query)
        elif upload.length != query.length:
            raise Conflict("This version is being sent with another length. Nothing was stored.")
        digest = await asyncio.to_thread(upload_part_hash, data, number)
        known = (await rows.parts(self._reader, vault, ver)).get(number)
        if known is not None:
            if known != digest:
                raise Conflict(
                    "Another ciphertext has this place. Nothing was stored. Encrypt again under a new version id."
                )
            return
        if upload is not None and upload.committed:
            raise Conflict("This version is complete. Nothing was stored.")
        await asyncio.to_thread(self._store.put, vault, ver, number, data)

        async def job(transaction: Transaction) -> None:
            await rows.begin(transaction, vault, ver, query.length, now)
            begun = await rows.upload(transaction, vault, ver)
            if begun is None or begun.length != query.length:
                raise Conflict("This version is being sent with another length. Nothing was stored.")
            await rows.add_part(transaction, vault, ver, number, digest)
            version = await vault_rows.version(transaction, vault, ver)
            if version is not None:  # its link came back without it
                await complete(transaction, vault, version)

        await self._writer.run(job)

    async def of_holder(self, vault: bytes, ver: bytes, start: int) -> AsyncIterator[bytes]:
        """A version's ciphertext from byte ``start`` on, for a holder. Raises NotFound before it is whole."""
        upload = await rows.upload(self._reader, vault, ver)
        if upload is None or not upload.committed:
            raise NotFound("A ciphertext")
        async for chunk in self._stream(vault, ver, upload.length, start):
            yield chunk

    async def of_request(
        self, identity: bytes, request: bytes, ver: bytes, start: int, now: int
    ) -> AsyncIterator[bytes]:
        """The same under a request that was granted within a day. Raises NotFound for everything else."""
        answer = await grant_rows.answer(self._reader, request)
        if (
            answer is None
            or answer.identity != identity
            or now - answer.at > DAY
            or ver not in {answer.versions[at : at + 16] for at in range(0, len(answer.versions), 16)}
        ):
            raise NotFound("A ciphertext")
        if answer.listing:
            listing = await grant_rows.listing(self._reader, answer.gid, ver)
            if listing is None:
                raise NotFound("A ciphertext")
            for at in range(start, len(listing), CHUNK):
                yield listing[at : at + CHUNK]
            return
        async for chunk in self.of_holder(answer.vault, ver, start):
            yield chunk

    async def sweep(self, before: int) -> None:
        """Delete what was begun before a time and never named by a link, and what a crash left behind."""
        while open_uploads := await rows.left_open(self._reader, before, 256):
            for vault, ver in open_uploads:
                await self._writer.run(lambda transaction: self._forget(transaction, vault, ver))  # noqa: B023
                await asyncio.to_thread(self._store.delete, vault, ver)
        await asyncio.to_thread(self._store.sweep_unfinished, before)
        for vault, ver in await asyncio.to_thread(lambda: list(self._store.versions_older_than(before))):
            if await rows.upload(self._reader, vault, ver) is None:
                await asyncio.to_thread(self._store.delete, vault, ver)

    async def _stream(self, vault: bytes, ver: bytes, length: int, start: int) -> AsyncIterator[bytes]:
        chunks = self._store.read(vault, ver, length, start)
        while start < length:  # no thread is asked once more only to say that it was all
            chunk = await asyncio.to_thread(next, chunks)
            start += len(chunk)
            yield chunk

    async def _check_quota(self, query: m.PartUpload) -> None:
        pieces.part_count(query.length)
        unfinished, size = await rows.use(self._reader, query.vault)
        if unfinished >= self._limits.open_uploads:
            raise TooMany(
                "Too many versions of this record are half sent. Nothing was stored. Finish some first."
            )
        if size + query.length > self._limits.vault_bytes:
            raise TooLarge("This record has as much ciphertext as one may have. Nothing was stored.")

    @staticmethod
    async def _forget(transaction: Transaction, vault: bytes, ver: bytes) -> None:
        upload = await rows.upload(transaction, vault, ver)
        if upload is not None and not upload.committed:
            await rows.forget(transaction, vault, ver)


async def complete(transaction: Transaction, vault: bytes, version: Version | AddVersion) -> bool:
    """Keep the ciphertext of a version that a link names, once just what was signed has arrived; false before."""
    upload = await rows.upload(transaction, vault, version.ver)
    hashes = await rows.parts(transaction, vault, version.ver)
    arrived = upload is not None and not upload.committed and upload.length == version.length
    if not arrived or len(hashes) != pieces.part_count(version.length):
        return False
    if pieces.root_from_parts(list(hashes.values()), version.length) != version.ct_root:
        raise NotPermitted("A version's ciphertext is not the one that was signed. Nothing was added.")
    await rows.commit(transaction, vault, version.ver)
    return True
