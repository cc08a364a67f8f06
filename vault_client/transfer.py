"""Ciphertext to and from the server.

Up: in parts under the version's random id, create-only, so a retry sends only what is missing. Down: into a file of the
spool, from the byte at which a cut left it, be it of the connection, of the server, or of this program; verified and
deciphered by ``ciphertext_spool`` before anything is released.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from crypto import pieces
from crypto.errors import CannotOpen, Damaged, TooLarge, Unreachable
from crypto.wire.messages import CiphertextQuery, PartUpload, UploadQuery
from crypto.wire.vault_api import VaultApi
from vault_client.file_errors import spoken_file_errors
from vault_client.progress import Progress
from vault_client.spool import KEPT_DAYS

# Seconds to wait before each new attempt, as long as nothing comes: a server that is started again is back by then.
WAITS: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15)

# Bytes that earn all the waits anew. Less would let a server hold us for ever, byte by byte.
_GOING_ON: Final = 1 << 20

# What people read
KEPT = "The connection was cut. {percent} % of the document is here and stays for {days} days. Give the same command again to go on."


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
    places = {number: pieces.part_slice(number, length) for number in range(len(part_hashes))}
    have = set((await api.upload_status(query)).parts)
    was_cut = False

    def come() -> int:
        return sum(place.stop - place.start for number, place in places.items() if number in have)

    async def send() -> None:
        nonlocal was_cut
        if was_cut:  # the part on its way may have arrived
            have.update((await api.upload_status(query)).parts)
        was_cut = True
        _tell(progress, come(), length)
        for number, place in places.items():
            if number in have:
                continue
            data = await asyncio.to_thread(_part, spool, place, number, part_hashes[number])
            await api.put_part(PartUpload(vault=vault, ver=ver, length=length, number=number), data)
            have.add(number)
            _tell(progress, come(), length)

    await _again(send, come)


async def _again(attempt: Callable[[], Awaitable[None]], come: Callable[[], int]) -> None:
    """Make ``attempt`` until it is through, waiting before each new one. Raises Unreachable when no wait is left.

    ``come``: how many bytes came until now.
    """
    waits, begun = iter(WAITS), come()
    while True:
        try:
            return await attempt()
        except Unreachable:
            if come() - begun >= _GOING_ON:
                waits, begun = iter(WAITS), come()
            wait = next(waits, None)
            if wait is None:
                raise
        await asyncio.sleep(wait)


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


class Download:
    """The ciphertext that ``query`` asks for, ``length`` bytes long, on its way into ``file``.

    What is in ``file`` already is gone on with. Nothing is known to be right before ``opened`` has come to its end.
    """

    def __init__(
        self,
        api: VaultApi,
        file: Path,
        query: CiphertextQuery,
        length: int,
        progress: Progress | None = None,
    ) -> None:
        self._api = api
        self._file = file
        self._query = query
        self._length = length
        self._progress = progress
        self._went_on = self._come() > 0

    async def fetch(self) -> None:
        """Fetch what is missing; where the connection is cut, again and again, until nothing more comes.

        Raises Unreachable then, TooLarge when the server sends more than the document has.
        """
        try:
            await _again(self._fetch, self._come)
        except Unreachable:
            come = self._come()
            if not come:
                raise
            percent = come * 100 // self._length
            raise Unreachable(KEPT.format(percent=percent, days=KEPT_DAYS)) from None

    async def opened(self, decipher: Callable[[], Awaitable[None]]) -> None:
        """Have ``decipher`` open the file, which is whole.

        One that an earlier cut had left may be wrong for that reason alone: it is fetched anew, once. Raises CannotOpen
        when it is wrong all the same.
        """
        try:
            await decipher()
        except CannotOpen:
            if not self._went_on:
                raise
            self._file.unlink(missing_ok=True)
            await self.fetch()
            await decipher()

    async def _fetch(self) -> None:
        with (
            spoken_file_errors(),
            os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file,
        ):
            done = file.seek(0, os.SEEK_END)
            if done > self._length:
                file.truncate(0)
                done = file.seek(0)
            if done == self._length:
                return
            query = msgspec.structs.replace(self._query, start=done)
            async with aclosing(self._api.ciphertext(query)) as chunks:
                async for chunk in chunks:
                    done += len(chunk)
                    if done > self._length:
                        raise TooLarge("The server sent more than the document has. It was not kept.")
                    file.write(chunk)
                    if self._progress is not None:
                        self._progress(done, self._length)
        if done < self._length:
            raise Unreachable("The server sent less than the document has. Try again.")

    def _come(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0
