"""Two implementations of docs/format/content.md open what the other made and agree on roots and parts."""

import os
from pathlib import Path

import pytest

from crypto import labels, padding, pieces
from crypto.encoding import pae
from crypto.errors import CannotOpen
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from tests.interop import content_second as second
from vault_client import ciphertext_spool

KEY = os.urandom(32)
IDS = (os.urandom(16), b"", os.urandom(32))
CONTEXT = pae(labels.DOCUMENT, *IDS)
LENGTHS = [0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 262144, 300_000]


def test_the_context_is_encoded_alike() -> None:
    """Both encode a label and ids to the same bytes, which are those of the page's example."""
    assert second.pae(labels.DOCUMENT.encode(), *IDS) == CONTEXT
    assert pae("coffre-1/document", b"\0\1") == b"DSSEv1 17 coffre-1/document 2 \0\1"


def test_padded_lengths_agree() -> None:
    """Both pad every length alike, and as the page's examples say."""
    lengths = [
        *range(5000),
        *(base + offset for base in (65536, 1 << 20, 1 << 31) for offset in range(-2, 3)),
    ]
    assert [second.padded_length(n) for n in lengths] == [padding.padded_length(n) for n in lengths]
    examples = {0: 4096, 4096: 4096, 4097: 4352, 65537: 67584, 300_000: 303_104}
    assert {n: second.padded_length(n) for n in examples} == examples


@pytest.mark.parametrize("length", LENGTHS)
def test_each_opens_what_the_other_made(length: int) -> None:
    """Documents sealed by either open in both, and under one salt both make the same bytes."""
    document = os.urandom(length)
    ours = content.seal_document(SecretBytes(KEY), CONTEXT, document)
    theirs = second.encrypt_document(KEY, CONTEXT, ours[:24], document)
    assert theirs == ours
    root = second.ct_root(ours)
    assert pieces.ct_root(ours) == root
    assert second.open_document(KEY, CONTEXT, ours, root, length) == document
    other = second.encrypt_document(KEY, CONTEXT, os.urandom(24), document)
    assert content.open_document(SecretBytes(KEY), CONTEXT, other, length) == document


@pytest.mark.parametrize("length", [0, 70_000, 128 * 65536 - 1, 128 * 65536, 129 * 65536 + 9])
def test_files_agree_with_the_page(tmp_path: Path, length: int) -> None:
    """A file sealed by threads is the ciphertext of the page, root and parts included, also above one part."""
    document = os.urandom(length)
    (tmp_path / "plain").write_bytes(document)
    sealed = ciphertext_spool.encrypt_file(
        tmp_path / "plain", tmp_path / "sealed", key=SecretBytes(KEY), context=CONTEXT
    )
    ciphertext = (tmp_path / "sealed").read_bytes()
    assert sealed.ct_root == second.ct_root(ciphertext)
    assert list(sealed.part_hashes) == second.part_hashes(ciphertext)
    assert second.mth(list(sealed.part_hashes)) == sealed.ct_root
    assert second.open_document(KEY, CONTEXT, ciphertext, sealed.ct_root, length) == document


@pytest.mark.parametrize("length", [0, 56, 71, 72 + 16400 - 16, 56 + 2 * 16400 + 15])
def test_both_refuse_lengths_that_no_ciphertext_has(length: int) -> None:
    """What one refuses for its length, the other refuses too."""
    with pytest.raises(second.RefusedError):
        second.decrypt(KEY, CONTEXT, bytes(length))
    with pytest.raises(CannotOpen):
        content.open(SecretBytes(KEY), CONTEXT, bytes(length))
