"""How documents that were granted are listed, named and described."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from languages.written import day as written_day
from vault_client.commands.names import short
from vault_client.commands.output import amount, day

if TYPE_CHECKING:
    from vault_client.granted_document import GrantedDocument
    from vault_client.practitioner import Practitioner

# The list whose numbers can be typed.
GRANTED: Final = "granted"


def newest(documents: "Sequence[GrantedDocument]") -> "list[GrantedDocument]":
    """One entry for each document: a document of several grants is opened by the one listed last."""
    ordered = sorted(documents, key=lambda each: (each.listed, each.gid))
    return list({name_of(each): each for each in ordered}.values())


def in_order(documents: "Sequence[GrantedDocument]") -> "list[GrantedDocument]":
    """Newest first, then by title."""
    by_title = sorted(documents, key=lambda each: (each.document.title, each.document.doc))
    return sorted(by_title, key=lambda each: each.document.date, reverse=True)


def name_of(granted: "GrantedDocument") -> bytes:
    """What names a document here: its id, then its record's, since whoever knows an id can use it in another record."""
    return granted.document.doc + granted.vault


def row(reader: "Practitioner", number: int, granted: "GrantedDocument") -> tuple[str, ...]:
    """A document as a list shows it."""
    document = granted.document
    return (
        str(number),
        short(document.doc),
        short(granted.vault),
        written_day(document.date),
        document.category,
        document.title,
        amount(document.length),
        day(reader.grants.get(granted.gid).state.event.expiry),
    )


def described(granted: "GrantedDocument") -> dict[str, Any]:
    """A document for programs."""
    document = granted.document
    return {
        "id": document.doc.hex(),
        "version": document.ver.hex(),
        "record": granted.vault.hex(),
        "person": granted.person or None,
        "grant": granted.gid.hex(),
        "title": document.title,
        "category": document.category,
        "mime": document.mime,
        "date": document.date,
        "bytes": document.length,
    }
