"""``coffre practitioner``: opening what was granted, one document or many, now or fetched ahead for later."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.granted_list import GRANTED, described, in_order, name_of, newest, row
from vault_client.commands.names import MIN_PREFIX, NAME, pick_all, remember, short
from vault_client.commands.output import Screen, Usage, counted, day
from vault_client.commands.profiles import add_output, add_profile

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from vault_client.commands import Subcommands
    from vault_client.device_store import DeviceStore
    from vault_client.granted_document import GrantedDocument
    from vault_client.practitioner import Practitioner
    from vault_client.reading import KeptBack

# What people read
GONE = "{title} may have been deleted or masked, the grant has ended, or you are certified no longer"
NOT_GRANTED = "This document is not granted to you any more"
WHICH = "Name documents, or all of a grant with --all GRANT, and not both. Nothing was done."
WHERE = "Name the new file with -o FILE, or a folder with --to DIR: several documents need a folder. Nothing was done."
NO_GRANT = "“{word}” is not the beginning of one grant, or of one record with a grant, in your list. Nothing was done."
KEPT = (
    "What came of the document stays for {days} days: the same command goes on from there. Within five minutes that is the "
    "same entry in the patient's log, later a new one."
)
WRITTEN = "{title} was verified and written to {path}. The patient's log shows that you opened it."
EXPORTED = "{title} was verified and written to {path}. The patient's log shows that you exported it."
REOPENED = "{title} was verified and written to {path}."
AHEAD = (
    "{title} was verified and is kept on this device until {until}. The patient's log shows that you fetched it ahead, and "
    "will show when you open it."
)
THERE = "{path} is there already: {title} was not asked for again."
ALONE = "NOT OPENED: {title}. {why}"
REFUSED = (
    "NOT OPENED: {documents}. The request for all of them was refused: one that may not be opened refuses all, and nobody says "
    "which one or why. The patient's log shows it. Show the list again, or ask for fewer."
)
IN_LOG = "The request is in the patient's log all the same."
GOES_ON = "Within five minutes the same command goes on with this request, and that log has one entry for both; later it makes another."
NOT_ALL = "Of {documents} not all were opened: see above."
NOTHING = "Nothing is kept on this device."
REMOVED = {
    "ended": "Removed from this device: {title}. Its grant has ended.",
    "expired": "Removed from this device: {title}. The time of its grant is over.",
    "taken out": "Removed from this device: {title}. The patient took it out of the grant, or changed what the grant allows.",
    "refused": "Removed from this device: {title}. The server refused that it was opened again: its grant may have ended.",
}
DECLARED = "The patient's log shows that you opened it again."
UNDECLARED = "Openings that are not in the patients' logs yet: {count}. They are sent at the next command that reaches the server."


def add(commands: "Subcommands") -> None:
    """``read``, ``export``, ``prefetch``, ``fetched`` and ``reopen``."""
    for name, run, purpose in (
        ("read", read, "open documents into files; the patient sees it in the log"),
        ("export", export, "open documents for a system of your own; the patient sees it in the log"),
        (
            "reopen",
            reopen,
            "open what was fetched ahead, also without a network; the patient sees it in the log",
        ),
    ):
        parser = _add_documents(add_profile(commands(name, run, purpose)))
        add_output(parser, "the new file to write", required=False)
        parser.add_argument(
            "--to", type=Path, metavar="DIR", help="a folder for the new files, made if need be"
        )
    purpose = "fetch documents ahead, to open them where there is no network; the patient sees it in the log"
    _add_documents(add_profile(commands("prefetch", prefetch, purpose)))
    add_profile(commands("fetched", fetched, "list what was fetched ahead, without a network"))


def _add_documents(parser: "ArgumentParser") -> "ArgumentParser":
    parser.add_argument("documents", nargs="*", metavar="DOC", help=NAME)
    parser.add_argument(
        "--all",
        metavar="GRANT",
        help="every document of a grant: the beginning of its id, or of its record's",
    )
    return parser


async def read(arguments: Namespace, screen: Screen) -> None:
    """Open documents into files that are not there yet, up to 256 of a grant under one request."""
    await _read(arguments, screen, "release", WRITTEN)


async def export(arguments: Namespace, screen: Screen) -> None:
    """The same, declared as taking them into another system."""
    await _read(arguments, screen, "export", EXPORTED)


async def _read(arguments: Namespace, screen: Screen, act: Any, said: str) -> None:
    from vault_client.commands.profiles import practitioner
    from vault_client.spool import KEPT_DAYS

    _check_typed(arguments)
    async with practitioner(arguments, screen) as (reader, store):
        documents = _chosen(arguments, store, reader.documents())
        wanted = _destinations(arguments, screen, documents)
        with (
            screen.progress(_called(documents)) as progress,
            screen.if_stopped(KEPT.format(days=KEPT_DAYS)),
        ):
            kept_back = await reader.read_all(wanted, act=act, progress=progress)
        _tell_written(arguments, screen, wanted, kept_back, said)
        _end(screen, reader, documents, kept_back)


async def prefetch(arguments: Namespace, screen: Screen) -> None:
    """Fetch documents ahead; they are kept encrypted in the profile."""
    from vault_client.commands.profiles import practitioner
    from vault_client.spool import KEPT_DAYS

    _check_chosen(arguments)
    async with practitioner(arguments, screen) as (reader, store):
        documents = _chosen(arguments, store, reader.documents())
        with (
            screen.progress(_called(documents)) as progress,
            screen.if_stopped(KEPT.format(days=KEPT_DAYS)),
        ):
            kept_back = await reader.prefetch(documents, progress=progress)
        lacking = {each.document for each in kept_back}
        kept = [each for each in documents if each not in lacking]
        screen.result["documents"] = [described(each) for each in kept]
        for each in kept:
            until = day(reader.grants.get(each.gid).state.event.expiry)
            screen.say(AHEAD.format(title=each.document.title, until=until))
        _end(screen, reader, documents, kept_back)


async def reopen(arguments: Namespace, screen: Screen) -> None:
    """Open what was fetched ahead. It is declared now, or at the next command that reaches the server."""
    from vault_client.commands.profiles import practitioner

    _check_typed(arguments)
    async with practitioner(arguments, screen) as (reader, store):
        documents = _chosen(arguments, store, reader.fetched_ahead())
        wanted = _destinations(arguments, screen, documents)
        with screen.progress(_called(documents)) as progress:
            kept_back = await reader.reopen(wanted, progress=progress)
        _tell_written(arguments, screen, wanted, kept_back, REOPENED)
        if not reader.undeclared and len(kept_back) < len(wanted):
            screen.say(DECLARED)
        _end(screen, reader, documents, kept_back)


async def fetched(arguments: Namespace, screen: Screen) -> None:
    """What is kept on this device, and until when. Nobody is asked."""
    from vault_client.commands.profiles import practitioner

    async with practitioner(arguments, screen) as (reader, store):
        documents = in_order(reader.fetched_ahead())
        remember(store, GRANTED, map(name_of, documents))
        screen.result["documents"] = [described(each) for each in documents]
        if not documents:
            screen.say(NOTHING)
        else:
            screen.table(
                ("", "Id", "Record", "Date", "Category", "Title", "Size", "Until"),
                [row(reader, number, each) for number, each in enumerate(documents, 1)],
            )
        say_kept(reader, screen)


def say_kept(reader: "Practitioner", screen: Screen) -> None:
    """Name what was fetched ahead and is removed, and say how many openings are still to be declared."""
    screen.result["removed"] = [{**described(each.document), "why": each.why} for each in reader.removed]
    screen.result["undeclared"] = reader.undeclared
    for each in reader.removed:
        screen.say(REMOVED[each.why].format(title=each.document.document.title))
    if reader.undeclared:
        screen.say(UNDECLARED.format(count=reader.undeclared))


def _check_chosen(arguments: Namespace) -> None:
    if bool(arguments.documents) == (arguments.all is not None):
        raise Usage(WHICH)


def _check_typed(arguments: Namespace) -> None:
    """Before the passphrase is asked for: what is wanted, and where to."""
    from vault_client.commands.profiles import check_free

    _check_chosen(arguments)
    several = arguments.all is not None or len(arguments.documents) > 1
    if (arguments.output is None) == (arguments.to is None) or (several and arguments.to is None):
        raise Usage(WHERE)
    if arguments.output is not None:
        check_free(arguments.output)


def _chosen(
    arguments: Namespace, store: "DeviceStore", known: "Sequence[GrantedDocument]"
) -> "list[GrantedDocument]":
    """The documents that were named. Raises NotFound for a number of a list that is out of date."""
    from crypto.errors import NotFound

    if arguments.all is not None:
        return in_order(_of_grant(arguments.all, known))
    documents = {name_of(each): each for each in newest(known)}
    names = pick_all(store, GRANTED, arguments.documents, documents)
    if any(name not in documents for name in names):
        raise NotFound(NOT_GRANTED)
    return [documents[name] for name in names]


def _of_grant(word: str, known: "Sequence[GrantedDocument]") -> "list[GrantedDocument]":
    found = [
        each
        for each in known
        if len(word) >= MIN_PREFIX
        and any(identifier.hex().startswith(word.lower()) for identifier in (each.gid, each.vault))
    ]
    if len({each.gid for each in found}) != 1:
        raise Usage(NO_GRANT.format(word=word))
    return found


def _destinations(
    arguments: Namespace, screen: Screen, documents: "Sequence[GrantedDocument]"
) -> "list[tuple[GrantedDocument, Path]]":
    """Where each document goes. In a folder, one whose file is there already is left out, and said."""
    from crypto.file_names import safe_name
    from vault_client.file_description import SUFFIXES
    from vault_client.file_errors import spoken_file_errors

    if arguments.to is None:
        return [(each, arguments.output) for each in documents]
    folder: Path = arguments.to
    with spoken_file_errors():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = []
    for each in documents:
        # The ids tell versions, and records that use one title, apart: what is there is this document and no other.
        ids = f" {short(each.vault)} {short(each.document.ver)}"
        title = f"{each.document.date} {each.document.title}".strip()
        path = folder / safe_name(title, ids + SUFFIXES.get(each.document.mime, ".bin"))
        if path.exists() or path.is_symlink():
            screen.say(THERE.format(path=path, title=each.document.title))
        else:
            wanted.append((each, path))
    return wanted


def _called(documents: "Sequence[GrantedDocument]") -> str:
    if len(documents) == 1:
        return documents[0].document.title
    many = counted(len(documents), "document")
    return spoken(many)


def _tell_written(
    arguments: Namespace,
    screen: Screen,
    wanted: "Sequence[tuple[GrantedDocument, Path]]",
    kept_back: "Sequence[KeptBack]",
    said: str,
) -> None:
    lacking = {each.document for each in kept_back}
    written = [(each, path) for each, path in wanted if each not in lacking]
    told = [{**described(each), "path": str(path)} for each, path in written]
    screen.result |= told[0] if arguments.output is not None and told else {"documents": told}
    for each, path in written:
        screen.say(said.format(title=each.document.title, path=path))


def _end(
    screen: Screen,
    reader: "Practitioner",
    documents: "Sequence[GrantedDocument]",
    kept_back: "Sequence[KeptBack]",
) -> None:
    """Name what was kept back, then all that is said of the service; raise what went wrong, if anything did."""
    from crypto.errors import CoffreError, NotFound, NotProven, Unavailable
    from vault_client.commands.practitioner import say_left_out
    from vault_client.commands.trust_line import show_trust

    screen.result["kept_back"] = [
        {
            **described(each.document),
            "error": type(each.why).__name__,
            "message": str(each.why),
            "in_log": each.in_log,
        }
        for each in kept_back
    ]
    say_left_out(reader, screen)
    say_kept(reader, screen)
    show_trust(screen, reader.service)
    if len(kept_back) == len(documents) == 1:
        (only,) = kept_back
        why: CoffreError = only.why
        if isinstance(why, NotFound):
            why = NotFound(GONE.format(title=only.document.document.title))
        why.args = (" ".join([str(why), *_asked(kept_back)]),)
        raise why from None
    refused = [each for each in kept_back if each.whole_request and isinstance(each.why, NotFound)]
    if refused:
        screen.say(REFUSED.format(documents=counted(len(refused), "document")))
    for each in kept_back:
        if each not in refused:
            screen.say(ALONE.format(title=each.document.document.title, why=each.why))
    for sentence in _asked(kept_back):
        screen.say(sentence)
    if kept_back:
        was_away = all(isinstance(each.why, Unavailable) for each in kept_back)
        raise (Unavailable if was_away else NotProven)(
            NOT_ALL.format(documents=counted(len(documents), "document"))
        )


def _asked(kept_back: "Sequence[KeptBack]") -> list[str]:
    """What the patient's log has of what was not opened, and whether asking again adds to it."""
    from crypto.errors import Unavailable

    asked = [each for each in kept_back if each.in_log]
    is_gone_on_with = any(isinstance(each.why, Unavailable) for each in asked)
    return [*([IN_LOG] if asked else []), *([GOES_ON] if is_gone_on_with else [])]
