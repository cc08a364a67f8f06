"""``coffre practitioner``: what patients granted."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_client.commands.names import pick, remember, short
from vault_client.commands.output import Screen, amount, day
from vault_client.commands.profiles import add_output, add_profile
from vault_client.commands.secrets_input import add_kit

if TYPE_CHECKING:
    from vault_client.commands import Subcommands
    from vault_client.practitioner import GrantedDocument, Practitioner

GRANTED = "granted"
DOC = "a number of the last list, or four or more characters of an id"

# What people read
ENROLLED = "The identity is made. Its profile is in {folder}."
NOT_CERTIFIED = "Patients can share with it once a registrar has certified its card. Next: coffre practitioner card -o FILE"
CERTIFIED = "Certified as {name}, {profession} ({subject})."
FINGERPRINT = "Fingerprint: {fingerprint}"
GONE = "{title} may have been deleted or masked, or the grant has ended"
NOT_GRANTED = "This document is not granted to you any more"
NOTHING = "Nothing is granted to you now."
REFUSED = "A delivery was not believed: {why}"
WRITTEN = "{title} was verified and written to {path}. The patient's log shows that you opened it."


def add(commands: "Subcommands") -> None:
    """Every command of a practitioner."""
    parser = commands("enrol", enrol, "make an identity that patients can share with")
    add_profile(parser)
    add_kit(parser)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--server", metavar="URL", help="the address of the server: trust on first use")
    server.add_argument("--card", type=Path, metavar="FILE", help="the server's instance card")

    parser = commands("card", card, "show one's own card, for patients and the registrar")
    add_profile(parser)
    add_output(parser, "the file to write, or one's older card", required=False)

    add_profile(commands("list", list_documents, "list what was granted"))

    parser = commands("read", read, "open a document into a file; the patient sees it in the log")
    add_profile(parser)
    parser.add_argument("document", metavar="DOC", help=DOC)
    add_output(parser, "the new file to write")


async def enrol(arguments: Namespace, screen: Screen) -> None:
    """Make an identity."""
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profiles import folder, fresh_store, instance_card
    from vault_client.commands.secrets_input import KIT_WRITTEN, kit_keeper
    from vault_client.commands.trust_line import show_trust
    from vault_client.practitioner import Practitioner

    keep_kit, instance = kit_keeper(arguments), instance_card(arguments.card)
    store, place = fresh_store(arguments), folder(arguments)
    async with await Practitioner.begin(
        store, place, url=arguments.server, card=instance, keep_kit=keep_kit
    ) as practitioner:
        print_of = fingerprint(practitioner.own.identity)
        screen.result |= {
            "identity": practitioner.own.identity.hex(),
            "fingerprint": print_of,
            "folder": str(place),
        }
        screen.say(ENROLLED.format(folder=place))
        screen.say(FINGERPRINT.format(fingerprint=print_of))
        if arguments.kit is not None:
            screen.say(KIT_WRITTEN.format(path=arguments.kit))
        screen.say(NOT_CERTIFIED)
        show_trust(screen, practitioner.service)


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


async def list_documents(arguments: Namespace, screen: Screen) -> None:
    """Take in what was granted, open its listings, and show them."""
    from vault_client.commands.profiles import practitioner
    from vault_client.commands.trust_line import show_trust

    async with practitioner(arguments) as (reader, store):
        refused = await reader.sync()
        documents = _newest(await reader.listing())
        documents.sort(key=lambda each: (each.document.title, each.document.doc))
        documents.sort(key=lambda each: each.document.date, reverse=True)
        remember(store, GRANTED, (each.document.doc for each in documents))
        screen.result |= {"documents": [_described(each) for each in documents], "refused": refused}
        if not documents:
            screen.say(NOTHING)
        else:
            screen.table(
                ("", "Id", "Record", "Date", "Category", "Title", "Size", "Until"),
                [
                    (
                        str(number),
                        short(each.document.doc),
                        short(each.vault),
                        each.document.date,
                        each.document.category,
                        each.document.title,
                        amount(each.document.length),
                        day(reader.grants.get(each.gid).state.event.expiry),
                    )
                    for number, each in enumerate(documents, 1)
                ],
            )
        for why in refused:
            screen.say(REFUSED.format(why=why))
        show_trust(screen, reader.service)


async def read(arguments: Namespace, screen: Screen) -> None:
    """Open a document into a file that is not there yet."""
    from crypto.errors import NotFound
    from vault_client.commands.profiles import check_free, practitioner
    from vault_client.commands.trust_line import show_trust

    check_free(arguments.output)
    async with practitioner(arguments) as (reader, store):
        documents = {each.document.doc: each for each in _newest(reader.documents())}
        doc = pick(store, GRANTED, arguments.document, documents)
        if doc not in documents:  # a number of a list that is out of date
            raise NotFound(NOT_GRANTED)
        title = documents[doc].document.title
        with screen.progress(arguments.output.name) as progress:
            try:
                await reader.read(documents[doc], arguments.output, progress=progress)
            except NotFound:
                raise NotFound(GONE.format(title=title)) from None
        screen.result |= {**_described(documents[doc]), "path": str(arguments.output)}
        screen.say(WRITTEN.format(title=title, path=arguments.output))
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


def _newest(documents: "list[GrantedDocument]") -> "list[GrantedDocument]":
    """One entry for each document: a document of several grants is opened by the one listed last."""
    ordered = sorted(documents, key=lambda each: (each.listed, each.gid))
    return list({each.document.doc: each for each in ordered}.values())


def _described(granted: "GrantedDocument") -> dict[str, Any]:
    document = granted.document
    return {
        "id": document.doc.hex(),
        "version": document.ver.hex(),
        "record": granted.vault.hex(),
        "grant": granted.gid.hex(),
        "title": document.title,
        "category": document.category,
        "mime": document.mime,
        "date": document.date,
        "bytes": document.length,
    }
