"""``coffre patient``: the documents of the record."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from languages.written import day, label
from vault_client.commands.names import pick, remember, short
from vault_client.commands.output import Screen, Usage, amount, counted
from vault_client.commands.patient_queue import show_waiting, unless_kept

if TYPE_CHECKING:
    from vault_client.patient import Patient, PatientDocument

DOCUMENTS = "documents"

# What people read
ADDED = "Added {id}  {title} ({size})"
SO_FAR = "Known to be added: {done} of {count}."
REALLY_DELETE = "{title} will be deleted for ever."
NO_DOCUMENTS = "There is no document in this record yet. Add one: coffre patient add FILE"
WRITTEN = "{title} was verified and written to {path}."
MASKED = "{title} is left out of every new grant, and the service hands it to nobody. Only to take it out of a grant, or to end that grant, is certain: withdraw, revoke."
UNMASKED = "{title} may be granted, and opened by those who were granted it, again."
DELETED = "{title} is deleted for ever."
REMAINS = (
    "An honest service destroys it at once. What stays of it in the public log: {count} of 97 bytes, random to whoever has "
    "no key of yours. Entry {index} is: {leaf}"
)
ERASABLE = "To have the traces of its readings erased too: coffre patient erase --document {id}"
KEPT = "What came of the document stays for {days} days: the same command goes on from there."
NOT_HERE = "There was no room to keep a copy on this device: without the server it cannot be opened."
GONE = "This document is no longer in the record. Nothing was done. Show the list again."
IS_MASKED, IS_HERE = "masked from others", "on this device"


async def add_files(arguments: Namespace, screen: Screen) -> None:
    """Add files one after the other, once all were looked at; those before a refusal stay.

    When nobody answers, each is encrypted and kept on this device.
    """
    from crypto.errors import Unreachable
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust
    from vault_client.file_description import check_source

    for path in arguments.files:
        check_source(path)
    added = screen.result["documents"] = []
    async with patient(arguments, screen) as (record, _):
        kept: Unreachable | None = None
        try:
            for path in arguments.files:
                try:
                    with screen.progress(path.name) as progress, unless_kept(screen, record):
                        document = await record.add(path, progress=progress)
                except Unreachable as error:  # the others can wait on this device as well
                    kept = error
                    continue
                added.append(_described(document))
                title, size = document.descriptor.title, amount(document.descriptor.length)
                screen.say(ADDED.format(id=short(document.doc), title=title, size=size))
        finally:
            if len(added) < len(arguments.files):
                screen.aside(SO_FAR.format(done=len(added), count=len(arguments.files)))
        if kept is not None:
            raise kept
        show_trust(screen, record.service)


async def list_documents(arguments: Namespace, screen: Screen) -> None:
    """The documents, newest first."""
    from vault_client.commands.profiles import patient, synced
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        await synced(record, screen)
        documents = sorted(record.documents(), key=lambda each: (each.descriptor.title, each.doc))
        documents.sort(key=lambda each: each.descriptor.date, reverse=True)
        remember(store, DOCUMENTS, (document.doc for document in documents))
        screen.result["documents"] = [_described(document) for document in documents]
        if not documents:
            screen.say(NO_DOCUMENTS)
        else:
            screen.table(
                ("", "Id", "Date", "Category", "Title", "Size", "State"),
                [_row(number, document) for number, document in enumerate(documents, 1)],
            )
        show_waiting(screen, record, store)
        show_trust(screen, record.service)


async def show(arguments: Namespace, screen: Screen) -> None:
    """One document, as its descriptor has it."""
    from vault_client.commands.profiles import note_offline, patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, document_ids(record)))
        screen.result |= _described(document)
        descriptor = document.descriptor
        lines = {
            "Title": descriptor.title,
            "Category": descriptor.category,
            "Date": day(descriptor.date),
            "Type": descriptor.mime,
            "Size": amount(descriptor.length),
            "Id": document.doc.hex(),
            "Masked from others": spoken("yes" if document.masked else "no"),
            "On this device": spoken("yes" if document.here else "no"),
        }
        shown = {label(spoken(name)): value for name, value in lines.items()}
        for name, value in shown.items():
            screen.say(f"{name:<{max(map(len, shown))}} {value}")
        note_offline(screen, record, is_away=record.service.is_offline)
        show_trust(screen, record.service)


async def get(arguments: Namespace, screen: Screen) -> None:
    """A document into a file that is not there yet."""
    from vault_client.commands.profiles import check_free, note_offline, patient
    from vault_client.commands.trust_line import show_trust
    from vault_client.spool import KEPT_DAYS

    check_free(arguments.output)
    async with patient(arguments, screen) as (record, store):
        doc = pick(store, DOCUMENTS, arguments.document, document_ids(record))
        with (
            screen.progress(arguments.output.name) as progress,
            screen.if_stopped(KEPT.format(days=KEPT_DAYS)),
        ):
            document = await record.get(doc, arguments.output, progress=progress)
        screen.result |= {**_described(document), "path": str(arguments.output)}
        screen.say(WRITTEN.format(title=document.descriptor.title, path=arguments.output))
        if not document.here:
            screen.say(NOT_HERE)
        note_offline(screen, record, is_away=record.service.is_offline)
        show_trust(screen, record.service)


async def mask(arguments: Namespace, screen: Screen) -> None:
    """Leave a document out of every new grant."""
    await _mask(arguments, screen, masked=True)


async def unmask(arguments: Namespace, screen: Screen) -> None:
    """Allow a document to be granted again."""
    await _mask(arguments, screen, masked=False)


async def delete(arguments: Namespace, screen: Screen) -> None:
    """Delete a document for ever."""
    from vault_client.commands.confirmation import check_answerable, confirm
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    check_answerable(arguments)
    async with patient(arguments, screen) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, document_ids(record)))
        confirm(arguments, REALLY_DELETE.format(title=document.descriptor.title))
        with unless_kept(screen, record):
            await record.delete(document.doc)
        screen.result |= _described(document)
        screen.say(DELETED.format(title=document.descriptor.title))
        await _show_remains(screen, record, document.doc)
        show_trust(screen, record.service)


async def _show_remains(screen: Screen, record: "Patient", doc: bytes) -> None:
    """What stays in the log, with one entry as anybody can see it."""
    from contextlib import suppress

    from crypto.errors import Unreachable
    from vault_client.audit_erasures import READINGS
    from vault_client.remains import remains_of

    report = record.last_log()
    if report is None:
        return
    with suppress(Unreachable):  # the document is deleted all the same
        remains = await remains_of(record.service, record.replica.origin, report, doc)
        if remains is not None:
            count = counted(remains.entries, "entry", "entries")
            screen.result["remains"] = {
                "entries": remains.entries,
                "index": remains.index,
                "leaf": remains.leaf.hex(),
            }
            screen.say(REMAINS.format(count=count, index=remains.index, leaf=remains.leaf.hex()))
            if any(entry.kind in READINGS and doc in entry.documents for entry in report.entries):
                screen.say(ERASABLE.format(id=short(doc)))


async def _mask(arguments: Namespace, screen: Screen, *, masked: bool) -> None:
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, document_ids(record)))
        with unless_kept(screen, record):
            await record.mask(document.doc, masked=masked)
        screen.result |= {**_described(document), "masked": masked}
        screen.say((MASKED if masked else UNMASKED).format(title=document.descriptor.title))
        show_trust(screen, record.service)


def document_ids(record: "Patient") -> list[bytes]:
    """The ids a document may be named by."""
    return [document.doc for document in record.documents()]


def _document(record: "Patient", doc: bytes) -> "PatientDocument":
    for document in record.documents():
        if document.doc == doc:
            return document
    raise Usage(GONE)


def _described(document: "PatientDocument") -> dict[str, Any]:
    descriptor = document.descriptor
    return {
        "id": document.doc.hex(),
        "version": document.ver.hex(),
        "title": descriptor.title,
        "category": descriptor.category,
        "mime": descriptor.mime,
        "date": descriptor.date,
        "bytes": descriptor.length,
        "masked": document.masked,
        "here": document.here,
    }


def _row(number: int, document: "PatientDocument") -> Sequence[str]:
    descriptor = document.descriptor
    states = ((spoken(IS_MASKED), document.masked), (spoken(IS_HERE), document.here))
    return (
        str(number),
        short(document.doc),
        day(descriptor.date),
        descriptor.category,
        descriptor.title,
        amount(descriptor.length),
        ", ".join(state for state, holds in states if holds),
    )
