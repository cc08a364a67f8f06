"""``coffre patient log``: the record's log, checked and shown."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from vault_client.commands.names import short
from vault_client.commands.output import Screen, counted, moment

if TYPE_CHECKING:
    from vault_client.audit_report import AuditReport, Entry

NAMED = 3

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
    "ended": "ended what {name} may open",
    "blocked": "blocked someone",
    "unblocked": "unblocked someone",
    "rekeyed": "changed the keys",
    "resealed": "sealed the keys anew",
    "ruled": "changed the rules",
    "described": "changed the profile",
    "summed up": "kept a summary of the record",
}
REFUSED, GRANTED, ENDED = "was refused", "was given the grant", "is granted nothing more"
PURPOSES = {"TREAT": "treatment"}
AND_MORE = ", and {count} more"
YOU = "You"
UNKNOWN = "unknown"
HOLDS = (
    "{count} of yours among {size} in the log, cosigned {time} UTC. All were checked: each holds and follows from "
    "the one before."
)
ALARM = "ALARM {code}: {text}"
ALARMED = (
    "The log does not hold: {alarms}. Keep this profile as it is: it holds the evidence. Do not add "
    "anything more, and ask the operator, or someone you trust, what happened."
)


async def log(arguments: Namespace, screen: Screen) -> None:
    """Read the log, check all of it, show entries and alarms. Alarms end in exit code 1."""
    from crypto.errors import NotProven
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments) as (record, _):
        report = await record.log()
        titles = {document.doc: document.descriptor.title for document in record.documents()}
        screen.result |= report_object(report)
        columns = ("", "When (UTC)", "Who", "What", "Documents", "Why")
        rows = [_row(entry, titles, record.own.identity) for entry in report.entries]
        screen.table(columns, [(str(number), *row) for number, row in enumerate(rows, 1)])
        for alarm in report.alarms:
            screen.say(ALARM.format(code=alarm.code, text=alarm.text))
        if not report.alarms:
            count = counted(len(report.entries), "entry", "entries")
            screen.say(HOLDS.format(count=count, size=report.size, time=moment(report.time)))
        show_trust(screen, record.service)
        if report.alarms:
            raise NotProven(ALARMED.format(alarms=counted(len(report.alarms), "alarm")))


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
                "documents": [doc.hex() for doc in entry.documents],
                "text": entry.text,
                "purpose": entry.purpose,
            }
            for entry in report.entries
        ],
        "alarms": [{"code": alarm.code, "index": alarm.index, "text": alarm.text} for alarm in report.alarms],
        "size": report.size,
        "root": report.root.hex(),
        "time": report.time,
    }


def _row(entry: "Entry", titles: dict[bytes, str], own: bytes) -> tuple[str, ...]:
    who = YOU if entry.identity == own else entry.name
    if not who:
        who = short(entry.identity) if entry.identity is not None else UNKNOWN
    # A listing is opened as a document of its own, which the record does not name.
    named = () if entry.act == "list" else entry.documents
    documents = ", ".join(titles.get(doc) or short(doc) for doc in named[:NAMED])
    if len(named) > NAMED:
        documents += AND_MORE.format(count=len(named) - NAMED)
    code, *stated = entry.purpose.split(" · ")
    why = " · ".join((PURPOSES.get(code, code), *stated))
    return (moment(entry.time), who, deed(entry), documents, why)


def deed(entry: "Entry") -> str:
    """What was done, in plain words."""
    match entry.kind:
        case "access":
            return READINGS[entry.act]
        case "refused":
            return REFUSED
        case "granted":
            return GRANTED
        case "ended":
            return ENDED
    name = entry.name or UNKNOWN
    documents = counted(len(entry.documents), "document") if entry.documents else "documents"
    words = (CHANGES.get(word, word) for word in entry.text.split(", "))
    return ", ".join(words).format(name=name, documents=documents)
