"""How old each list is that ``coffre practitioner list`` shows."""

from typing import TYPE_CHECKING

from crypto.durations import DAY, HOUR
from languages.catalogue import spoken
from vault_client.commands.acts import shown
from vault_client.commands.names import short
from vault_client.commands.output import Screen, counted, day

if TYPE_CHECKING:
    from vault_client.practitioner import Practitioner

# What people read
AGO, NOT_YET = "{age} ago", "not yet"


def show_lists(screen: Screen, reader: "Practitioner") -> None:
    """Of which date the list of each grant is, and how long ago it was confirmed that there is no newer one."""
    lists, now = sorted(reader.lists(), key=lambda each: (-each.received, each.gid)), reader.service.now()
    screen.result["lists"] = [
        {
            "grant": each.gid.hex(),
            "record": each.vault.hex(),
            "event": each.event,
            "received": each.received or None,
            "confirmed": each.confirmed,
            "acts": list(each.acts),
            "until": each.expiry,
        }
        for each in lists
    ]
    if lists:
        screen.table(
            ("Grant", "Record", "List of", "Confirmed", "Acts", "Until"),
            [
                (
                    short(each.gid),
                    short(each.vault),
                    day(each.received) if each.received else "",
                    spoken(NOT_YET if each.confirmed is None else AGO.format(age=age(now - each.confirmed))),
                    shown(each.acts),
                    day(each.expiry),
                )
                for each in lists
            ],
        )


def age(seconds: int) -> str:
    """How long, in the largest unit of which there is one; a keeper's clock may be ahead of this one."""
    for unit, length in (("day", DAY), ("hour", HOUR)):
        if seconds >= length:
            return counted(seconds // length, unit)
    return counted(max(seconds, 0) // 60, "minute")
