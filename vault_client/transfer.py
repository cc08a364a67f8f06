"""Ciphertext to and from the server.

Up: in parts under the version's random id, create-only, so a retry sends only what is missing. Down: into a private
file beside the destination, verified and deciphered by ``ciphertext_spool`` before anything is released.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

from crypto import pieces
from crypto.errors import Damaged, TooLarge, Unreachable
from crypto.wire.messages import CiphertextQuery, PartUpload, UploadQuery
from crypto.wire.vault_api import VaultApi
from vault_client.file_errors import spoken_file_errors
from vault_client.progress import Progress

_TRIES = 3
# Seconds before each new attempt while a server that answered before does not: it may be starting again.
PAUSES = (0.2, 0.5, 1, 2, 4, 8)


async def send_ciphertext(
    api: VaultApi,
    spool: Path,
    *,
    vault: bytes,
    ver: bytes,
    length: int,
    part_hashes: Sequence[bytes],
    progress: Progress | None = None,
) -> None:
    """Send the parts of ``spool``, ``length`` bytes of ciphertext, that the server does not have yet.

    A part that was cut off is sent again, and no other; a server that falls silent is waited for a little. ``progress``
    begins at what the server has. Raises Unreachable when nobody answers at the start, or for longer than that, and
    Damaged for a part that is not the one that was encrypted; what was sent stays there, for the next time.
    """
    query = UploadQuery(vault=vault, ver=ver)
    have = set((await api.upload_status(query)).parts)
    failures = 0
    while True:
        try:
            if failures:  # the part that was cut off may have arrived
                have |= set((await api.upload_status(query)).parts)
            places = {number: pieces.part_slice(number, length) for number in range(len(part_hashes))}
            done = sum(place.stop - place.start for number, place in places.items() if number in have)
            _tell(progress, done, length)
            for number, place in places.items():
                if number in have:
                    continue
                data = await asyncio.to_thread(_part, spool, place, number, part_hashes[number])
                await api.put_part(PartUpload(vault=vault, ver=ver, length=length, number=number), data)
                have.add(number)
                failures, done = 0, done + len(data)
                _tell(progress, done, length)
        except Unreachable:
            if failures == len(PAUSES):
                raise
            await asyncio.sleep(PAUSES[failures])
            failures += 1
        else:
            return


def _part(spool: Path, place: slice, number: int, expected: bytes) -> bytes:
    """One part of the file, once it is found to be the one that was encrypted."""
    with spoken_file_errors(), spool.open("rb") as file:
        file.seek(place.start)
        data = file.read(place.stop - place.start)
    if len(data) != place.stop - place.start or pieces.upload_part_hash(data, number) != expected:
        raise Damaged(
            f"{spool}, which waits to be sent, is damaged. That part was not sent. Take the document back, and add it again."
        )
    return data


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


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
