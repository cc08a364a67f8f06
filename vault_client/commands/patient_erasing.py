"""``coffre patient erase``: having the traces of readings destroyed before their time."""

import re
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from languages.asking import add_yes
from languages.written import day as written_day
from vault_client.commands.confirmation import check_answerable, confirm
from vault_client.commands.names import MIN_PREFIX, short
from vault_client.commands.output import Screen, Usage, counted
from vault_client.commands.profiles import add_profile

if TYPE_CHECKING:
    from vault_client.commands import Subcommands
    from vault_client.erasing import Erasable
    from vault_client.patient import Patient

# What people read
NO_DAY = "“{word}” is not a day. Nothing was erased. Write it so: 2024-03-31"
NOT_PAST = "{day} is not over yet, or not begun. Nothing was erased. Name a day that is past."
NO_TITLE = (
    "“{word}” is neither the title nor the beginning of the id of one deleted document. Nothing was erased. The log names "
    "them: coffre patient log"
)
NOTHING = "There is no reading to erase."
OF_DOCUMENT = (
    "The traces of {count} that named {title} alone will be destroyed, at the service and on your devices."
)
BEFORE = "The traces of {count} from before {day} will be destroyed, at the service and on your devices."
NO_PROOF = (
    "Afterwards nobody can show who read then, when, or why: not you, not the service, not a judge. A complaint against a reader "
    "would have nothing to rest on. That something was erased, when, and by which of your devices stays in your log."
)
COPIES = (
    "An export you made, evidence you wrote, the readers' own files and backups of the service are not touched. To keep the "
    "traces for yourself first: coffre patient export DIR"
)
ALARMED = "Left as they are, being evidence: {count} about which there is an alarm."
OTHERS = "Left as they are: {count} that named other documents too."
IN_DOUBT = "Whether the service erased them is not known: coffre patient log shows it, and the same command erases what is left."
ERASED = "Erased: {count}."
REMAINS = (
    "What stays of each in the public log is 97 bytes, random to whoever has no key of yours, and nobody can open them any more. "
    "Entry {index} is: {leaf}"
)


def add(commands: "Subcommands") -> None:
    """``patient erase``."""
    parser = add_profile(commands("erase", erase, "have the traces of readings destroyed for ever"))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--document", metavar="DOC", help="of a deleted document, by its title or the beginning of its id"
    )
    which.add_argument("--before", metavar="DAY", help="from before a day (UTC), such as 2024-03-31")
    add_yes(parser)


async def erase(arguments: Namespace, screen: Screen) -> None:
    """Look at the log, say what will be lost, ask, and have it destroyed.

    A reading about which there is an alarm is left out.
    """
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    check_answerable(arguments)
    time = None if arguments.before is None else _day(arguments.before)
    async with patient(arguments, screen) as (record, _):
        if time is not None and time > record.service.now():
            raise Usage(NOT_PAST.format(day=written_day(arguments.before)))
        doc = _deleted(record, arguments.document) if time is None else b""
        report, erasing = await record.log(), record.erasing
        found = erasing.of_document(report, doc) if time is None else erasing.before(report, time)
        screen.result |= {"erased": 0, "alarmed": found.alarmed, "others": found.others}
        for text, count in ((ALARMED, found.alarmed), (OTHERS, found.others)):
            if count:
                screen.say(text.format(count=counted(count, "reading")))
        if not found.entries:
            screen.say(NOTHING)
            return
        confirm(arguments, _question(record, arguments, found, doc))
        with screen.unless_done(lambda: IN_DOUBT if erasing.is_in_doubt else ""):
            await erasing.run(found.entries)
        screen.result["erased"] = len(found.entries)
        screen.say(ERASED.format(count=counted(len(found.entries), "reading")))
        await _show_remains(screen, record, found.entries[-1].index)
        show_trust(screen, record.service)


def _question(record: "Patient", arguments: Namespace, found: "Erasable", doc: bytes) -> str:
    count = counted(len(found.entries), "reading")
    if not doc:
        what = BEFORE.format(count=count, day=written_day(arguments.before))
    else:
        title = record.replica.deleted_titles()[doc] or short(doc)
        what = OF_DOCUMENT.format(count=count, title=title)
    return f"{what} {NO_PROOF} {COPIES}"


async def _show_remains(screen: Screen, record: "Patient", index: int) -> None:
    """One of the entries, as anybody can see it."""
    from contextlib import suppress

    from crypto.access_log import LEAF
    from crypto.errors import CoffreError

    with suppress(CoffreError):  # it is erased all the same
        leaves = await record.service.reader.leaves(record.replica.origin, index, index + 1)
        leaf = leaves[:LEAF].hex()
        screen.result["remains"] = {"index": index, "leaf": leaf}
        screen.say(REMAINS.format(index=index, leaf=leaf))


def _day(word: str) -> int:
    """The first second of a day. Raises Usage."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", word, re.ASCII):
        raise Usage(NO_DAY.format(word=word))
    try:
        return int(datetime.fromisoformat(f"{word}T00:00:00").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise Usage(NO_DAY.format(word=word)) from None


def _deleted(record: "Patient", word: str) -> bytes:
    """The one deleted document that ``word`` means. Raises Usage."""
    deleted = record.replica.deleted_titles()
    is_id = len(word) >= MIN_PREFIX
    found = [
        doc
        for doc, title in deleted.items()
        if title == word or (is_id and doc.hex().startswith(word.lower()))
    ]
    if len(found) != 1:
        raise Usage(NO_TITLE.format(word=word))
    return found[0]
