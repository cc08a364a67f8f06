"""``coffre patient``: one's own record."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_client.commands.names import pick, pick_all, remember, short
from vault_client.commands.output import Screen, Usage, amount, day
from vault_client.commands.profile import add_profile
from vault_client.commands.secrets_input import add_kit

if TYPE_CHECKING:
    from vault_client.commands import Subcommands
    from vault_client.patient import Patient, PatientDocument
    from vault_client.vault_replica import LocalGrant

DOCUMENTS = "documents"
GRANTS = "grants"
DOC = "a number of the last list, or four or more characters of an id"
SHARING_DAYS = 365

# What people read
ENROLLED = "The record is founded. Its profile is in {folder}."
FINGERPRINT = "Fingerprint: {fingerprint}"
ADDED = "Added {id}  {title} ({size})"
NO_DOCUMENTS = "There is no document in this record yet. Add one: coffre patient add FILE"
WRITTEN = "{title} was verified and written to {path}."
CARD_WRITTEN = "The card was written to {path}."
AUTHORISED = "{name} ({subject}) may open {count} document(s) until {until}. Grant {id}."
COMPARE = "Compare in person: their fingerprint is {fingerprint}"
EXTENDED = "Grant {id} was extended: {name} may open {count} document(s) more."
NO_GRANTS = "Nobody may open anything."
REVOKED = "Grant {id} is ended. What {name} opened already cannot be unread."
MASKED = "{title} is left out of every new grant. Grants in force are ended one by one, with revoke."
UNMASKED = "{title} may be granted again."
BLOCKED = "Nothing more will be granted to {who}. Grants in force are ended one by one, with revoke."
UNBLOCKED = "{who} may be granted documents again."
DELETED = "{title} is deleted for ever."
NOBODY = (
    "“{word}” is neither a card's file, nor an id, nor the beginning of the id or fingerprint of someone you shared "
    "with. Nothing was done."
)
IN_FORCE, ENDED, ENDING, EXPIRED = "in force", "ended", "sent, not yet in force", "expired"


def add(commands: "Subcommands") -> None:
    """Every command of a patient."""
    parser = commands("enrol", enrol, "found a record")
    add_profile(parser)
    add_kit(parser)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--server", metavar="URL", help="the address of the server: trust on first use")
    server.add_argument("--card", type=Path, metavar="FILE", help="the server's instance card")

    parser = commands("add", add_files, "encrypt files here and add them")
    add_profile(parser)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    add_profile(commands("list", list_documents, "list the documents"))

    parser = commands("show", show, "say what is known of a document")
    add_profile(parser)
    parser.add_argument("document", metavar="DOC", help=DOC)

    parser = commands("get", get, "fetch a document, verify it, write it to a file")
    add_profile(parser)
    parser.add_argument("document", metavar="DOC", help=DOC)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)

    parser = commands("card", card, "show one's own card")
    add_profile(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")

    parser = commands("authorise", authorise, "let a practitioner open documents")
    add_profile(parser)
    parser.add_argument("card", type=Path, metavar="CARD", help="the file of the practitioner's card")
    parser.add_argument("documents", nargs="+", metavar="DOC", help=DOC)
    parser.add_argument("--days", type=int, default=SHARING_DAYS, help="for how long (default: %(default)s)")

    parser = commands("extend", extend, "add documents to a grant")
    add_profile(parser)
    parser.add_argument("grant", metavar="GRANT", help=DOC)
    parser.add_argument("documents", nargs="+", metavar="DOC", help=DOC)

    add_profile(commands("grants", grants, "list who may open what"))

    parser = commands("revoke", revoke, "end a grant")
    add_profile(parser)
    parser.add_argument("grant", metavar="GRANT", help=DOC)

    for name, run, purpose in (
        ("mask", mask, "leave a document out of every new grant"),
        ("unmask", unmask, "allow a document to be granted again"),
        ("delete", delete, "delete a document for ever"),
    ):
        parser = commands(name, run, purpose)
        add_profile(parser)
        parser.add_argument("document", metavar="DOC", help=DOC)

    for name, run, purpose in (
        ("block", block, "grant nothing more to someone"),
        ("unblock", unblock, "allow grants to someone again"),
    ):
        parser = commands(name, run, purpose)
        add_profile(parser)
        parser.add_argument("identity", metavar="IDENTITY", help="a card's file, an id, or a fingerprint")

    # Reading the log has a file of its own: it is the one long screen.
    from vault_client.commands import patient_log

    add_profile(commands("log", patient_log.log, "read and check who did what"))


async def enrol(arguments: Namespace, screen: Screen) -> None:
    """Make an identity and found a record."""
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profile import folder, fresh_store, instance_card
    from vault_client.commands.secrets_input import kit_keeper
    from vault_client.commands.trust_line import show_trust
    from vault_client.patient import Patient

    keep_kit, instance = kit_keeper(arguments), instance_card(arguments.card)
    store, place = fresh_store(arguments), folder(arguments)
    async with await Patient.begin(
        store, place, url=arguments.server, card=instance, keep_kit=keep_kit
    ) as patient:
        print_of = fingerprint(patient.own.identity)
        screen.result |= {
            "identity": patient.own.identity.hex(),
            "fingerprint": print_of,
            "vault": patient.replica.vault.hex(),
            "folder": str(place),
        }
        screen.say(ENROLLED.format(folder=place))
        screen.say(FINGERPRINT.format(fingerprint=print_of))
        show_trust(screen, patient.service)


async def add_files(arguments: Namespace, screen: Screen) -> None:
    """Add files one after the other; those before a refusal stay."""
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, _):
        screen.result["documents"] = []
        for path in arguments.files:
            with screen.progress(path.name) as progress:
                document = await record.add(path, progress=progress)
            screen.result["documents"].append(_described(document))
            descriptor = document.descriptor
            screen.say(
                ADDED.format(id=short(document.doc), title=descriptor.title, size=amount(descriptor.length))
            )


async def list_documents(arguments: Namespace, screen: Screen) -> None:
    """The documents, newest first."""
    from vault_client.commands.profile import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments) as (record, store):
        await record.replica.sync()
        documents = sorted(record.documents(), key=lambda each: (each.descriptor.title, each.doc))
        documents.sort(key=lambda each: each.descriptor.date, reverse=True)
        remember(store, DOCUMENTS, (document.doc for document in documents))
        screen.result["documents"] = [_described(document) for document in documents]
        if not documents:
            screen.say(NO_DOCUMENTS)
        else:
            screen.table(
                ("", "Id", "Date", "Category", "Title", "Size", ""),
                [_row(number, document) for number, document in enumerate(documents, 1)],
            )
        show_trust(screen, record.service)


async def show(arguments: Namespace, screen: Screen) -> None:
    """One document, as its descriptor has it."""
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, _docs(record)))
        screen.result |= _described(document)
        for name, value in _described(document).items():
            screen.say(f"{name:<9} {value}")


async def get(arguments: Namespace, screen: Screen) -> None:
    """A document into a file that is not there yet."""
    from vault_client.commands.profile import check_free, patient

    check_free(arguments.output)
    async with patient(arguments) as (record, store):
        doc = pick(store, DOCUMENTS, arguments.document, _docs(record))
        with screen.progress(arguments.output.name) as progress:
            document = await record.get(doc, arguments.output, progress=progress)
        screen.result |= {**_described(document), "path": str(arguments.output)}
        screen.say(WRITTEN.format(title=document.descriptor.title, path=arguments.output))


async def card(arguments: Namespace, screen: Screen) -> None:
    """One's own card, to a file or to stdout."""
    from vault_client.commands.cards import show_card
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, _):
        show_card(arguments, screen, record.service, record.own.card(record.service))


