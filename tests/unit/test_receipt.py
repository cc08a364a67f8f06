"""Receipts and the request to a cosigner: one text each, and a leaf that is there or is not."""

import base64

import pytest

from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosign, cosignatures, sign_checkpoint
from crypto.errors import BadSignature, Malformed, NotProven, TooLarge
from crypto.merkle import consistency_path, inclusion_path, leaf_hash, root_of
from crypto.receipt import MAX_TEXT, AddCheckpoint, Receipt
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey

ORIGIN = "vault.example/coffre/log/7"
KEY, COSIGNER = (SigningKey(SecretBytes(bytes([number]) * 32)) for number in (1, 2))
LOG = LogKey(ORIGIN, KEY.public)
KEEPER = CosignerKey("keeper.example/one", COSIGNER.public)
LEAVES = [b"leaf %d" % number for number in range(11)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
HEAD = Checkpoint(ORIGIN, len(LEAVES), root_of(HASHES))
NOTE = sign_checkpoint(HEAD, KEY)


def subtree(level, index):
    return root_of(HASHES[index << level : (index + 1) << level])


def receipt_of(index, note=NOTE):
    return Receipt(index, tuple(inclusion_path(index, len(LEAVES), subtree)), note)


RECEIPT = receipt_of(5)
REQUEST = AddCheckpoint(3, tuple(consistency_path(3, len(LEAVES), subtree)), NOTE)


def test_a_receipt_is_the_text_of_tlog_proof():
    """Header, index, one hash a line, an empty line, and the checkpoint byte for byte."""
    head, _, note = RECEIPT.encode().partition(b"\n\n")
    hashes = [base64.b64encode(each) for each in RECEIPT.path]
    assert head.split(b"\n") == [b"c2sp.org/tlog-proof@v1", b"index 5", *hashes]
    assert note == NOTE
    assert Receipt.decode(RECEIPT.encode()) == RECEIPT


def test_a_receipt_shows_its_leaf():
    """Every leaf's receipt is verified, and gives the checkpoint with its cosignatures."""
    note = NOTE + cosign(HEAD, KEEPER.name, COSIGNER, 1_790_000_000)
    for index, leaf in enumerate(LEAVES):
        receipt = Receipt.decode(receipt_of(index, note).encode())
        assert receipt.verify(leaf, LOG) == HEAD
        assert cosignatures(receipt.note, [KEEPER]) == {COSIGNER.public.key_id: 1_790_000_000}


def test_a_receipt_shows_no_other_leaf():
    """Another leaf, another index, another path or another log is refused."""
    with pytest.raises(NotProven):
        RECEIPT.verify(LEAVES[4], LOG)
    with pytest.raises(NotProven):
        RECEIPT.verify(LEAVES[5] + b"\0", LOG)
    for receipt in (
        Receipt(4, RECEIPT.path, NOTE),
        Receipt(11, RECEIPT.path, NOTE),
        Receipt(5, RECEIPT.path[:-1], NOTE),
        Receipt(5, (*RECEIPT.path, bytes(32)), NOTE),
        Receipt(5, RECEIPT.path[::-1], NOTE),
    ):
        with pytest.raises(NotProven):
            receipt.verify(LEAVES[5], LOG)
    with pytest.raises(BadSignature):
        RECEIPT.verify(LEAVES[5], LogKey(ORIGIN, COSIGNER.public))


def test_a_receipt_of_a_single_leaf_has_no_hashes():
    """In a tree of one leaf the path is empty, and so is its place in the text."""
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, HASHES[0]), KEY)
    receipt = Receipt(0, (), note)
    assert receipt.encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note
    assert Receipt.decode(receipt.encode()) == receipt
    receipt.verify(LEAVES[0], LOG)


TEXT = RECEIPT.encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        NOTE,
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        b"\n" + TEXT,
        TEXT[:-1],
        TEXT + b"\n",
        TEXT.replace(b"@v1", b"@v2"),
        TEXT.replace(b"index 5", b"extra AAAA\nindex 5"),
        TEXT.replace(b"index 5", b"index 05"),
        TEXT.replace(b"index 5", b"index  5"),
        TEXT.replace(b"index 5", b"index 5 "),
        TEXT.replace(b"index 5", b"index"),
        TEXT.replace(b"index 5", b"Index 5"),
        TEXT.replace(b"index 5\n", b""),
        TEXT.replace(b"index 5\n", b"index 5\n\n"),
        TEXT.replace(b"index 5", b"index 5\r"),
        TEXT.replace(b"index 5\n", b"index 5\nAAAA\n"),
        TEXT.replace(b"index 5\n", b"index 5\n" + base64.b64encode(bytes(33)) + b"\n"),
        TEXT.replace(b"index 5\n", b"index 5\n " + base64.b64encode(bytes(32)) + b"\n"),
        TEXT.replace(b"index 5\n", b"index 5\n\xff\n"),
    ],
)
def test_no_other_text_is_a_receipt(text):
    """An extra line, a loose number, a loose hash or a missing part is refused."""
    with pytest.raises(Malformed):
        Receipt.decode(text)


def test_a_request_is_the_text_of_tlog_witness():
    """Old size, one hash a line, an empty line, and the checkpoint byte for byte."""
    head, _, note = REQUEST.encode().partition(b"\n\n")
    assert head.split(b"\n") == [b"old 3", *map(base64.b64encode, REQUEST.path)]
    assert note == NOTE
    assert AddCheckpoint.decode(REQUEST.encode()) == REQUEST
    assert AddCheckpoint.decode(b"old 0\n\n" + NOTE) == AddCheckpoint(0, (), NOTE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        NOTE,
        b"\n\n" + NOTE,
        b"old 1\n" + NOTE,
        b"old 01\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old 1_0\n\n" + NOTE,
        b"new 1\n\n" + NOTE,
        b"old 1\nAAAA\n\n" + NOTE,
        b"old 1\n\n" + NOTE[:-1],
        b"old 1\n\n",
        "old ١\n\n".encode() + NOTE,
    ],
)
def test_no_other_text_is_a_request(text):
    """A loose number, a loose hash, or anything that is not a note behind the empty line is refused."""
    with pytest.raises(Malformed):
        AddCheckpoint.decode(text)


def test_texts_are_limited():
    """Sixty-three hashes are read, one more is not; nor is a text above the limit."""
    for text, head in ((RECEIPT, "c2sp.org/tlog-proof@v1\nindex 5\n"), (REQUEST, "old 3\n")):
        line = base64.b64encode(bytes(32)).decode() + "\n"
        assert len(type(text).decode((head + line * 63 + "\n").encode() + NOTE).path) == 63
        with pytest.raises(TooLarge):
            type(text).decode((head + line * 64 + "\n").encode() + NOTE)
        with pytest.raises(TooLarge):
            type(text).decode(bytes(MAX_TEXT + 1))
        with pytest.raises(Malformed):
            type(text).decode(bytes(MAX_TEXT))
