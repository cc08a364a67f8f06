"""The queue of changes on a device, and sending a ciphertext in parts."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from crypto import pieces
from crypto.encoding import decode, encode
from crypto.errors import Damaged, Malformed, NotPermitted, Unreachable
from crypto.wire.messages import PartUpload, UploadQuery, UploadStatus
from tests.strategies import bodies, flips
from vault_client import transfer
from vault_client.change_queue import ChangeQueue
from vault_client.changes import (
    Authorise,
    BlockIdentity,
    DeleteDocument,
    EndGrant,
    ExtendGrant,
    MaskDocument,
    QueuedChange,
)
from vault_client.device_store import DeviceStore
from vault_client.spool import opened_spool
from vault_client.transfer import send_ciphertext

LENGTH = pieces.HEADER + 2 * pieces.PART * pieces.PIECE + 5000
CIPHERTEXT = bytes(range(256)) * (LENGTH // 256) + bytes(LENGTH % 256)
PLACES = [pieces.part_slice(number, LENGTH) for number in range(3)]
HASHES = tuple(pieces.upload_part_hash(CIPHERTEXT[place], number) for number, place in enumerate(PLACES))
MASK, UNMASK = (MaskDocument(doc=bytes(16), masked=masked) for masked in (True, False))


@settings(max_examples=20)
@given(bodies(QueuedChange))
def test_what_waits_is_read_as_it_was_kept(queued: QueuedChange) -> None:
    """Every change there can be comes back from its record, and does not print what is in it."""
    assert decode(encode(queued), QueuedChange) == queued
    assert repr(queued.change) == f"{type(queued.change).__name__}(…)"


@settings(max_examples=20)
@given(bodies(QueuedChange).flatmap(lambda queued: flips(encode(queued))))
def test_a_record_with_another_byte_is_another_or_none(data: bytes) -> None:
    """Whatever is read encodes to the same bytes again."""
    try:
        queued = decode(data, QueuedChange)
    except Malformed:
        return
    assert encode(queued) == data


def test_ends_and_blocks_come_first_and_the_rest_in_order(store: DeviceStore) -> None:
    """In the order they were asked for but for those; what was said last of a thing is not kept twice."""
    queue = ChangeQueue(store, lambda: 7)
    end, block = EndGrant(gid=bytes(32)), BlockIdentity(identity=bytes(32), blocked=True)
    for change in (MASK, MASK, UNMASK, MASK, block, end, end, MASK):
        queue.note(change)
    assert [queued.change for queued in queue.waiting()] == [end, block, MASK, UNMASK, MASK]
    assert [queued.change for queued in ChangeQueue(store, lambda: 8).waiting()] == [
        queued.change for queued in queue.waiting()
    ]
    assert queue.is_ending(bytes(32))
    for queued in queue.waiting():
        queue.remove(queued.id)
        with pytest.raises(NotPermitted):
            queue.get(queued.id)
    assert not queue.is_ending(bytes(32))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies(Authorise))
def test_the_end_of_a_grant_takes_the_place_of_its_making(store: DeviceStore, grant: Authorise) -> None:
    """What was asked to be ended is made no more, however it is cut; what is about another grant stays."""
    queue = ChangeQueue(store, lambda: 7)
    other = ExtendGrant(gid=bytes(31) + b"\1", documents=(bytes(16),))
    end = EndGrant(gid=grant.gid)
    for change in (grant, other, end):
        queue.note(change)
    assert [queued.change for queued in queue.waiting()] == [end, other]
    for queued in queue.waiting():
        queue.remove(queued.id)


def test_ciphertext_that_waits_is_not_swept(tmp_path: Path) -> None:
    """What a record names stays in the spool; the rest of a run that was cut short goes."""
    spool = opened_spool(tmp_path)
    for name in ("aa" * 16, "bb" * 16):
        (spool / name).write_bytes(b"ciphertext")
    opened_spool(tmp_path, kept={"aa" * 16})
    assert [file.name for file in spool.iterdir()] == ["aa" * 16]


def test_another_change_of_the_same_document_is_another(store: DeviceStore) -> None:
    """What was said in between decides whether a change is the one that waits already."""
    queue = ChangeQueue(store, lambda: 0)
    first, deletion, again = (queue.note(each) for each in (MASK, DeleteDocument(doc=bytes(16)), MASK))
    assert [queued.number for queued in (first, deletion, again)] == [0, 1, 2]


class Parts:
    """A server for parts, behind a line that is cut whenever ``cuts`` says so."""

    def __init__(self, *cuts: bool) -> None:
        self.have: dict[int, bytes] = {}
        self.cuts, self.put = list(cuts), list[int]()

    async def upload_status(self, query: UploadQuery) -> UploadStatus:
        """What has arrived."""
        return UploadStatus(parts=tuple(self.have))

    async def put_part(self, query: PartUpload, data: bytes) -> None:
        """Take a part; its answer, or all of it, may be lost."""
        self.put.append(query.number)
        if self.cuts and self.cuts.pop(0):
            raise Unreachable("cut")
        self.have[query.number] = data


async def send(api: Parts, spool: Path) -> list[int]:
    """Send the ciphertext; how far it was said to have come."""
    told: list[int] = []
    await send_ciphertext(
        api,  # type: ignore[arg-type]
        spool,
        vault=bytes(32),
        ver=bytes(16),
        length=LENGTH,
        part_hashes=HASHES,
        progress=lambda done, _: told.append(done),
    )
    return told


async def test_only_the_part_that_was_cut_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in the second part: that one is repeated; the next time, nothing is sent and the bar is full at once."""
    monkeypatch.setattr(transfer, "WAITS", (0, 0))
    spool = tmp_path / "spool"
    spool.write_bytes(CIPHERTEXT)
    api = Parts(False, True, True, False)
    await send(api, spool)
    assert api.put == [0, 1, 1, 1, 2]
    assert b"".join(api.have[number] for number in range(3)) == CIPHERTEXT
    assert await send(api, spool) == [LENGTH]
    del api.have[1]
    assert await send(api, spool) == [LENGTH - (PLACES[1].stop - PLACES[1].start), LENGTH]


async def test_a_server_that_stays_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many attempts without a part between them: Unreachable, and what arrived stays."""
    monkeypatch.setattr(transfer, "WAITS", (0, 0))
    spool = tmp_path / "spool"
    spool.write_bytes(CIPHERTEXT)
    api = Parts(False, True, True, True)
    with pytest.raises(Unreachable):
        await send(api, spool)
    assert (api.put, set(api.have)) == ([0, 1, 1, 1], {0})


async def test_a_part_that_changed_on_the_disk_stays_here(tmp_path: Path) -> None:
    """One byte of the last part is another, or the file is shorter: that part is not sent."""
    spool = tmp_path / "spool"
    for damaged in (CIPHERTEXT[:-1] + b"\xff", CIPHERTEXT[:-1]):
        spool.write_bytes(damaged)
        api = Parts()
        with pytest.raises(Damaged):
            await send(api, spool)
        assert api.put == [0, 1]
