"""``coffre patient``: the record as a folder of plain files, and the check of such a folder without any server."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.output import Screen, counted, moment

if TYPE_CHECKING:
    from crypto.trust_root import InstanceCard
    from vault_client.export_check import CheckedExport
    from vault_client.export_files import FolderFiles

# What people read
IN_THE_CLEAR = (
    "{path} IS SECRET. Its documents can be read by anybody who has the folder, and {keys} holds the keys of your record. "
    "Keep it where only you can reach it; keep {keys} apart from the rest if you can."
)
WRITTEN = "The export is in {path}: {documents} and {entries} of the log."
GONE = "Of {count} deleted before there is nothing to show."
TRY_IT = "The export can be checked at any time, without a server: coffre patient verify-export {path}"
NOT_WHOLE = "The export in {path} is written, but it is not whole: see above. Keep it, and ask the operator about the rest."
WHOLE = "The export is whole: nothing is missing and nothing was changed."
MOMENT = "It shows the record as it was at {time} UTC, with {entries} of the log, confirmed by the keepers at {confirmed} UTC."
TRUST = "The export starts from the trust root {digest} of {hosts}."
COMPARE = "Compare that with the service's card, or name the card: --card FILE."
PINNED = "That is the one on the card."
ALARM = "When it was exported, its log had the alarm {code}: {text}"
WRONG = {
    "missing": "MISSING: {name}: {why}",
    "changed": "CHANGED: {name}: {why}",
    "unchecked": "NOT CHECKED: {name}: {why}",
    "foreign": "NOT OF THE EXPORT: {name}: {why}",
}
TITLED = "{path}, called “{title}”"
NO_FOLDER = "There is no folder {path}. Nothing was checked. Name the folder of an export."
BROKEN = (
    "The export does not hold: see above. What is not named is as it was. Use another copy of "
    "it, or make a new one while the service is there."
)


async def export(arguments: Namespace, screen: Screen) -> None:
    """The whole record into a new folder. What could not be had is named, and ends in 1."""
    from crypto.errors import NotProven
    from crypto.exports import KEYS
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust
    from vault_client.part_folder import check_free

    place: Path = arguments.folder
    check_free(place)
    async with patient(arguments, screen) as (record, _):
        with screen.progress(spoken("Exporting")) as progress:
            checked = await record.export(place, progress=progress)
        screen.result |= {"folder": str(place), **described(checked)}
        screen.say(IN_THE_CLEAR.format(path=place, keys=KEYS))
        _show_size(screen, place, checked)
        show_alarms(screen, checked)
        show_findings(screen, checked)
        show_trust(screen, record.service)
        if checked.findings:
            raise NotProven(NOT_WHOLE.format(path=place))
        screen.say(TRY_IT.format(path=place))


async def verify_export(arguments: Namespace, screen: Screen) -> None:
    """Check an export without a profile or a server. Anything wrong with it is named, and ends in 1."""
    from crypto.errors import NotProven
    from vault_client.commands.profiles import instance_card

    card = instance_card(arguments.card)
    checked = await looked_at(screen, arguments.folder, card)
    screen.result |= described(checked)
    show_alarms(screen, checked)
    show_findings(screen, checked)
    manifest = checked.manifest
    if checked.time is not None:
        entries = counted(manifest.entries, "entry", "entries")
        screen.say(MOMENT.format(time=moment(manifest.time), entries=entries, confirmed=moment(checked.time)))
    show_root(screen, checked)
    if checked.first_root is not None:
        screen.say(COMPARE if card is None else PINNED)
    if checked.findings:
        raise NotProven(BROKEN)
    screen.say(WHOLE)


async def looked_at(screen: Screen, folder: Path, card: "InstanceCard | None" = None) -> "CheckedExport":
    """Check the export in ``folder``. Raises Unavailable when there is no such folder."""
    from vault_client.ciphertext_spool import in_thread
    from vault_client.export_check import check_export

    pinned = card.root if card is not None else None
    files = _there(folder)
    with screen.progress(spoken("Checking")) as progress:
        return await in_thread(lambda report: check_export(files, card=pinned, progress=report), progress)


def show_root(screen: Screen, checked: "CheckedExport") -> None:
    """Whose word an export rests on."""
    if checked.first_root is not None and checked.trust_root is not None:
        hosts = ", ".join(checked.trust_root.hosts)
        screen.say(TRUST.format(digest=checked.first_root.digest.hex(), hosts=hosts))


def show_findings(screen: Screen, checked: "CheckedExport") -> None:
    """Everything that is wrong with an export, by name."""
    for finding in checked.findings:
        titled = TITLED.format(path=finding.path, title=finding.title)
        name = titled if finding.title else finding.path
        screen.say(WRONG[finding.what].format(name=name, why=finding.why))


def show_alarms(screen: Screen, checked: "CheckedExport") -> None:
    """The alarms that the exporting device had about the log."""
    for alarm in checked.manifest.alarms:
        screen.say(ALARM.format(code=alarm.code, text=alarm.text))


def described(checked: "CheckedExport") -> dict[str, Any]:
    """An export for programs."""
    manifest, root = checked.manifest, checked.first_root
    return {
        "vault": manifest.vault.hex(),
        "digest": checked.digest.hex(),
        "whole": not checked.findings,
        "documents": sum(not document.deleted for document in manifest.documents),
        "deleted": sum(document.deleted for document in manifest.documents),
        "entries": manifest.entries,
        "links": manifest.n + 1,
        "exported": manifest.time,
        "time": checked.time,
        "trust_root": root.digest.hex() if root is not None else None,
        "alarms": [{"code": alarm.code, "text": alarm.text} for alarm in manifest.alarms],
        "findings": [
            {"what": each.what, "path": each.path, "title": each.title, "why": each.why}
            for each in checked.findings
        ],
    }


def _there(folder: Path) -> "FolderFiles":
    from crypto.errors import Unavailable
    from vault_client.export_files import FolderFiles

    if not folder.is_dir():
        raise Unavailable(NO_FOLDER.format(path=folder))
    return FolderFiles(folder)


def _show_size(screen: Screen, place: Path, checked: "CheckedExport") -> None:
    facts = described(checked)
    documents = counted(facts["documents"], "document")
    entries = counted(facts["entries"], "entry", "entries")
    screen.say(WRITTEN.format(path=place, documents=documents, entries=entries))
    if facts["deleted"]:
        screen.say(GONE.format(count=counted(facts["deleted"], "document")))
