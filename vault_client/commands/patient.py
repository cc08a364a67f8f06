"""``coffre patient``: one's own record."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vault_client.commands import patient_documents, patient_log, patient_sharing
from vault_client.commands.confirmation import add_yes
from vault_client.commands.output import Screen
from vault_client.commands.profiles import add_output, add_profile
from vault_client.commands.secrets_input import add_kit

if TYPE_CHECKING:
    from vault_client.commands import Subcommands

DOC = "a number of the last list, or four or more characters of an id"
SHARING_DAYS = 365

# What people read
ENROLLED = "The record is founded. Its profile is in {folder}."
FINGERPRINT = "Fingerprint: {fingerprint}"
NEXT = "Next: coffre patient add FILE"


def add(commands: "Subcommands") -> None:
    """Every command of a patient."""
    parser = commands("enrol", enrol, "found a record")
    add_profile(parser)
    add_kit(parser)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--server", metavar="URL", help="the address of the server: trust on first use")
    server.add_argument("--card", type=Path, metavar="FILE", help="the server's instance card")

    parser = commands("add", patient_documents.add_files, "encrypt files here and add them")
    add_profile(parser)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    add_profile(commands("list", patient_documents.list_documents, "list the documents"))

    parser = commands("show", patient_documents.show, "say what is known of a document")
    add_profile(parser)
    parser.add_argument("document", metavar="DOC", help=DOC)

    parser = commands("get", patient_documents.get, "fetch a document, verify it, write it to a file")
    add_profile(parser)
    parser.add_argument("document", metavar="DOC", help=DOC)
    add_output(parser, "the new file to write")

    parser = commands("card", card, "show one's own card")
    add_profile(parser)
    add_output(parser, "the file to write, or one's older card", required=False)

    parser = commands("authorise", patient_sharing.authorise, "let a practitioner open documents")
    add_profile(parser)
    parser.add_argument("card", type=Path, metavar="CARD", help="the file of the practitioner's card")
    parser.add_argument("documents", nargs="+", metavar="DOC", help=DOC)
    parser.add_argument(
        "--days",
        type=int,
        default=SHARING_DAYS,
        help=f"for how long, {patient_sharing.MAX_DAYS} at most (default: %(default)s)",
    )
    add_yes(parser)

    parser = commands("extend", patient_sharing.extend, "add documents to a grant")
    add_profile(parser)
    parser.add_argument("grant", metavar="GRANT", help=DOC)
    parser.add_argument("documents", nargs="+", metavar="DOC", help=DOC)

    add_profile(commands("grants", patient_sharing.grants, "list who may open what"))

    parser = commands("revoke", patient_sharing.revoke, "end a grant")
    add_profile(parser)
    parser.add_argument("grant", metavar="GRANT", help=DOC)

    for name, run, purpose in (
        ("mask", patient_documents.mask, "leave a document out of every new grant"),
        ("unmask", patient_documents.unmask, "allow a document to be granted again"),
        ("delete", patient_documents.delete, "delete a document for ever"),
    ):
        parser = commands(name, run, purpose)
        add_profile(parser)
        parser.add_argument("document", metavar="DOC", help=DOC)
        if run is patient_documents.delete:
            add_yes(parser)

    for name, run, purpose in (
        ("block", patient_sharing.block, "grant nothing more to someone"),
        ("unblock", patient_sharing.unblock, "allow grants to someone again"),
    ):
        parser = commands(name, run, purpose)
        add_profile(parser)
        parser.add_argument("identity", metavar="IDENTITY", help="a card's file, an id, or a fingerprint")

    add_profile(commands("log", patient_log.log, "read and check who did what"))


async def enrol(arguments: Namespace, screen: Screen) -> None:
    """Make an identity and found a record."""
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profiles import folder, fresh_store, instance_card
    from vault_client.commands.secrets_input import KIT_WRITTEN, kit_keeper
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
        if arguments.kit is not None:
            screen.say(KIT_WRITTEN.format(path=arguments.kit))
        screen.say(NEXT)
        show_trust(screen, patient.service)


async def card(arguments: Namespace, screen: Screen) -> None:
    """One's own card, to a file, and its fingerprint."""
    from vault_client.commands.cards import show_card
    from vault_client.commands.profiles import patient

    async with patient(arguments) as (record, _):
        show_card(arguments, screen, record.service, record.own.card(record.service))
