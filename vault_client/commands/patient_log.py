"""``coffre patient log``: the record's log, checked and shown."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from languages.asking import add_yes
from languages.catalogue import spoken
from languages.written import days_in
from vault_client.commands.alarm_lines import UNKNOWN, line_of_alarm, who
from vault_client.commands.alarms import (
    add_evidence,
    add_seen,
    alarm_object,
    mark_seen,
    show_alarms,
    write_evidence,
)
from vault_client.commands.confirmation import check_answerable, confirm
from vault_client.commands.log_folding import folded
from vault_client.commands.losses import losses_object, show_losses
from vault_client.commands.names import short
from vault_client.commands.output import Screen, Usage, counted, moment, several
from vault_client.commands.profiles import add_profile
from vault_client.commands.purpose_codes import purposes_shown
from vault_client.commands.titles import called

if TYPE_CHECKING:
    from vault_client.alarms import Alarm
    from vault_client.audit_report import AuditReport, Entry
    from vault_client.commands import Subcommands
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient

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
    "amended": "changed what grant {grant} allows",
    "keyed anew": "gave new keys to grant {grant}, which now gives {documents}",
    "ended": "ended grant {grant}",
    "blocked": "blocked someone",
    "unblocked": "unblocked someone",
    "rekeyed": "changed the keys",
    "resealed": "sealed the keys anew",
    "ruled": "changed the rules",
    "described": "changed the profile",
    "summed up": "kept a summary of the record",
    "erased": "had traces erased: {erased}, asked for by device {device}",
}
REFUSED_AGAIN = "was refused to open it again, and may have done so without a network"
REFUSED, GRANTED, ENDED = "was refused", "was given grant {grant}", "the end of grant {grant} is in force"
TOLD = "was told how grant {grant} changed"
LOST_READING = "read something under grant {grant}; the service lost what it was"
LOST_EVENT = "grant {grant} changed or ended; the service lost how"
BY = "by {time}"
HOLDS = (
    "{count} of yours among {size} in the log, confirmed by the keepers at {time} UTC. All was checked: each entry holds and follows from "
    "the one before."
)
UNCHECKED = "The log was not checked now."
LAST = "What is shown is what the last check on this device found, up to {time} UTC."
COUNTS_AS_OPENED = (
    "Who opened something here asked for it and was allowed to: the log is written before anything is handed out. Whether the keepers "
    "answered then stands in no log, so take it as opened."
)
NEVER = "It was never checked on this device."
HOLDS_BUT = "{count} of yours among {size} in the log, confirmed by the keepers at {time} UTC. All but what was lost was checked: each entry holds."
ALARMED = "The log does not hold: {alarms}."
KEEP_ALL = (
    "Keep this profile as it is: it holds the evidence. Do not add anything more, and ask the operator, or someone you trust, "
    "what happened."
)
TAKE_EVIDENCE = "For somebody else to check it: coffre patient log --evidence DIR"
DISCLOSING = (
    "A scan key is to be disclosed. Whoever has the file can then find the entries of your record in the public log: how many "
    "there are and when they came. It opens none of them."
)
GONE = (
    "Entries of this log below number {number} are over three years old, and gone from the service. Those that this device had "
    "not looked at before are not listed; the changes of your record among them are proved by receipt."
)
KEY_WITHOUT_FILE = "--disclose-keys needs --evidence DIR. Nothing was done."


def add(commands: "Subcommands") -> None:
    """``patient log``."""
    parser = add_profile(commands("log", log, "read and check who did what"))
    add_all(parser)
    add_evidence(parser)
    add_seen(parser)
    parser.add_argument(
        "--disclose-keys",
        action="store_true",
        help="with --evidence: disclose the scan key where that makes a proof of it",
    )
    add_yes(parser)


def add_all(parser: ArgumentParser) -> None:
    """The option that folds nothing."""
    parser.add_argument(
        "--all", action="store_true", help="show each listing and fetching ahead on a line of its own"
    )


async def log(arguments: Namespace, screen: Screen) -> None:
    """Read the log, check all of it, show entries and alarms. Alarms end in exit code 1.

    Without the server the last report is shown, dated, and it ends in exit code 3: nothing was checked. One that is
    distrusted is as good as away, and it ends in 1.
    """
    from crypto.errors import NotProven, Refusal, Unreachable
    from vault_client.alarms import kept_alarms
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    _check_evidence_wanted(arguments)
    async with patient(arguments, screen) as (record, store):
        unchecked: Unreachable | None = None
        try:
            report = await record.log()
        except Unreachable as error:
            last = record.last_log()
            if last is None:
                raise type(error)(f"{error} {UNCHECKED} {NEVER}") from None
            said = LAST.format(time=moment(last.time))
            report, unchecked = last, type(error)(f"{error} {UNCHECKED} {said}")
        except Refusal:  # what contradicts itself so far that it could not be read is kept as an alarm too
            last = record.last_log()
            entries = last.entries if last is not None else ()
            kept = kept_alarms(store)
            screen.result["alarms"] = [alarm_object(alarm) for alarm in kept]
            show_alarms(screen, kept, where_in(record, entries, everything=arguments.all))
            mark_seen(arguments, screen, store)
            _write_evidence(arguments, screen, record, store)
            if kept_alarms(store):
                screen.say(KEEP_ALL)
            raise
        screen.result |= report_object(report)
        columns = ("", "When (UTC)", "Who", "What", "Documents", "Why")
        rows = log_rows(record, report.entries, everything=arguments.all)
        screen.table(columns, [(str(number), *row) for number, row in enumerate(rows, 1)])
        if any(entry.kind == "access" for entry in report.entries):
            screen.say(COUNTS_AS_OPENED)
        if report.gone:
            screen.say(GONE.format(number=report.gone))
        where = where_in(record, report.entries, everything=arguments.all)
        show_losses(screen, report)
        show_alarms(screen, report.alarms, where)
        mark_seen(arguments, screen, store)
        if not report.alarms and unchecked is None:
            count = counted(len(report.entries), "entry", "entries")
            holds = HOLDS_BUT if any(entry.kind == "lost" for entry in report.entries) else HOLDS
            screen.say(holds.format(count=count, size=report.size, time=moment(report.time)))
        _write_evidence(arguments, screen, record, store)
        show_trust(screen, record.service)
        if report.alarms:
            alarmed = f"{ALARMED.format(alarms=counted(len(report.alarms), 'alarm'))} {KEEP_ALL}"
            raise NotProven(alarmed if unchecked is None else f"{alarmed} {unchecked}")
        if unchecked is not None:
            raise unchecked


def _check_evidence_wanted(arguments: Namespace) -> None:
    """Ask for what must be asked for before the passphrase is. Raises Usage, Conflict or NotPermitted."""
    from vault_client.part_folder import check_free

    if arguments.disclose_keys:
        if arguments.evidence is None:
            raise Usage(KEY_WITHOUT_FILE)
        check_answerable(arguments)
    if arguments.evidence is not None:
        check_free(arguments.evidence)


def _write_evidence(arguments: Namespace, screen: Screen, record: "Patient", store: "DeviceStore") -> None:
    """Every alarm's file into a new folder, if that was asked for; else that it can be had."""
    from vault_client.alarms import kept_alarms
    from vault_client.evidence_files import evidence_files

    is_alarmed = bool(kept_alarms(store))
    if arguments.evidence is None:
        if is_alarmed:
            screen.say(TAKE_EVIDENCE)
        return
    if is_alarmed and arguments.disclose_keys:
        confirm(arguments, DISCLOSING)
    files = evidence_files(
        store, record.service, record.own, record.replica, with_keys=arguments.disclose_keys
    )
    write_evidence(screen, arguments.evidence, files)


