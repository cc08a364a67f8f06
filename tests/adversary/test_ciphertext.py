"""A server that serves other ciphertext than was stored."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from crypto.descriptors import document_context
from crypto.errors import CannotOpen, NotFound, TooLarge, Unavailable, Unreachable
from crypto.pieces import HEADER, PIECE, SEALED_CHUNK, TAG
from crypto.wire.messages import CiphertextQuery
from tests.adversary.story import TEXTS, Story
from tests.adversary.twins import open_anything
from tests.support.lying_vault import whole
from vault_client import ciphertext_spool
from vault_client.transfer import Download


def flipped(at: int) -> Callable[[bytes], bytes]:
    """One bit changed in byte ``at``."""

    def change(data: bytes) -> bytes:
        place = at % len(data)
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return change


def exchanged(first: int, second: int, size: int) -> Callable[[bytes], bytes]:
    """Two equally long stretches of the body in each other's place."""

    def change(data: bytes) -> bytes:
        one, two = HEADER + first * size, HEADER + second * size
        changed = bytearray(data)
        changed[one : one + size], changed[two : two + size] = data[two : two + size], data[one : one + size]
        return bytes(changed)

    return change


PLACES = {
    "salt": 0,
    "commitment": HEADER - 1,
    "first chunk": HEADER,
    "inside": HEADER + PIECE + 5,
    "last tag": -1,
}
SURGERY: dict[str, Callable[[bytes], bytes]] = {
    "two chunks exchanged": exchanged(0, 1, SEALED_CHUNK),
    "two pieces exchanged": exchanged(0, 1, PIECE),
    "a chunk repeated": lambda data: (
        data[: HEADER + SEALED_CHUNK]
        + data[HEADER : HEADER + SEALED_CHUNK]
        + data[HEADER + 2 * SEALED_CHUNK :]
    ),
    "the last tag given to another chunk": lambda data: (
        data[: HEADER + SEALED_CHUNK - TAG] + data[-TAG:] + data[HEADER + SEALED_CHUNK :]
    ),
}


async def test_a_flipped_bit_releases_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A12: no change of one bit anywhere in a ciphertext gives plaintext, to the reader or to the patient."""
    for place in PLACES.values():
        for vault in (story.reader_vault, story.patient_vault):
            vault.tamper_ciphertext(flipped(place))
        with story.refused(CannotOpen):
            await story.read(1)
        with story.refused(CannotOpen):
            await story.patient.get(story.documents[1].doc, story.destination)

    with monkeypatch.context() as twin:
        open_anything(twin)
        for place in ("first chunk", "inside"):
            story.reader_vault.tamper_ciphertext(flipped(PLACES[place]))
            assert await story.read(1) != TEXTS[1]
        for place in ("commitment", "last tag"):  # not what was stored, and nobody noticed
            story.reader_vault.tamper_ciphertext(flipped(PLACES[place]))
            assert await story.read(1) == TEXTS[1]


async def test_chunks_cannot_be_moved(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A32: chunks that are exchanged, repeated or spliced are refused."""
    for surgery in SURGERY.values():
        story.reader_vault.tamper_ciphertext(surgery)
        with story.refused(CannotOpen):
            await story.read(1)

    with monkeypatch.context() as twin:
        open_anything(twin)
        for surgery in SURGERY.values():
            story.reader_vault.tamper_ciphertext(surgery)
            assert await story.read(1)


