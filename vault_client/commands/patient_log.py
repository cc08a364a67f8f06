"""``coffre patient log``: the record's log, checked and shown."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from vault_client.commands.names import short
from vault_client.commands.output import Screen, moment

if TYPE_CHECKING:
    from vault_client.audit_report import AuditReport, Entry

# What people read
KINDS = {
    "access": "opened",
    "refused": "was refused",
    "change": "changed the record",
    "granted": "was granted",
    "ended": "is granted nothing more",
}
YOU = "You"
UNKNOWN = "unknown"
HOLDS = "Checked up to entry {size}, cosigned {time} UTC: every entry holds and follows from the one before."
ALARM = "ALARM {code}: {text}"
ALARMED = (
    "The log does not hold: {count} alarm(s). Keep this profile as it is: it holds the evidence. Do not add "
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
        screen.table(columns, [_row(entry, titles, record.own.identity) for entry in report.entries])
        for alarm in report.alarms:
            screen.say(ALARM.format(code=alarm.code, text=alarm.text))
        if not report.alarms:
            screen.say(HOLDS.format(size=report.size, time=moment(report.time)))
        show_trust(screen, record.service)
        if report.alarms:
            raise NotProven(ALARMED.format(count=len(report.alarms)))


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
    what = f"{KINDS[entry.kind]} {f'({entry.act or entry.text})' if entry.act or entry.text else ''}".rstrip()
    # A listing is opened as a document of its own, which the record does not name.
    documents = ", ".join(titles[doc] for doc in entry.documents if doc in titles)
    return (str(entry.index), moment(entry.time), who, what, documents, entry.purpose)
