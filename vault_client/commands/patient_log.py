"""``coffre patient log``: the record's log, checked and shown."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.names import short
from vault_client.commands.output import Screen, counted, moment, several
from vault_client.commands.titles import called

if TYPE_CHECKING:
    from vault_client.audit_report import AuditReport, Entry

# What people read
READINGS = {
    "release": "opened",
    "prefetch": "fetched ahead",
    "list": "listed",
    "reopen": "opened again",
    "export": "exported",
}
CHANGES = {
    "founded": "founded the record",
    "added": "added",
    "adopted": "took in",
    "deleted": "deleted",
    "masked": "masked",
    "unmasked": "unmasked",
    "shared": "let {name} open {documents}",
    "ended": "ended grant {grant}",
    "blocked": "blocked someone",
    "unblocked": "unblocked someone",
    "rekeyed": "changed the keys",
    "resealed": "sealed the keys anew",
    "ruled": "changed the rules",
    "described": "changed the profile",
    "summed up": "kept a summary of the record",
}
REFUSED, GRANTED, ENDED = "was refused", "was given grant {grant}", "the end of grant {grant} is in force"
PURPOSES = {"TREAT": "treatment"}
YOU = "You"
UNKNOWN = "unknown"
HOLDS = (
    "{count} of yours among {size} in the log, confirmed by the keepers at {time} UTC. All was checked: each entry holds and follows from "
    "the one before."
)
UNCHECKED = "The log was not checked now."
LAST = "What is shown is what the last check on this device found, up to {time} UTC."
NEVER = "It was never checked on this device."
ALARM = "ALARM {code}: {text}"
ALARMED = (
    "The log does not hold: {alarms}. Keep this profile as it is: it holds the evidence. Do not add "
    "anything more, and ask the operator, or someone you trust, what happened."
)


async def log(arguments: Namespace, screen: Screen) -> None:
    """Read the log, check all of it, show entries and alarms. Alarms end in exit code 1.

    Without the server the last report is shown, dated, and it ends in exit code 3: nothing was checked. One that is
    distrusted is as good as away, and it ends in 1.
    """
    from crypto.errors import NotProven, Unreachable
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, _):
        unchecked: Unreachable | None = None
        try:
            report = await record.log()
        except Unreachable as error:
            last = record.last_log()
            if last is None:
                raise type(error)(f"{error} {UNCHECKED} {NEVER}") from None
            said = LAST.format(time=moment(last.time))
            report, unchecked = last, type(error)(f"{error} {UNCHECKED} {said}")
        titles = {document.doc: document.descriptor.title for document in record.documents()}
        screen.result |= report_object(report)
        columns = ("", "When (UTC)", "Who", "What", "Documents", "Why")
        deleted = record.replica.deleted_titles()
        rows = [_row(entry, titles, deleted, record.own.identity) for entry in report.entries]
        screen.table(columns, [(str(number), *row) for number, row in enumerate(rows, 1)])
        for alarm in report.alarms:
            screen.say(ALARM.format(code=alarm.code, text=alarm.text))
        if not report.alarms and unchecked is None:
            count = counted(len(report.entries), "entry", "entries")
            screen.say(HOLDS.format(count=count, size=report.size, time=moment(report.time)))
        show_trust(screen, record.service)
        if report.alarms:
            alarmed = ALARMED.format(alarms=counted(len(report.alarms), "alarm"))
            raise NotProven(alarmed if unchecked is None else f"{alarmed} {unchecked}")
        if unchecked is not None:
            raise unchecked


def report_object(report: "AuditReport") -> dict[str, Any]:
    """A report for programs."""
    return {
        "entries": [
            {
                "index": entry.index,
                "time": entry.time,
                "kind": entry.kind,
                "act": entry.act,
                "identity": entry.identity.hex() if entry.identity is not None else None,
                "name": entry.name,
                "grant": entry.grant.hex() if entry.grant is not None else None,
                "documents": [doc.hex() for doc in entry.documents],
                "text": ", ".join(entry.changes),
                "purpose": _why(entry, {}),
            }
            for entry in report.entries
        ],
        "alarms": [{"code": alarm.code, "index": alarm.index, "text": alarm.text} for alarm in report.alarms],
        "size": report.size,
        "root": report.root.hex(),
        "time": report.time,
    }


def _row(entry: "Entry", titles: dict[bytes, str], deleted: dict[bytes, str], own: bytes) -> tuple[str, ...]:
    who = spoken(YOU) if entry.identity == own else entry.name
    if not who:
        who = short(entry.identity) if entry.identity is not None else spoken(UNKNOWN)
    # A listing is opened as a document of its own, which the record does not name.
    named = () if entry.act == "list" else entry.documents
    documents = several([called(doc, titles, deleted) for doc in named])
    return (moment(entry.time), who, deed(entry), documents, _why(entry, PURPOSES))


def _why(entry: "Entry", names: dict[str, str]) -> str:
    if entry.purpose is None:
        return ""
    code = entry.purpose.code
    return " · ".join(filter(None, (spoken(names.get(code, code)), entry.purpose.role, entry.purpose.reason)))


def deed(entry: "Entry") -> str:
    """What was done, in plain words."""
    grant = short(entry.grant) if entry.grant is not None else UNKNOWN
    match entry.kind:
        case "access":
            return spoken(READINGS[entry.act])
        case "refused":
            return spoken(REFUSED)
        case "granted":
            return spoken(GRANTED.format(grant=grant))
        case "ended":
            return spoken(ENDED.format(grant=grant))
    name = entry.name or UNKNOWN
    documents = counted(len(entry.documents), "document") if entry.documents else "documents"
    return ", ".join(
        spoken(CHANGES[change].format(name=name, documents=documents, grant=grant))
        for change in entry.changes
    )
