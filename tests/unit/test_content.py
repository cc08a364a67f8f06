"""Sealing and opening content in memory, beside an implementation by other hands."""

import os

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor

from crypto import pieces
from crypto.encoding import pae
from crypto.errors import CannotOpen, Malformed
from crypto.padding import padded_length
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes

KEY = SecretBytes(bytes(range(32)))
CONTEXT = pae("test/content", b"some id")
LENGTHS = [0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 200_000]


def sealed_elsewhere(plaintext: bytes) -> bytes:
    """What the other implementation makes of ``plaintext``."""
    encryptor = Cobblestone256Encryptor(KEY.reveal(), CONTEXT)
    return encryptor.update(plaintext) + encryptor.finalize()


def opened_elsewhere(ciphertext: bytes) -> bytes:
    """What the other implementation opens."""
    decryptor = Cobblestone256Decryptor(KEY.reveal(), CONTEXT)
    return decryptor.update(ciphertext) + decryptor.finalize()


def in_blocks(plaintext: bytes, order: int = 1) -> bytes:
    """``plaintext`` sealed piece by piece, forwards or backwards."""
    sealer = content.Sealer(KEY, CONTEXT)
    ciphertext = bytearray(pieces.ciphertext_length(len(plaintext)))
    ciphertext[: pieces.HEADER] = sealer.header
    target, source = memoryview(ciphertext)[pieces.HEADER :], memoryview(plaintext)
    for piece in range(pieces.piece_count(len(ciphertext)))[::order]:
        start = piece * pieces.PLAIN_PIECE
        sealer.seal_into(piece, source[start : start + pieces.PLAIN_PIECE], target[piece * pieces.PIECE :])
    return bytes(ciphertext)


def refused(key: SecretBytes, context: bytes, ciphertext: bytes) -> str:
    """The message with which ``ciphertext`` is refused."""
    with pytest.raises(CannotOpen) as refusal:
        content.open(key, context, ciphertext)
    return str(refusal.value)


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_opens(length: int) -> None:
    """Content comes back as it was, and its ciphertext has the length of the format."""
    plaintext = os.urandom(length)
    ciphertext = content.seal(KEY, CONTEXT, plaintext)
    assert len(ciphertext) == pieces.ciphertext_length(length)
    assert content.open(KEY, CONTEXT, ciphertext) == plaintext


@pytest.mark.parametrize("length", LENGTHS)
def test_another_implementation_agrees_both_ways(length: int) -> None:
    """The other implementation opens ours, we open its, and under its salt we make the same bytes."""
    plaintext = os.urandom(length)
    theirs = sealed_elsewhere(plaintext)
    assert opened_elsewhere(content.seal(KEY, CONTEXT, plaintext)) == plaintext
    assert content.open(KEY, CONTEXT, theirs) == plaintext
    assert content._seal(KEY, CONTEXT, theirs[: content.SALT], plaintext) == theirs


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("length", LENGTHS)
def test_blocks_make_the_same_ciphertext_in_any_order(length: int, order: int) -> None:
    """Sealed piece by piece, forwards or backwards, content is what the other implementation opens."""
    plaintext = os.urandom(length)
    assert opened_elsewhere(in_blocks(plaintext, order)) == plaintext


def test_a_block_may_hold_several_pieces() -> None:
    """A block of two whole pieces is sealed and opened as they would be one by one."""
    plaintext = os.urandom(3 * pieces.PLAIN_PIECE + 7)
    ciphertext = memoryview(in_blocks(plaintext))
    opener = content.Opener(KEY, CONTEXT, bytes(ciphertext[: pieces.HEADER]))
    block = memoryview(bytearray(2 * pieces.PLAIN_PIECE))
    body = ciphertext[pieces.HEADER :]
    assert opener.open_into(1, body[pieces.PIECE : 3 * pieces.PIECE], block) == len(block)
    assert block == plaintext[pieces.PLAIN_PIECE : 3 * pieces.PLAIN_PIECE]
    assert opener.open_into(3, body[3 * pieces.PIECE :], block) == 7
    assert block[:7] == plaintext[-7:]


def test_a_piece_opens_only_in_its_place() -> None:
    """A piece given under another number is refused, and so is an empty or impossible block."""
    ciphertext = memoryview(in_blocks(os.urandom(2 * pieces.PLAIN_PIECE)))
    opener = content.Opener(KEY, CONTEXT, bytes(ciphertext[: pieces.HEADER]))
    body, plain = ciphertext[pieces.HEADER :], memoryview(bytearray(2 * pieces.PLAIN_PIECE))
    for first_piece, block in (
        (1, body[: pieces.PIECE]),
        (0, body[pieces.PIECE : 2 * pieces.PIECE]),
        (0, body[:0]),
        (0, body[: pieces.SEALED_CHUNK]),
        (0, body[: pieces.SEALED_CHUNK + 15]),
    ):
        with pytest.raises(CannotOpen):
            opener.open_into(first_piece, block, plain)


def test_every_changed_bit_of_a_byte_is_refused_alike() -> None:
    """Whichever byte changes, of salt, commitment, content or tag, the answer is one and the same."""
    ciphertext = content.seal(KEY, CONTEXT, b"a small record")
    answers = {
        refused(KEY, CONTEXT, ciphertext[:place] + bytes([ciphertext[place] ^ bit]) + ciphertext[place + 1 :])
        for place in range(len(ciphertext))
        for bit in (1, 0x80)
    }
    assert len(answers) == 1


