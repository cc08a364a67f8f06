"""Alarms on the screen, and their evidence in a folder: the same for patients and practitioners."""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_client.commands.output import Screen, counted

if TYPE_CHECKING:
    from vault_client.alarms import Alarm

# What people read
ALARM = "ALARM {code}: {text}"
EVIDENCE = (
    "The evidence is in {path}: {files}. A file shows to whoever has it who asked for what and when, in the entry it is about, "
    "and no title and no content. Anyone can check it: coffre evidence verify FILE"
)
NO_ALARM = "There is no alarm, so no evidence was written."


def add_evidence(parser: ArgumentParser) -> None:
    """The option that names a folder for evidence."""
    parser.add_argument(
        "--evidence",
        type=Path,
        metavar="DIR",
        help="write what each alarm rests on to a file of a new folder, for others to check",
    )


def show_alarms(screen: Screen, alarms: "Sequence[Alarm]") -> None:
    """Each alarm in words."""
    for alarm in alarms:
        screen.say(ALARM.format(code=alarm.code, text=alarm.text))


def alarm_object(alarm: "Alarm") -> dict[str, Any]:
    """An alarm for programs."""
    return {"code": alarm.code, "index": alarm.index, "text": alarm.text}


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