async def test_a_ciphertext_cut_short_is_not_opened(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A32, A41: dropping the end, up to everything, is noticed while fetching, and once more before deciphering."""
    for cut in (PIECE, TAG, 1):
        story.reader_vault.tamper_ciphertext(lambda data, cut=cut: data[:-cut])
        with story.refused(Unreachable, partly_here=True):
            await story.read(1)

    async def take_for_whole(self: Download) -> None:
        with suppress(Unreachable):
            await self._fetch()

    with monkeypatch.context() as twin:
        twin.setattr(Download, "fetch", take_for_whole)
        with story.refused(CannotOpen):
            await story.read(1)


async def test_another_documents_ciphertext_is_refused(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A13, A37: whole, sound ciphertext of another document of the same length does not open under this one's name."""
    number = 0
    other = await story.add(TEXTS[number][::-1], "other.txt")
    query = CiphertextQuery(vault=story.patient.replica.vault, request=None, ver=other.ver, start=0)
    instead = await whole(story.patient_vault.honest, query)
    story.reader_vault.tamper_ciphertext(lambda data: instead)
    with story.refused(CannotOpen):
        await story.read(number)

    story.patient_vault.tamper_ciphertext(lambda data: instead)
    with story.refused(CannotOpen):
        await story.patient.get(story.documents[number].doc, story.destination)
    with monkeypatch.context() as twin:
        open_anything(twin)
        key = story.patient.replica.document_key(story.patient.replica.document(other.doc))
        context = document_context(query.vault or b"", other.doc, other.ver)
        twin.setattr(story.patient.replica, "document_key", lambda _: key)
        twin.setattr("vault_client.document_files.document_context", lambda *_: context)
        await story.patient.get(story.documents[number].doc, story.destination)
        assert story.destination.read_bytes() == TEXTS[number][::-1]


async def test_nothing_is_released_before_the_whole_holds(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A33: of a large document with a changed end, no byte ever stands at the destination."""
    await story.add(bytes(range(256)) * 3600, "large.bin")
    large = story.documents[-1]
    story.patient_vault.tamper_ciphertext(flipped(-TAG - 1))
    seen: set[str] = set()

    def watch(done: int, total: int) -> None:
        seen.update(path.suffix for path in story.out.iterdir())

    with story.refused(CannotOpen):
        await story.patient.get(large.doc, story.destination, progress=watch)
    assert seen == {".part"}

    @contextmanager
    def openly(destination: Path):
        destination.touch()
        yield destination

    with monkeypatch.context() as twin:
        twin.setattr(ciphertext_spool, "private_part", openly)
        with pytest.raises(CannotOpen):
            await story.patient.get(large.doc, story.destination)
        assert story.destination.read_bytes()[:4096] == bytes(range(256)) * 16


async def test_a_withheld_document_stays_in_the_list(story: Story) -> None:
    """A41: a ciphertext that is not served is an error about a document that is still listed, never its absence."""
    story.patient_vault.honest.ciphertext = story.reader_vault.honest.ciphertext = _withheld
    before = story.patient.documents(), story.reader.documents()
    for number in (0, 1):
        with story.refused(NotFound):
            await story.read(number)
        with story.refused(NotFound):
            await story.patient.get(story.documents[number].doc, story.destination)
    assert (story.patient.documents(), story.reader.documents()) == before


async def _withheld(query: CiphertextQuery) -> AsyncIterator[bytes]:
    raise NotFound("A ciphertext")
    yield b""


async def test_endless_ciphertext_is_cut(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A55: a stream without end is left as soon as it is longer than the signed length."""
    served = 0

    async def endless(query: CiphertextQuery) -> AsyncIterator[bytes]:
        nonlocal served
        while served < 1 << 26:
            served += 1 << 16
            yield bytes(1 << 16)
            await asyncio.sleep(0)  # so that it is noticed when nobody reads on

    story.reader_vault.serve_ciphertext(endless)
    with story.refused(TooLarge):
        await story.read(0)
    assert served < 1 << 25  # what the two ends of a connection hold, and no more

    served = 0
    with monkeypatch.context() as twin:
        twin.setattr("vault_client.reading.ciphertext_length", lambda length: 1 << 40)
        with pytest.raises(Unreachable):
            await story.read(0)
    assert served == 1 << 26


async def test_a_folder_that_is_missing_is_named_before_anything_is_fetched(story: Story) -> None:
    """Where nothing can be released, nothing is asked for either: neither by the patient nor by the practitioner."""
    nowhere = story.out / "missing" / "opened"
    for vault, opening in (
        (story.patient_vault, story.patient.get(story.documents[0].doc, nowhere)),
        (story.reader_vault, story.reader.read(story.listed(0), nowhere)),
    ):
        before = len(vault.heard)
        with story.refused(Unavailable):
            await opening
        assert len(vault.heard) == before
