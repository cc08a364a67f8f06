"""Ciphertext to and from the server.

Up: in parts under the version's random id, create-only, so a retry sends only what is missing. Down: into a private
file beside the destination, verified and deciphered by ``ciphertext_spool`` before anything is released.
"""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import msgspec

from crypto import pieces
from crypto.errors import TooLarge, Unreachable
from crypto.wire.messages import CiphertextQuery, PartUpload, UploadQuery
from crypto.wire.vault_api import VaultApi
from vault_client.file_errors import spoken_file_errors
from vault_client.progress import Progress

_TRIES = 3


async def send_ciphertext(
    api: VaultApi, spool: Path, *, vault: bytes, ver: bytes, length: int, progress: Progress | None = None
) -> None:
    """Send the parts of ``spool``, ``length`` bytes of ciphertext, that the server does not have yet."""
    status = await api.upload_status(UploadQuery(vault=vault, ver=ver))
    have = set(status.parts)
    with spool.open("rb") as file:
        for number in range(pieces.part_count(length)):
            place = pieces.part_slice(number, length)
            if number not in have:
                file.seek(place.start)
                data = await asyncio.to_thread(file.read, place.stop - place.start)
                await api.put_part(PartUpload(vault=vault, ver=ver, length=length, number=number), data)
            if progress is not None:
                progress(place.stop, length)


async def fetch_ciphertext(
    api: VaultApi,
    destination: Path,
    *,
    ver: bytes,
    length: int,
    vault: bytes | None = None,
    request: bytes | None = None,
    progress: Progress | None = None,
) -> None:
    """Fetch ``length`` bytes of ciphertext into ``destination``, going on where a cut connection left off."""
    query = CiphertextQuery(vault=vault, request=request, ver=ver, start=0)
    for attempt in range(_TRIES):
        try:
            await _fetch(api, destination, query, length, progress)
        except Unreachable:
            if attempt == _TRIES - 1:
                raise
        else:
            return


async def _fetch(
    api: VaultApi, destination: Path, query: CiphertextQuery, length: int, progress: Progress | None
) -> None:
    with (
        spoken_file_errors(),
        os.fdopen(os.open(destination, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file,
    ):
        done = file.seek(0, os.SEEK_END)
        if done >= length:
            file.truncate(0)
            done = file.seek(0)
        async with aclosing(api.ciphertext(msgspec.structs.replace(query, start=done))) as chunks:
            async for chunk in chunks:
                done += len(chunk)
                if done > length:
                    raise TooLarge("The server sent more than the document has. It was not kept.")
                file.write(chunk)
                if progress is not None:
                    progress(done, length)
    if done < length:
        raise Unreachable("The server sent less than the document has. What came was kept. Try again.")
