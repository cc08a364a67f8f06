"""Padding that hides exact sizes (Padmé, PoPETs 2019, section 4).

Documents are padded with zeros to the Padmé length with a floor of 4 KiB. Records (descriptors, listings, openings)
are framed: four bytes of length, the record, zeros up to the Padmé length with a floor of 256 bytes. What is opened
must be padded exactly so; anything else is refused, which leaves one ciphertext length per plaintext length.
"""

from crypto.errors import CannotOpen

DOCUMENT_FLOOR = 4096
RECORD_FLOOR = 256


def padme(length: int) -> int:
    """The Padmé length of ``length`` bytes: at most 12 % more, leaking O(log log n) bits."""
    if not length:
        return 0
    exponent = length.bit_length() - 1
    mantissa_bits = exponent.bit_length()
    mask = (1 << (exponent - mantissa_bits)) - 1
    return (length + mask) & ~mask


def padded_length(length: int) -> int:
    """How many bytes a document of ``length`` bytes has once padded."""
    return max(DOCUMENT_FLOOR, padme(length))


def pad_record(record: bytes) -> bytes:
    """Frame and pad one small record."""
    framed = len(record).to_bytes(4, "big") + record
    return framed.ljust(max(RECORD_FLOOR, padme(len(framed))), b"\0")


def unpad_record(padded: bytes) -> bytes:
    """The record inside ``padded``. Raises CannotOpen unless it is padded exactly as ``pad_record`` does."""
    length = int.from_bytes(padded[:4], "big")
    record = padded[4 : 4 + length]
    if pad_record(record) != padded:
        raise CannotOpen("A sealed record")
    return record
