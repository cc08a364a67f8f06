"""Alarms on the screen, and their evidence in a folder: the same for patients and practitioners."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_client.commands.output import Screen, counted

if TYPE_CHECKING:
    from vault_client.alarms import Alarm
    from vault_client.device_store import DeviceStore

# What people read
ALARM = "ALARM {code}: {text}"
EVIDENCE = (
    "The evidence is in {path}: {files}. A file shows to whoever has it who asked for what and when, in the entry it is about, "
    "and no title and no content. Anyone can check it: coffre evidence verify FILE"
)
NO_ALARM = "There is no alarm, so no evidence was written."
SEEN = "Marked as seen: {alarms}. Other commands say no more of it; it stays here, with its evidence."
REMINDERS = {
    "patient": "Not marked as seen yet: {alarms}. Look at it with: coffre patient log. Then end this reminder with: coffre patient log --seen",
    "practitioner": "Not marked as seen yet: {alarms}. Look at it with: coffre practitioner alarms. Then end this reminder with: coffre practitioner "
    "alarms --seen",
}

# They show every alarm themselves.
_SHOWING = {"log", "alarms", "watch"}


def add_evidence(parser: ArgumentParser) -> None:
    """The option that names a folder for evidence."""
    parser.add_argument(
        "--evidence",
        type=Path,
        metavar="DIR",
        help="write what each alarm rests on to a file of a new folder, for others to check",
    )


def add_seen(parser: ArgumentParser) -> None:
    """The option that ends the reminder of what is shown."""
    parser.add_argument(
        "--seen",
        action="store_true",
        help="mark the alarms shown as seen: other commands remind of them no more",
    )


def show_alarms(
    screen: Screen, alarms: "Sequence[Alarm]", where: "Callable[[Alarm], str]" = lambda _: ""
) -> None:
    """Each alarm in words, with what ``where`` says of the entry it is about."""
    for alarm in alarms:
        screen.say(f"{ALARM.format(code=alarm.code, text=alarm.text)} {where(alarm)}".strip())


def alarm_object(alarm: "Alarm") -> dict[str, Any]:
    """An alarm for programs. ``time``: of the entry, by the service's clock, where it shows what the entry says."""
    time = alarm.opening.part.time if alarm.opening is not None else None
    return {"code": alarm.code, "index": alarm.index, "time": time, "text": alarm.text}


def mark_seen(arguments: Namespace, screen: Screen, store: "DeviceStore") -> None:
    """Keep, if that was asked for, that the alarms which were just shown were seen."""
    from vault_client.alarms import note_seen, unseen_alarms

    if not arguments.seen:
        return
    new = unseen_alarms(store)
    note_seen(store)
    if new:
        screen.say(SEEN.format(alarms=counted(len(new), "alarm")))


def remind(arguments: Namespace, screen: Screen, store: "DeviceStore") -> None:
    """One line about the alarms that nobody said to have seen, unless the command shows them."""
    from vault_client.alarms import unseen_alarms

    unseen = len(unseen_alarms(store))
    screen.result["unseen_alarms"] = unseen
    if unseen and arguments.verb not in _SHOWING:
        screen.aside(REMINDERS[arguments.noun].format(alarms=counted(unseen, "alarm")))


def write_evidence(screen: Screen, place: Path, files: Mapping[str, bytes]) -> None:
    """Write every alarm's file into the new folder ``place``, or say that there is none."""
    from vault_client.part_folder import part_folder

    if not files:
        screen.say(NO_ALARM)
        return
    with part_folder(place) as part:
        for name, data in files.items():
            (part / name).write_bytes(data)
    screen.result["evidence"] = [str(place / name) for name in files]
    screen.say(EVIDENCE.format(path=place, files=counted(len(files), "file")))
