"""What a document is called: descriptors for the patient, listings for those it is granted to.

Both are sealed like documents, framed and padded. A descriptor's key comes from the document key, so destroying one
wrap destroys both; a listing is a document of its own, with its own key, row and release.
"""

from typing import Annotated

import msgspec

from crypto import labels
from crypto.derivation import derive
from crypto.encoding import Body, Bytes16, Natural, ShortText, decode, encode, pae
from crypto.padding import pad_record, unpad_record
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import Person

MAX_LISTING = 1 << 26

Label = Annotated[str, msgspec.Meta(max_length=256)]
Date = Annotated[str, msgspec.Meta(pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")]


class Descriptor(Body, frozen=True):
    """Title, category, author, MIME type, date (``YYYY-MM-DD``) and true length of one document version.

    ``author`` is empty for what the patient adds; an adopted deposit has its author's name.
    """

    title: ShortText
    category: Label
    author: Label
    mime: Label
    date: Date
    length: Natural


class ListedDocument(Body, frozen=True, array_like=True):
    """One line of a listing: a descriptor with the ids it belongs to. Written as a JSON array, to be short."""

    doc: Bytes16
    ver: Bytes16
    title: ShortText
    category: Label
    author: Label
    mime: Label
    date: Date
    length: Natural


class ListingBody(Body, frozen=True):
    """Who the record is about, as the patient says, and the documents of one grant event in the order of its rows.

    ``person`` is nobody's word but the patient's, and is to be checked against the genesis (``check_person``).
    """

    person: Person | None
    documents: tuple[ListedDocument, ...]


def document_context(vault: bytes, doc: bytes, ver: bytes) -> bytes:
    """The Cobblestone context of a document's content."""
    return pae(labels.DOCUMENT, vault, doc, ver)


def listing_context(vault: bytes, gid: bytes, doc: bytes, ver: bytes) -> bytes:
    """The Cobblestone context of a sealed listing."""
    return pae(labels.LISTING, vault, gid, doc, ver)


def descriptor_context(vault: bytes, doc: bytes, ver: bytes) -> bytes:
    """The Cobblestone context of a sealed descriptor, and the purpose of its key."""
    return pae(labels.DESCRIPTOR, vault, doc, ver)


def descriptor_key(document_key: SecretBytes, context: bytes) -> SecretBytes:
    """The key of a descriptor, derived from the document key for the ``descriptor_context``."""
    return SecretBytes(derive(document_key.reveal(), context))


def descriptor_record(descriptor: Descriptor) -> bytes:
    """A descriptor framed and padded, ready to be sealed."""
    return pad_record(encode(descriptor))


def read_descriptor(record: bytes) -> Descriptor:
    """A descriptor out of an opened record."""
    return decode(unpad_record(record), Descriptor)


def listing_record(listing: ListingBody) -> bytes:
    """A listing framed and padded, ready to be sealed."""
    return pad_record(encode(listing))


def read_listing(record: bytes) -> ListingBody:
    """A listing out of an opened record."""
    return decode(unpad_record(record), ListingBody, limit=MAX_LISTING)
