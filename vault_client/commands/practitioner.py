"""``coffre practitioner``: what patients granted."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from languages.written import day as written_day
from vault_client.commands import practitioner_watch
from vault_client.commands.cards import add_card
from vault_client.commands.devices import add_devices
from vault_client.commands.enrolment import add_enrol, enrolled
from vault_client.commands.list_ages import show_lists
from vault_client.commands.names import NAME, pick, remember, short
from vault_client.commands.output import Screen, amount, day
from vault_client.commands.passkeys import add_passkeys
from vault_client.commands.profiles import add_output, add_profile
from vault_client.commands.restoring import add_restore, restored

if TYPE_CHECKING:
    from vault_client.commands import Subcommands
    from vault_client.practitioner import GrantedDocument, Practitioner

GRANTED = "granted"

# What people read
ENROLLED = "The identity is made. Its profile is in {folder}."
RESTORED = "The identity is restored. Its profile is in {folder}. Every other device was removed."
NEXT_LIST = "What patients granted opens as before. Next: coffre practitioner list"
NOT_CERTIFIED = "Patients can share with you once a registrar has certified your card."
NEXT = "Next: coffre practitioner card -o FILE"
NEXT_REGISTRAR = "Next: give {path} to the registrar."
CERTIFIED = "Certified as {name}, {profession} ({subject})."
GONE = "{title} may have been deleted or masked, the grant has ended, or you are certified no longer"
NOT_GRANTED = "This document is not granted to you any more"
SAYS = "The record {record} says it is the record of {name}. Nobody has certified that: compare it with what you know."
RECOVERED = (
    "The keys of the patient of record {record} were recovered or reset since you last heard of them. Ask the patient "
    "whether it was they: what comes from that record now is from whoever did it."
)
NOTHING = "Nothing is granted to you now."
LEFT_OUT = "The keeper {name} answered wrongly and was left out. Nothing was lost by it. Tell the operator of your service."
REFUSED = "A delivery was not believed: {why}"
SET_ASIDE = "The list of grant {grant} of record {record} was not opened; it is tried again next time. {why}"
SAID_ENDED = "Grant {grant} of record {record} is said to have ended. Its list was not opened; it is tried again next time."
KEPT = (
    "What came of the document stays for {days} days: the same command goes on from there. Within five minutes that is the "
    "same entry in the patient's log, later a new one."
)
WRITTEN = "{title} was verified and written to {path}. The patient's log shows that you opened it."


def add(commands: "Subcommands") -> None:
    """Every command of a practitioner."""
    add_enrol(commands, enrol, "make an identity that patients can share with")
    add_restore(commands, restore, "get a lost identity back with its recovery kit")
    add_devices(commands, devices)
    add_card(commands, card, "show one's own card, for patients and the registrar")
    add_profile(commands("list", list_documents, "list what was granted"))

    parser = add_profile(
        commands("read", read, "open a document into a file; the patient sees it in the log")
    )
    parser.add_argument("document", metavar="DOC", help=NAME)
    add_output(parser, "the new file to write")
    practitioner_watch.add(commands)
    add_passkeys(commands)


async def enrol(arguments: Namespace, screen: Screen) -> None:
    """Make an identity."""
    from vault_client.practitioner import Practitioner

    async with enrolled(arguments, screen, Practitioner, ENROLLED):
        screen.say(NOT_CERTIFIED)
        screen.say(NEXT)


async def restore(arguments: Namespace, screen: Screen) -> None:
    """Recover the identity. What was granted to it is taken in by the next list."""
    from vault_client.practitioner import Practitioner

    async with restored(arguments, screen, Practitioner, RESTORED):
        screen.say(NEXT_LIST)


async def devices(arguments: Namespace, screen: Screen) -> None:
    """One's devices, and the uses of the kit."""
    from vault_client.commands.devices import show_devices
    from vault_client.commands.profiles import practitioner

    async with practitioner(arguments) as (reader, _):
        await show_devices(screen, reader)


async def card(arguments: Namespace, screen: Screen) -> None:
    """One's own card with the certificates on it, to a file, and its fingerprint."""
    from vault_client.commands.cards import show_card
    from vault_client.commands.profiles import practitioner

    async with practitioner(arguments) as (reader, _):
        shown = await reader.card()
        show_card(arguments, screen, reader.service, shown)
        screen.result["certificates"] = await _certificates(reader)
        for certificate in screen.result["certificates"]:
            screen.say(CERTIFIED.format(**certificate))
        if not screen.result["certificates"]:
            screen.say(NOT_CERTIFIED)
            if arguments.output is not None:
                screen.say(NEXT_REGISTRAR.format(path=arguments.output))


