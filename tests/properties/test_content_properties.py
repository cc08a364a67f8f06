"""Properties of sealed content and its geometry."""

from cryptography.cobblestone import Cobblestone256Decryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import pieces
from crypto.errors import CannotOpen, Malformed
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes

near_a_boundary = st.builds(
    lambda chunks, offset: max(0, chunks * pieces.CHUNK + offset), st.integers(0, 9), st.integers(-2, 2)
)
lengths = st.one_of(st.integers(0, 300), near_a_boundary)
keys = st.binary(min_size=32, max_size=32)


@settings(max_examples=60, deadline=None)
@given(keys, st.binary(max_size=200), lengths, st.binary(min_size=1, max_size=64))
def test_round_trip_and_agreement(key: bytes, context: bytes, length: int, pattern: bytes) -> None:
    """Any content under any key and context comes back, here and from the implementation by other hands."""
    plaintext = (pattern * (length // len(pattern) + 1))[:length]
    ciphertext = content.seal(SecretBytes(key), context, plaintext)
    assert content.open(SecretBytes(key), context, ciphertext) == plaintext
    elsewhere = Cobblestone256Decryptor(key, context)
    assert elsewhere.update(ciphertext) + elsewhere.finalize() == plaintext


@settings(max_examples=100, deadline=None)
@given(keys, lengths, st.data())
def test_one_changed_byte_is_refused(key: bytes, length: int, data: st.DataObject) -> None:
    """No byte of a ciphertext can be changed to any other."""
    ciphertext = bytearray(content.seal(SecretBytes(key), b"context", bytes(length)))
    place = data.draw(st.integers(0, len(ciphertext) - 1))
    ciphertext[place] ^= data.draw(st.integers(1, 255))
    try:
        content.open(SecretBytes(key), b"context", bytes(ciphertext))
    except CannotOpen:
        return
    raise AssertionError(f"byte {place} of {len(ciphertext)} could be changed")


@given(st.integers(-100, 1 << 53))
def test_a_length_is_refused_or_belongs_to_one_content(length: int) -> None:
    """Whatever length is accepted is the length that its content gives again."""
    try:
        plain = pieces.plaintext_length(length)
    except Malformed:
        return
    assert pieces.ciphertext_length(plain) == length


@given(st.integers(0, 1 << 45))
def test_every_content_has_a_ciphertext_length(length: int) -> None:
    """Lengths go back and forth, and the pieces and parts of that length end where it ends."""
    total = pieces.ciphertext_length(length)
    assert pieces.plaintext_length(total) == length
    assert pieces.piece_slice(pieces.piece_count(total) - 1, total).stop == total
    last_part = pieces.part_slice(pieces.part_count(total) - 1, total)
    assert last_part.start < last_part.stop == total