def report_object(report: "AuditReport") -> dict[str, Any]:
    """A report for programs."""
    return {
        "entries": [entry_object(entry) for entry in report.entries],
        "alarms": [alarm_object(alarm) for alarm in report.alarms],
        "size": report.size,
        "root": report.root.hex(),
        "time": report.time,
        "losses": losses_object(report.losses),
    }


def entry_object(entry: "Entry") -> dict[str, Any]:
    """An entry for programs."""
    return {
        "index": entry.index,
        "time": entry.time,
        "kind": entry.kind,
        "act": entry.act,
        "identity": entry.identity.hex() if entry.identity is not None else None,
        "name": entry.name,
        "grant": entry.grant.hex() if entry.grant is not None else None,
        "documents": [doc.hex() for doc in entry.documents],
        "text": ", ".join(entry.changes),
        "purpose": " · ".join(_purpose(entry)),
        "erased": list(entry.erased),
        "device": entry.device.hex() if entry.device is not None else None,
    }


def where_in(record: "Patient", entries: "Sequence[Entry]", *, everything: bool) -> "Callable[[Alarm], str]":
    """Says which of the lines that ``log_rows`` makes of ``entries`` an alarm is about."""
    lines = folded(entries, everything=everything)
    return lambda alarm: line_of_alarm(alarm, lines, record.own.identity)


