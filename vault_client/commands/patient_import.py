"""``coffre patient``: an export taken into a new record, and the earlier record it goes on from."""

from argparse import Namespace
from typing import TYPE_CHECKING

from languages.catalogue import spoken
from vault_client.commands.names import short
from vault_client.commands.output import Screen, amount, counted, day, moment, several
from vault_client.commands.titles import called

if TYPE_CHECKING:
    from vault_client.export_check import CheckedExport
    from vault_client.patient import Patient

# What people read
ENROLLED = (
    "The new record is founded, and says that it goes on from the exported one. Its profile is in {folder}."
)
UNBELIEVABLE = (
    "The export is not signed by a holder of its record, or its changes do not hold. Nothing was imported. Use another "
    "copy of it."
)
REALLY = (
    "The export is not whole: see above. {count} cannot be imported and will be missing from the new record; all others "
    "can."
)
TAKEN = "Imported {id}  {title} ({size})"
DONE = "The record has {count} of the export. Its earlier log: coffre patient history"
LEFT_OUT = "{count} could not be imported: missing or changed in the export."
UNSURE = "The import was cut off. Repeat the same command: it goes on where it stopped."
GRANTS = "Grants are not carried over. These were in force; whoever shall read here must be authorised anew:"
NO_HISTORY = "This record does not go on from an earlier one. There is nothing to show."
HISTORY = (
    "The earlier record {vault} as its export of {time} UTC shows it: {entries}, checked again just now, without a "
    "server."
)
NOT_HELD = "The earlier record does not hold: see above. Keep the export it came from."


async def import_record(arguments: Namespace, screen: Screen) -> None:
    """Found a record that goes on from an export, and add its documents; or go on with an import that was cut off."""
    from crypto.errors import NotProven
    from vault_client.commands.confirmation import confirm
    from vault_client.commands.enrolment import enrolled
    from vault_client.commands.patient_export import looked_at, show_alarms, show_findings, show_root
    from vault_client.commands.profiles import folder, patient
    from vault_client.commands.secrets_input import note_vault
    from vault_client.commands.trust_line import show_trust
    from vault_client.importing import continuation, left_out
    from vault_client.patient import Patient
    from vault_client.spool import SPOOL

    checked = await looked_at(screen, arguments.folder)
    show_alarms(screen, checked)
    show_findings(screen, checked)
    show_root(screen, checked)
    if not checked.is_signed:
        raise NotProven(UNBELIEVABLE)
    if checked.findings:
        confirm(arguments, REALLY.format(count=counted(left_out(checked), "document")))
    if (folder(arguments) / SPOOL).exists():
        async with patient(arguments, screen) as (record, _):
            await _take_in(arguments, screen, record, checked)
            show_trust(screen, record.service)
        return
    person = checked.manifest.person
    async with enrolled(
        arguments,
        screen,
        Patient,
        ENROLLED,
        person=person.name if person is not None else "",
        continues=continuation(checked),
    ) as record:
        screen.result["vault"] = record.vault.hex()
        if arguments.kit is not None:
            note_vault(arguments.kit, record.vault)
        await _take_in(arguments, screen, record, checked)


async def history(arguments: Namespace, screen: Screen) -> None:
    """The log of the record that this one goes on from, checked once more."""
    from crypto.errors import NotProven
    from vault_client.commands.alarm_lines import YOU
    from vault_client.commands.patient_export import described, show_alarms, show_findings
    from vault_client.commands.patient_log import deed
    from vault_client.commands.profiles import patient
    from vault_client.export_files import FolderFiles

    async with patient(arguments, screen) as (record, _):
        checked = record.history(FolderFiles(arguments.folder) if arguments.folder is not None else None)
        if checked is None:
            screen.result["history"] = None
            screen.say(NO_HISTORY)
            return
        titles, deleted = _titles(checked), _deleted(checked)
        screen.result["history"] = described(checked)
        screen.result["entries"] = [
            {
                "index": entry.index,
                "time": entry.time,
                "kind": entry.kind,
                "act": entry.act,
                "identity": entry.identity.hex() if entry.identity is not None else None,
                "name": entry.name,
                "documents": [doc.hex() for doc in entry.documents],
                "text": ", ".join(entry.changes),
            }
            for entry in checked.entries
        ]
        rows = [
            (
                str(number),
                moment(entry.time),
                spoken(YOU)
                if entry.kind == "change"
                else entry.name or (short(entry.identity) if entry.identity else ""),
                deed(entry),
                several([called(doc, titles, deleted) for doc in entry.documents if entry.act != "list"]),
            )
            for number, entry in enumerate(checked.entries, 1)
        ]
        screen.table(("", "When (UTC)", "Who", "What", "Documents"), rows)
        show_alarms(screen, checked)
        show_findings(screen, checked)
        manifest = checked.manifest
        entries = counted(len(checked.entries), "entry", "entries")
        if checked.findings:
            raise NotProven(NOT_HELD)
        screen.say(HISTORY.format(vault=short(manifest.vault), time=moment(manifest.time), entries=entries))


async def _take_in(arguments: Namespace, screen: Screen, record: "Patient", checked: "CheckedExport") -> None:
    from vault_client.export_files import FolderFiles
    from vault_client.importing import grants_in_force, left_out, to_import

    files = FolderFiles(arguments.folder)
    added = screen.result["documents"] = []
    with screen.unless_done(lambda: UNSURE):
        async for document in record.take_in(checked, files, screen.progress):
            descriptor = document.descriptor
            added.append({"id": document.doc.hex(), "title": descriptor.title, "masked": document.masked})
            size = amount(descriptor.length)
            screen.say(TAKEN.format(id=short(document.doc), title=descriptor.title, size=size))
    screen.say(DONE.format(count=counted(sum(1 for _ in to_import(checked)), "document")))
    screen.result["left_out"] = left_out(checked)
    if screen.result["left_out"]:
        screen.say(LEFT_OUT.format(count=counted(screen.result["left_out"], "document")))
    grants, titles = grants_in_force(checked, record.service.now()), _titles(checked)
    screen.result["grants"] = [
        {
            "recipient": grant.recipient.hex(),
            "subject": grant.subject,
            "name": grant.name,
            "documents": [titles.get(doc, "") for doc in grant.documents],
        }
        for grant in grants
    ]
    if grants:
        screen.say(GRANTS)
        screen.table(
            ("Name", "Subject", "Until", "Documents"),
            [
                (
                    grant.name or short(grant.recipient),
                    grant.subject,
                    day(grant.expiry) if grant.expiry is not None else "",
                    several([called(doc, titles, _deleted(checked)) for doc in grant.documents]),
                )
                for grant in grants
            ],
        )


def _deleted(checked: "CheckedExport") -> dict[bytes, str]:
    """The documents that were deleted. An export has nothing of them: their titles neither."""
    return {document.doc: "" for document in checked.manifest.documents if document.deleted}


def _titles(checked: "CheckedExport") -> dict[bytes, str]:
    from crypto.exports import versions

    return {
        document.doc: version.descriptor.title
        for document, version in versions(checked.manifest.documents)
        if version.descriptor is not None
    }