def test_every_truncation_and_extension_is_refused() -> None:
    """A ciphertext cut anywhere, or with anything after it, does not open."""
    ciphertext = content.seal(KEY, CONTEXT, b"a small record")
    for length in range(len(ciphertext)):
        refused(KEY, CONTEXT, ciphertext[:length])
    for more in (b"\0", bytes(16), ciphertext[56:], bytes(16400)):
        refused(KEY, CONTEXT, ciphertext + more)


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5])
def test_cutting_whole_chunks_is_refused(kept: int) -> None:
    """Content cut at a chunk, with or without a forged empty end, does not open."""
    ciphertext = content.seal(KEY, CONTEXT, bytes(6 * pieces.CHUNK))
    cut = ciphertext[: pieces.HEADER + kept * pieces.SEALED_CHUNK]
    refused(KEY, CONTEXT, cut)
    refused(KEY, CONTEXT, cut + ciphertext[-pieces.TAG :])


def test_swapped_chunks_and_pieces_are_refused() -> None:
    """Chunks and pieces stay where they were sealed."""
    plaintext = bytes(2 * pieces.PLAIN_PIECE + 5)
    ciphertext = content.seal(KEY, CONTEXT, plaintext)
    header, body = ciphertext[: pieces.HEADER], ciphertext[pieces.HEADER :]
    for size in (pieces.SEALED_CHUNK, pieces.PIECE):
        swapped = header + body[size : 2 * size] + body[:size] + body[2 * size :]
        assert len(swapped) == len(ciphertext)
        refused(KEY, CONTEXT, swapped)


def test_another_key_context_or_header_is_refused_alike() -> None:
    """What was sealed for something else does not open, and the answer does not say why."""
    ciphertext = content.seal(KEY, CONTEXT, b"one")
    other = content.seal(KEY, CONTEXT, b"one")
    answers = {
        refused(SecretBytes(bytes(32)), CONTEXT, ciphertext),
        refused(SecretBytes(KEY.reveal()[:31]), CONTEXT, ciphertext),
        refused(SecretBytes(KEY.reveal() + b"\0"), CONTEXT, ciphertext),
        refused(KEY, CONTEXT + b"\0", ciphertext),
        refused(KEY, b"", ciphertext),
        refused(KEY, CONTEXT, other[: pieces.HEADER] + ciphertext[pieces.HEADER :]),
        refused(KEY, CONTEXT, ciphertext[: content.SALT] + other[content.SALT :]),
    }
    assert len(answers) == 1


def test_no_ciphertext_opens_under_two_keys() -> None:
    """The commitment is what is compared: with the one of another key in its place, nothing is deciphered."""
    ciphertext = content.seal(KEY, CONTEXT, b"one")
    impostor = content._seal(SecretBytes(bytes(32)), CONTEXT, ciphertext[: content.SALT], b"one")
    mixed = impostor[: pieces.HEADER] + ciphertext[pieces.HEADER :]
    refused(KEY, CONTEXT, mixed)
    refused(SecretBytes(bytes(32)), CONTEXT, mixed)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_nothing_is_sealed_under_a_key_of_another_size(size: int) -> None:
    """A content key has 32 bytes."""
    with pytest.raises(Malformed):
        content.seal(SecretBytes(bytes(size)), CONTEXT, b"")
    with pytest.raises(Malformed):
        content.Sealer(SecretBytes(bytes(size)), CONTEXT)


def test_each_sealing_draws_its_own_salt() -> None:
    """The same content under the same key never gives the same bytes."""
    headers = {content.seal(KEY, CONTEXT, b"")[: content.SALT] for _ in range(50)}
    headers |= {content.Sealer(KEY, CONTEXT).header[: content.SALT] for _ in range(50)}
    assert len(headers) == 100


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 5000, 65537])
def test_documents_are_padded_and_unpadded(length: int) -> None:
    """A document comes back without its padding, and its ciphertext shows only the padded length."""
    document = os.urandom(length)
    ciphertext = content.seal_document(KEY, CONTEXT, document)
    assert len(ciphertext) == pieces.ciphertext_length(padded_length(length))
    assert content.open_document(KEY, CONTEXT, ciphertext, length) == document


def test_padding_that_is_not_exactly_right_is_refused() -> None:
    """A byte in the padding, a padding of another length, or another true length: nothing is released."""
    for padded, length in (
        (b"document".ljust(4095, b"\0") + b"\1", 8),
        (b"document\1".ljust(4096, b"\0"), 8),
        (b"document".ljust(4097, b"\0"), 8),
        (b"document", 8),
        (b"document".ljust(4096, b"\0"), 7),
        (b"document".ljust(4096, b"\0"), 4097),
    ):
        ciphertext = content.seal(KEY, CONTEXT, padded)
        with pytest.raises(CannotOpen):
            content.open_document(KEY, CONTEXT, ciphertext, length)


def test_the_same_content_is_sealed_again():
    """With the header of a ciphertext the same comes out, and other content differs; another key's header is refused."""
    plaintext = os.urandom(100_000)
    ciphertext = content.seal(KEY, CONTEXT, plaintext)
    header = ciphertext[: pieces.HEADER]

    def again(data: bytes) -> bytes:
        sealer, target = (
            content.Sealer.again(KEY, CONTEXT, header),
            bytearray(len(ciphertext) - pieces.HEADER),
        )
        for piece in range(pieces.piece_count(len(ciphertext))):
            part = memoryview(data)[piece * pieces.PLAIN_PIECE : (piece + 1) * pieces.PLAIN_PIECE]
            sealer.seal_into(piece, part, memoryview(target)[piece * pieces.PIECE :])
        return sealer.header + bytes(target)

    assert again(plaintext) == ciphertext
    assert again(plaintext[:-1] + bytes([plaintext[-1] ^ 1])) != ciphertext
    for key, context in ((SecretBytes(bytes(32)), CONTEXT), (KEY, CONTEXT + b"x")):
        with pytest.raises(CannotOpen):
            content.Sealer.again(key, context, header)
