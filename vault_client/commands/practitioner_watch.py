"""``coffre practitioner watch`` and ``alarms``: what is delivered, as it comes, and what is wrong with the service."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vault_client.commands.alarms import (
    add_evidence,
    add_seen,
    alarm_object,
    mark_seen,
    show_alarms,
    write_evidence,
)
from vault_client.commands.names import short
from vault_client.commands.output import Screen, counted, day
from vault_client.commands.profiles import add_profile
from vault_client.commands.watching import WATCHING, show_remark

if TYPE_CHECKING:
    from vault_client.alarms import Alarm
    from vault_client.commands import Subcommands
    from vault_client.mailbox_watch import Delivered, Refused
    from vault_client.practitioner import Practitioner
    from vault_client.watching import Remark

# What people read
DELIVERIES = {
    "granted": "New: grant {grant} of record {record}, until {until}. See what it gives with: coffre practitioner list",
    "extended": "Grant {grant} of record {record} was changed. See what it gives with: coffre practitioner list",
    "ended": "Grant {grant} of record {record} is said to have ended.",
}
REFUSED = "A delivery was not believed: {why}"
NONE = "There is no alarm on this device."
TAKE_EVIDENCE = "For somebody else to check it: coffre practitioner alarms --evidence DIR"
ALARMED = (
    "The service does not hold to what it signed: {alarms}. Keep this profile as it is: it holds the evidence. Ask the operator, or "
    "someone you trust, what happened."
)


def add(commands: "Subcommands") -> None:
    """``practitioner watch`` and ``practitioner alarms``."""
    add_profile(commands("watch", watch, "show what is granted as it comes, until Ctrl-C"))
    purpose = "show the alarms of this device, and write their evidence"
    parser = add_profile(commands("alarms", alarms, purpose))
    add_evidence(parser)
    add_seen(parser)


async def watch(arguments: Namespace, screen: Screen) -> None:
    """Watch until stopped. With --json, one object a line: a delivery, an alarm or a remark."""
    import time

    from vault_client.commands.profiles import practitioner, visits
    from vault_client.commands.trust_line import show_trust
    from vault_client.mailbox_watch import MailboxWatch
    from vault_client.notices import Notices
    from vault_client.watching import Watch

    async with practitioner(arguments, screen) as (reader, store):
        show_trust(screen, reader.service)
        screen.say(WATCHING)
        to_come = visits(arguments, reader, store)

    def show(_: "Practitioner | None", said: "Sequence[Delivered | Refused | Alarm | Remark]") -> None:
        for each in said:
            _show(screen, each)

    async with to_come, Notices(to_come.api) as notices:
        await Watch(to_come.visit, MailboxWatch(), notices, show, lambda: int(time.time())).run()


async def alarms(arguments: Namespace, screen: Screen) -> None:
    """Every alarm that this device keeps, without asking anyone. Ends in exit code 1 when there is one."""
    from crypto.errors import NotProven
    from vault_client.alarms import kept_alarms
    from vault_client.commands.profiles import practitioner
    from vault_client.commands.trust_line import show_trust
    from vault_client.evidence_files import evidence_files
    from vault_client.part_folder import check_free

    if arguments.evidence is not None:
        check_free(arguments.evidence)
    async with practitioner(arguments, screen) as (reader, store):
        kept = kept_alarms(store)
        screen.result["alarms"] = [alarm_object(alarm) for alarm in kept]
        show_alarms(screen, kept)
        mark_seen(arguments, screen, store)
        if not kept:
            screen.say(NONE)
        if arguments.evidence is not None:
            files = evidence_files(store, reader.service, reader.own, None)
            write_evidence(screen, arguments.evidence, files)
        elif kept:
            screen.say(TAKE_EVIDENCE)
        show_trust(screen, reader.service)
        if kept:
            raise NotProven(ALARMED.format(alarms=counted(len(kept), "alarm")))


def _show(screen: Screen, said: "Delivered | Refused | Alarm | Remark") -> None:
    from vault_client.alarms import Alarm
    from vault_client.mailbox_watch import Delivered, Refused

    match said:
        case Delivered(what=what, grant=grant):
            event = grant.state.event
            record, gid = short(event.vault), short(event.gid)
            until = day(event.expiry)
            screen.say(DELIVERIES[what].format(grant=gid, record=record, until=until))
            delivery = {
                "what": what,
                "grant": event.gid.hex(),
                "record": event.vault.hex(),
                "until": event.expiry,
            }
            screen.line({"delivery": delivery})
        case Refused(why=why):
            screen.say(REFUSED.format(why=why))
            screen.line({"refused": why})
        case Alarm():
            show_alarms(screen, [said])
            screen.say(TAKE_EVIDENCE)
            screen.line({"alarm": alarm_object(said)})
        case _:
            show_remark(screen, said)
