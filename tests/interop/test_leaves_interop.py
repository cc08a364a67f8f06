"""A file of a keeper's leaves, read by the server's reader and by one written from the format's page."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.checkpoint import Checkpoint, sign_checkpoint
from crypto.errors import Malformed
from crypto.merkle import Frontier, leaf_hash, root_of
from crypto.signing import SigningKey
from crypto.tiles import HEIGHT
from tests.interop import leaves_second as second
from vault_server import leaves_file

KEY = SigningKey.generate()
LEAVES = [bytes([1]) + bytes([n % 256, n // 256]) * 48 for n in range(700)]
HASHES = [root_of([leaf_hash(leaf) for leaf in LEAVES[at : at + 256]]) for at in (0, 256)]

Read = list[tuple[bytes, list[bytes], list[bytes]]]


def head(origin: str, leaves: list[bytes]) -> bytes:
    """A signed head of leaves."""
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    return sign_checkpoint(Checkpoint(origin, len(leaves), root), KEY)


CONTENT: Read = [
    (head("a.example/log", LEAVES[:300]), [], LEAVES[:300]),
    (head("b.example/log", LEAVES), HASHES, LEAVES[512:]),
    (head("c.example/log", []), [], []),
]


def written(content: Read) -> bytes:
    """A file of ``content``."""
    file = io.BytesIO()
    writer = leaves_file.LeavesWriter(file)
    for note, hashes, leaves in content:
        writer.add(note, 256 * len(hashes), hashes, leaves)
    writer.close()
    return file.getvalue()


def read(data: bytes) -> Read:
    """What the server's reader finds. Raises Malformed."""
    return [
        (log.note, [*log.subtrees()], [leaf for leaves in log.leaves() for leaf in leaves])
        for log in leaves_file.logs(io.BytesIO(data), Path("a file"))
    ]


def test_both_readers_find_the_same() -> None:
    """Every log, with its checkpoint, its hashes and leaves; these have the root of their head by either tree."""
    data = written(CONTENT)
    assert read(data) == second.logs(data) == CONTENT
    for note, hashes, leaves in CONTENT:
        frontier = Frontier()
        for each in hashes:
            frontier.append_subtree(each, HEIGHT)
        for leaf in leaves:
            frontier.append(leaf_hash(leaf))
        shown = Checkpoint.parse(note.decode().partition("\n\n")[0] + "\n")
        assert second.root(hashes, leaves) == frontier.root() == shown.root


@given(st.data())
def test_no_byte_can_be_changed_or_left_out(data: st.DataObject) -> None:
    """Wherever a byte is changed, or the file ends too early or too late, both readers refuse it."""
    whole = written(CONTENT[:1])
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for changed in (flipped, whole[:at], whole + b"\0"):
        with pytest.raises(Malformed):
            read(changed)
        with pytest.raises(ValueError, match=r".*"):
            second.logs(changed)


@pytest.mark.parametrize(
    "content",
    [CONTENT[::-1], [CONTENT[0], CONTENT[0]], [(CONTENT[0][0], [bytes(32)] * 2, [])]],
    ids=["falling", "twice", "beyond"],
)
def test_both_refuse_what_is_in_no_order(content: Read) -> None:
    """Logs out of order or twice, and hashes beyond the head, are refused although the SHA-256 is right."""
    data = written(content)
    with pytest.raises(Malformed):
        read(data)
    with pytest.raises(ValueError, match=r".*"):
        second.logs(data)
