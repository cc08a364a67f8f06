"""Descriptors and listings as records."""

import pytest

from crypto.descriptors import (
    Descriptor,
    ListedDocument,
    ListingBody,
    descriptor_context,
    descriptor_key,
    descriptor_record,
    document_context,
    listing_context,
    listing_record,
    read_descriptor,
    read_listing,
)
from crypto.errors import CannotOpen, Malformed
from crypto.padding import pad_record
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import Person
from tests.support.people import fresh

DESCRIPTOR = Descriptor(
    title="Analyse de sang",
    category="laboratory",
    author="",
    mime="application/pdf",
    date="2026-03-01",
    length=5,
)

PERSON = Person(salt=bytes(32), name="Camille Exemple")


def line(title: str = "t") -> ListedDocument:
    """One line of a listing."""
    return ListedDocument(
        doc=fresh(16),
        ver=fresh(16),
        title=title,
        category="c",
        author="",
        mime="m",
        date="2026-03-01",
        length=7,
    )


def test_a_descriptor_comes_back():
    """A descriptor survives its record, which is padded so that titles of like length look alike."""
    record = descriptor_record(DESCRIPTOR)
    assert read_descriptor(record) == DESCRIPTOR
    other = Descriptor(
        title="Radio", category="imaging", author="", mime="image/png", date="2026-03-02", length=6
    )
    assert len(descriptor_record(other)) == len(record) == 256


def test_a_listing_comes_back_in_order():
    """A listing of none, one and many documents survives its record, in order."""
    for count in (0, 1, 2000):
        listing = ListingBody(person=PERSON, documents=tuple(line(str(number)) for number in range(count)))
        assert read_listing(listing_record(listing)) == listing


@pytest.mark.parametrize(
    "encoded",
    [
        b'{"person":null,"documents":[{"doc":""}]}',
        b'{"person":null,"documents":[["AAAAAAAAAAAAAAAAAAAAAA==","AAAAAAAAAAAAAAAAAAAAAA==","t","c","","m","2026-03-01",7,8]]}',
        b'{"person":null,"documents":[["AAAAAAAAAAAAAAAAAAAAAA==","AAAAAAAAAAAAAAAAAAAAAA==","t","c","","m","2026-03-01"]]}',
        b'{"person":null,"documents":[["AAAA","AAAAAAAAAAAAAAAAAAAAAA==","t","c","","m","2026-03-01",7]]}',
    ],
    ids=["an object", "a field too many", "a field too few", "a short id"],
)
def test_another_listing_is_refused(encoded):
    """Lines that are not just the eight fields are Malformed."""
    honest = b'{"person":null,"documents":[["AAAAAAAAAAAAAAAAAAAAAA==","AAAAAAAAAAAAAAAAAAAAAA==","t","c","","m","2026-03-01",7]]}'
    assert len(read_listing(pad_record(honest)).documents) == 1
    with pytest.raises(Malformed):
        read_listing(pad_record(encoded))


def test_records_are_not_taken_for_each_other():
    """A descriptor is no listing and a listing no descriptor; bad padding cannot be opened."""
    with pytest.raises(Malformed):
        read_listing(descriptor_record(DESCRIPTOR))
    with pytest.raises(Malformed):
        read_descriptor(listing_record(ListingBody(person=None, documents=())))
    with pytest.raises(CannotOpen):
        read_descriptor(descriptor_record(DESCRIPTOR) + b"\0")


def test_contexts_and_keys_are_apart():
    """Content, descriptor and listing of the same ids have their own contexts; a descriptor's key is not the content's."""
    vault, gid, doc, ver = fresh(), fresh(), fresh(16), fresh(16)
    contexts = {
        document_context(vault, doc, ver),
        descriptor_context(vault, doc, ver),
        listing_context(vault, gid, doc, ver),
        document_context(vault, ver, doc),
        descriptor_context(fresh(), doc, ver),
    }
    assert len(contexts) == 5
    key = SecretBytes.random()
    derived = descriptor_key(key, descriptor_context(vault, doc, ver))
    assert len(derived) == 32
    assert not derived.same_as(key)
    assert not derived.same_as(descriptor_key(key, descriptor_context(vault, ver, doc)))
    assert derived.same_as(descriptor_key(key, descriptor_context(vault, doc, ver)))
