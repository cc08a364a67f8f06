"""Padding: exact, bounded, and in one form."""

import math

import pytest

from crypto.errors import CannotOpen
from crypto.padding import pad_record, padded_length, padme, unpad_record


def by_the_paper(length: int) -> int:
    """Padmé as PoPETs 2019 writes it, with logarithms."""
    if length < 2:
        return length
    exponent = math.floor(math.log2(length))
    bits = math.floor(math.log2(exponent)) + 1 if exponent else 0
    last = max(0, exponent - bits)
    return math.ceil(length / 2**last) * 2**last


def test_padme_is_the_papers():
    """Up to 70,000, and around every power of two up to a terabyte, lengths are those of the published formula."""
    lengths = [*range(70_000), *(2**power + step for power in range(17, 41) for step in (-1, 0, 1))]
    assert [padme(length) for length in lengths] == [by_the_paper(length) for length in lengths]


def test_padme_costs_at_most_twelve_percent():
    """It never shortens, is its own fixed point, grows with the length, and adds at most 12 %."""
    padded = [padme(length) for length in range(1, 50_000)]
    assert all(length <= to <= length * 1.12 for length, to in enumerate(padded, 1))
    assert padded == sorted(padded)
    assert all(padme(to) == to for to in padded)


@pytest.mark.parametrize(
    ("length", "to"), [(0, 4096), (1, 4096), (4096, 4096), (4097, 4352), (65537, 67584), (300000, 303104)]
)
def test_documents_have_a_floor(length, to):
    """A document is never shown to be smaller than 4 KiB; the examples are those of the format page."""
    assert padded_length(length) == to


@pytest.mark.parametrize("length", [0, 1, 251, 252, 253, 256, 300, 1000, 5000])
def test_a_record_comes_back(length):
    """A record is framed, padded to at least 256 bytes, and comes back."""
    padded = pad_record(b"r" * length)
    assert unpad_record(padded) == b"r" * length
    assert len(padded) == max(256, padme(length + 4))


def test_a_record_has_one_padded_form():
    """Too short, too long, with something in the padding, or with a length that does not fit: refused."""
    padded = pad_record(b"record")
    assert unpad_record(padded) == b"record"
    wrong = [
        b"",
        b"\0\0\0",
        padded[:-1],
        padded + b"\0",
        padded[:-1] + b"\1",
        padded[:10] + b"\1" + padded[11:],
        (300).to_bytes(4, "big") + padded[4:],
        (2**32 - 1).to_bytes(4, "big") + padded[4:],
        pad_record(b"record" * 60)[:256],
        padded.ljust(272, b"\0"),
    ]
    for each in wrong:
        with pytest.raises(CannotOpen):
            unpad_record(each)