async def authorise(arguments: Namespace, screen: Screen) -> None:
    """Let the person on a card open documents."""
    from crypto.wire.cards import card_fingerprint, read_card
    from vault_client.commands.profile import patient, read_text
    from vault_client.commands.trust_line import show_trust

    if arguments.days < 1:
        raise Usage("--days must be at least 1. Nothing was shared.")
    recipient = read_card(read_text(arguments.card))
    async with patient(arguments) as (record, store):
        documents = pick_all(store, DOCUMENTS, arguments.documents, _docs(record))
        grant = await record.authorise(recipient, documents, days=arguments.days)
        screen.result |= {**_granted(grant, record), "fingerprint": card_fingerprint(recipient)}
        screen.say(
            AUTHORISED.format(
                name=grant.name,
                subject=grant.subject,
                count=len(documents),
                until=day(grant.expiry),
                id=short(grant.entry.gid),
            )
        )
        screen.say(COMPARE.format(fingerprint=card_fingerprint(recipient)))
        show_trust(screen, record.service)


async def extend(arguments: Namespace, screen: Screen) -> None:
    """Add documents to a grant in force."""
    from vault_client.commands.profile import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments) as (record, store):
        gid = pick(store, GRANTS, arguments.grant, _gids(record))
        documents = pick_all(store, DOCUMENTS, arguments.documents, _docs(record))
        grant = await record.extend(gid, documents)
        screen.result |= _granted(grant, record)
        screen.say(EXTENDED.format(id=short(gid), name=grant.name, count=len(documents)))
        show_trust(screen, record.service)


async def grants(arguments: Namespace, screen: Screen) -> None:
    """Who may open what, newest first."""
    from vault_client.commands.profile import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments) as (record, store):
        await record.replica.sync()
        made = sorted(record.grants(), key=lambda grant: (-grant.made, grant.entry.gid))
        remember(store, GRANTS, (grant.entry.gid for grant in made))
        screen.result["grants"] = [_granted(grant, record) for grant in made]
        if not made:
            screen.say(NO_GRANTS)
        else:
            screen.table(
                ("", "Id", "For", "Subject", "Documents", "Until", ""),
                [
                    (
                        str(number),
                        short(grant.entry.gid),
                        grant.name,
                        grant.subject,
                        str(len(list(record.replica.granted(grant.entry.gid)))),
                        day(grant.expiry),
                        _standing(grant, record),
                    )
                    for number, grant in enumerate(made, 1)
                ],
            )
        show_trust(screen, record.service)