def log_rows(record: "Patient", entries: "Sequence[Entry]", *, everything: bool) -> list[tuple[str, ...]]:
    """The lines of ``entries`` as they are shown: when, who, what, which documents, why."""
    titles = {document.doc: document.descriptor.title for document in record.documents()}
    deleted = record.replica.deleted_titles()
    lines = folded(entries, everything=everything)
    return [_row(line, titles, deleted, record.own.identity) for line in lines]


def _row(
    line: "Sequence[Entry]", titles: dict[bytes, str], deleted: dict[bytes, str], own: bytes
) -> tuple[str, ...]:
    """One line: an entry, or several that are folded, of which the last dates them."""
    entry = line[-1]
    # A listing is opened as a document of its own, which the record does not name.
    named = dict.fromkeys(doc for each in line if each.act != "list" for doc in each.documents)
    documents = several([called(doc, titles, deleted) for doc in named])
    why = " / ".join(dict.fromkeys(filter(None, (_why(each) for each in line))))
    times = f" (×{len(line)})" if len(line) > 1 else ""
    when = moment(entry.time)
    if entry.kind == "lost":  # the latest it can have been
        when = spoken(BY.format(time=when))
    return (when, who(entry, own), f"{deed(entry)}{times}", documents, why)


def _purpose(entry: "Entry") -> list[str]:
    """Why somebody read, as it was stated: a code, who they are, and their reason."""
    purpose = entry.purpose
    return [] if purpose is None else [purpose.code, *filter(None, (purpose.role, purpose.reason))]


def _why(entry: "Entry") -> str:
    code, *others = _purpose(entry) or [""]
    return " · ".join(filter(None, (purposes_shown([code]), *map(days_in, others))))


def deed(entry: "Entry") -> str:
    """What was done, in plain words."""
    grant = short(entry.grant) if entry.grant is not None else UNKNOWN
    match entry.kind:
        case "access":
            return spoken(READINGS[entry.act])
        case "refused" if entry.act == "reopen":
            return spoken(REFUSED_AGAIN)
        case "refused":
            return spoken(REFUSED)
        case "granted":
            return spoken((TOLD if entry.changes else GRANTED).format(grant=grant))
        case "ended":
            return spoken(ENDED.format(grant=grant))
        case "lost":
            return spoken((LOST_EVENT if entry.changes else LOST_READING).format(grant=grant))
    name = entry.name or UNKNOWN
    documents = counted(len(entry.documents), "document") if entry.documents else "documents"
    erased = counted(len(entry.erased), "reading")
    device = short(entry.device) if entry.device is not None else UNKNOWN
    return ", ".join(
        spoken(
            CHANGES[change].format(name=name, documents=documents, grant=grant, erased=erased, device=device)
        )
        for change in entry.changes
    )
