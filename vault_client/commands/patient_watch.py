"""``coffre patient watch``: each new entry of the record's log, as it comes."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vault_client.commands.alarms import alarm_object, show_alarms
from vault_client.commands.log_folding import line_of
from vault_client.commands.output import Screen
from vault_client.commands.patient_log import TAKE_EVIDENCE, add_all, entry_object, log_rows, where_in
from vault_client.commands.profiles import add_profile
from vault_client.commands.watching import WATCHING, show_remark

if TYPE_CHECKING:
    from vault_client.alarms import Alarm
    from vault_client.audit_report import Entry
    from vault_client.commands import Subcommands
    from vault_client.patient import Patient
    from vault_client.watching import Remark


def add(commands: "Subcommands") -> None:
    """``patient watch``."""
    add_all(add_profile(commands("watch", watch, "show who does what as it happens, until Ctrl-C")))


async def watch(arguments: Namespace, screen: Screen) -> None:
    """Watch until stopped. With --json, one object a line: an entry, an alarm or a remark."""
    import time

    from vault_client.commands.profiles import patient, visits
    from vault_client.commands.trust_line import show_trust
    from vault_client.notices import Notices
    from vault_client.record_watch import RecordWatch
    from vault_client.watching import Watch

    async with patient(arguments, screen) as (record, store):
        show_trust(screen, record.service)
        screen.say(WATCHING)
        to_come = visits(arguments, record, store)
    shown = _Shown(screen, everything=arguments.all)
    async with to_come, Notices(to_come.api) as notices:
        await Watch(to_come.visit, RecordWatch(), notices, shown.show, lambda: int(time.time())).run()


class _Shown:
    """What is shown while it is watched: what machines do by themselves has one line a day."""

    def __init__(self, screen: Screen, *, everything: bool) -> None:
        self._screen = screen
        self._everything = everything
        self._lines: set[tuple[object, ...]] = set()

    def show(self, record: "Patient | None", said: "Sequence[Entry | Alarm | Remark]") -> None:
        """Each of ``said``: first what is new in the record, then what is wrong with it, then the service."""
        from vault_client.alarms import Alarm
        from vault_client.audit_report import Entry
        from vault_client.watching import Remark

        if record is not None:
            self._entries(record, [each for each in said if isinstance(each, Entry)])
            self._alarms(record, [each for each in said if isinstance(each, Alarm)])
        for remark in said:
            if isinstance(remark, Remark):
                show_remark(self._screen, remark)

    def _alarms(self, record: "Patient", alarms: "list[Alarm]") -> None:
        if alarms:
            report = record.last_log()
            entries = report.entries if report is not None else ()
            show_alarms(self._screen, alarms, where_in(record, entries, everything=self._everything))
            self._screen.say(TAKE_EVIDENCE)
        for alarm in alarms:
            self._screen.line({"alarm": alarm_object(alarm)})

    def _entries(self, record: "Patient", entries: "list[Entry]") -> None:
        for entry in entries:
            self._screen.line({"entry": entry_object(entry)})
        lines = {entry.index: line_of(entry, everything=self._everything) for entry in entries}
        new = [entry for entry in entries if lines[entry.index] not in self._lines]
        self._lines |= set(lines.values())
        for row in log_rows(record, new, everything=self._everything):
            self._screen.say(" · ".join(filter(None, row)))