async def list_documents(arguments: Namespace, screen: Screen) -> None:
    """Take in what was granted, open its listings, and show them."""
    from vault_client.commands.profiles import practitioner
    from vault_client.commands.trust_line import show_trust

    async with practitioner(arguments) as (reader, store):
        refused = await reader.sync()
        documents = _newest(await reader.listing())
        documents.sort(key=lambda each: (each.document.title, each.document.doc))
        documents.sort(key=lambda each: each.document.date, reverse=True)
        remember(store, GRANTED, map(_name, documents))
        aside = [_aside(reader, gid, refusal) for gid, refusal in reader.set_aside().items()]
        screen.result |= {
            "documents": [_described(each) for each in documents],
            "refused": refused,
            "set_aside": aside,
        }
        if not documents and not aside:
            screen.say(NOTHING)
        elif documents:
            screen.table(
                ("", "Id", "Record", "Date", "Category", "Title", "Size", "Until"),
                [
                    (
                        str(number),
                        short(each.document.doc),
                        short(each.vault),
                        written_day(each.document.date),
                        each.document.category,
                        each.document.title,
                        amount(each.document.length),
                        day(reader.grants.get(each.gid).state.event.expiry),
                    )
                    for number, each in enumerate(documents, 1)
                ],
            )
        show_lists(screen, reader)
        for record, name in sorted({(each.vault, each.person) for each in documents if each.person}):
            screen.say(SAYS.format(record=short(record), name=name))
        recovered = sorted(reader.grants.recovered)
        screen.result["recovered"] = [vault.hex() for vault in recovered]
        for vault in recovered:
            screen.say(RECOVERED.format(record=short(vault)))
        for why in refused:
            screen.say(REFUSED.format(why=why))
        for each in aside:
            words = SAID_ENDED if each["said_ended"] else SET_ASIDE
            ids = {what: short(bytes.fromhex(each[what])) for what in ("grant", "record")}
            screen.say(words.format(**ids, why=each["why"]))
        say_left_out(reader, screen)
        show_trust(screen, reader.service)


async def read(arguments: Namespace, screen: Screen) -> None:
    """Open a document into a file that is not there yet."""
    from crypto.errors import NotFound
    from vault_client.commands.profiles import check_free, practitioner
    from vault_client.commands.trust_line import show_trust
    from vault_client.spool import KEPT_DAYS

    check_free(arguments.output)
    async with practitioner(arguments) as (reader, store):
        documents = {_name(each): each for each in _newest(reader.documents())}
        name = pick(store, GRANTED, arguments.document, documents)
        if name not in documents:  # a number of a list that is out of date
            raise NotFound(NOT_GRANTED)
        document = documents[name]
        title = document.document.title
        with (
            screen.progress(arguments.output.name) as progress,
            screen.if_stopped(KEPT.format(days=KEPT_DAYS)),
        ):
            try:
                await reader.read(document, arguments.output, progress=progress)
            except NotFound:
                raise NotFound(GONE.format(title=title)) from None
        screen.result |= {**_described(document), "path": str(arguments.output)}
        screen.say(WRITTEN.format(title=title, path=arguments.output))
        say_left_out(reader, screen)
        show_trust(screen, reader.service)


async def _certificates(reader: "Practitioner") -> list[dict[str, str]]:
    known = reader.own.known_at(reader.service, await reader.service.directory())
    return [
        {
            "subject": entry.statement.subject,
            "name": entry.statement.name,
            "profession": entry.statement.profession,
        }
        for entry in known.state.certified(reader.service.now())
    ]


def say_left_out(reader: "Practitioner", screen: Screen) -> None:
    """Name the keepers whose answers did not fit."""
    screen.result["left_out"] = reader.left_out()
    for name in reader.left_out():
        screen.say(LEFT_OUT.format(name=name))


def _newest(documents: "list[GrantedDocument]") -> "list[GrantedDocument]":
    """One entry for each document: a document of several grants is opened by the one listed last."""
    ordered = sorted(documents, key=lambda each: (each.listed, each.gid))
    return list({_name(each): each for each in ordered}.values())


def _name(granted: "GrantedDocument") -> bytes:
    """What names a document here: its id, then its record's, since whoever knows an id can use it in another record."""
    return granted.document.doc + granted.vault


def _aside(reader: "Practitioner", gid: bytes, refusal: Exception) -> dict[str, Any]:
    from crypto.errors import NotFound

    record = reader.grants.get(gid).state.vault
    said_ended = isinstance(refusal, NotFound)
    return {"grant": gid.hex(), "record": record.hex(), "said_ended": said_ended, "why": str(refusal)}


def _described(granted: "GrantedDocument") -> dict[str, Any]:
    document = granted.document
    return {
        "id": document.doc.hex(),
        "version": document.ver.hex(),
        "record": granted.vault.hex(),
        "person": granted.person or None,
        "grant": granted.gid.hex(),
        "title": document.title,
        "category": document.category,
        "mime": document.mime,
        "date": document.date,
        "bytes": document.length,
    }