async def revoke(arguments: Namespace, screen: Screen) -> None:
    """End a grant."""
    from vault_client.commands.profile import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments) as (record, store):
        grant = await record.revoke(pick(store, GRANTS, arguments.grant, _gids(record)))
        screen.result |= _granted(grant, record)
        screen.say(REVOKED.format(id=short(grant.entry.gid), name=grant.name))
        show_trust(screen, record.service)


async def mask(arguments: Namespace, screen: Screen) -> None:
    """Leave a document out of every new grant."""
    await _mask(arguments, screen, masked=True)


async def unmask(arguments: Namespace, screen: Screen) -> None:
    """Allow a document to be granted again."""
    await _mask(arguments, screen, masked=False)


async def delete(arguments: Namespace, screen: Screen) -> None:
    """Delete a document for ever."""
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, _docs(record)))
        await record.delete(document.doc)
        screen.result |= _described(document)
        screen.say(DELETED.format(title=document.descriptor.title))


async def block(arguments: Namespace, screen: Screen) -> None:
    """Grant nothing more to someone."""
    await _block(arguments, screen, blocked=True)


async def unblock(arguments: Namespace, screen: Screen) -> None:
    """Allow grants to someone again."""
    await _block(arguments, screen, blocked=False)


async def _mask(arguments: Namespace, screen: Screen, *, masked: bool) -> None:
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, store):
        document = _document(record, pick(store, DOCUMENTS, arguments.document, _docs(record)))
        await record.mask(document.doc, masked=masked)
        screen.result |= {**_described(document), "masked": masked}
        screen.say((MASKED if masked else UNMASKED).format(title=document.descriptor.title))


async def _block(arguments: Namespace, screen: Screen, *, blocked: bool) -> None:
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profile import patient

    async with patient(arguments) as (record, _):
        identity = _identity(arguments.identity, record)
        await record.block(identity, blocked=blocked)
        screen.result |= {"identity": identity.hex(), "blocked": blocked}
        screen.say((BLOCKED if blocked else UNBLOCKED).format(who=fingerprint(identity)))


def _identity(word: str, record: "Patient") -> bytes:
    """Whom ``word`` means: the person on a card, a whole id, or someone a grant was made for."""
    from crypto.identity_links import identity_id
    from crypto.wire.cards import fingerprint, read_card
    from vault_client.commands.profile import read_text

    if Path(word).is_file():
        return identity_id(read_card(read_text(Path(word))).chain.links[0].envelope)
    if len(word) == 64 and set(word.lower()) <= set("0123456789abcdef"):
        return bytes.fromhex(word)
    met = {grant.entry.recipient for grant in record.grants()}
    found = [
        each
        for each in met
        if len(word) >= 4
        and (each.hex().startswith(word.lower()) or fingerprint(each).startswith(word.upper()))
    ]
    if len(found) != 1:
        raise Usage(NOBODY.format(word=word))
    return found[0]


def _docs(record: "Patient") -> list[bytes]:
    return [document.doc for document in record.documents()]


def _gids(record: "Patient") -> list[bytes]:
    return [grant.entry.gid for grant in record.grants()]


def _document(record: "Patient", doc: bytes) -> "PatientDocument":
    for document in record.documents():
        if document.doc == doc:
            return document
    raise Usage("This document is no longer in the record. Nothing was done. Show the list again.")


def _described(document: "PatientDocument") -> dict[str, Any]:
    descriptor = document.descriptor
    return {
        "id": document.doc.hex(),
        "version": document.ver.hex(),
        "title": descriptor.title,
        "category": descriptor.category,
        "mime": descriptor.mime,
        "date": descriptor.date,
        "bytes": descriptor.length,
        "masked": document.masked,
    }


def _row(number: int, document: "PatientDocument") -> Sequence[str]:
    descriptor = document.descriptor
    return (
        str(number),
        short(document.doc),
        descriptor.date,
        descriptor.category,
        descriptor.title,
        amount(descriptor.length),
        "masked" if document.masked else "",
    )


def _granted(grant: "LocalGrant", record: "Patient") -> dict[str, Any]:
    return {
        "grant": grant.entry.gid.hex(),
        "identity": grant.entry.recipient.hex(),
        "name": grant.name,
        "subject": grant.subject,
        "documents": [version.doc.hex() for version in record.replica.granted(grant.entry.gid)],
        "until": grant.expiry,
        "state": _standing(grant, record),
    }


def _standing(grant: "LocalGrant", record: "Patient") -> str:
    if grant.entry.ended or grant.end_in_force:
        return ENDED if grant.end_in_force else ENDING
    return EXPIRED if grant.expiry <= record.service.now() else IN_FORCE
