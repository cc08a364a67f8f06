"""Which line of ``coffre patient log`` an alarm is about: its number, its time, and whose it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from languages.catalogue import spoken
from vault_client.commands.names import short
from vault_client.commands.output import moment

if TYPE_CHECKING:
    from vault_client.alarms import Alarm
    from vault_client.audit_report import Entry

# What people read
YOU = "You"
UNKNOWN = "unknown"
LISTED = "It is about entry {number} of your log: {time} UTC, {name}."
UNLISTED = "It is about an entry that your log does not list, behind number {number}."
DATED = "The service dates it {time} UTC."


def who(entry: "Entry", own: bytes) -> str:
    """Whose an entry is, as it is shown to ``own``."""
    if entry.identity == own:
        return spoken(YOU)
    return entry.name or (short(entry.identity) if entry.identity is not None else spoken(UNKNOWN))


def line_of_alarm(alarm: "Alarm", lines: "Sequence[Sequence[Entry]]", own: bytes) -> str:
    """Which of ``lines``, numbered as they are shown, an alarm is about; empty for one about the log as a whole."""
    if alarm.index is None:
        return ""
    for number, line in enumerate(lines, 1):
        for entry in line:
            if entry.index == alarm.index:
                return LISTED.format(number=number, time=moment(entry.time), name=who(entry, own))
    said = UNLISTED.format(number=sum(line[-1].index < alarm.index for line in lines))
    return said if alarm.opening is None else f"{said} {DATED.format(time=moment(alarm.opening.part.time))}"
