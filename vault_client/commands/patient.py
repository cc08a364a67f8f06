"""``coffre patient``: one's own record."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from languages.asking import add_yes
from vault_client.commands import (
    patient_documents,
    patient_erasing,
    patient_export,
    patient_grants,
    patient_import,
    patient_log,
    patient_queue,
    patient_sharing,
    patient_watch,
)
from vault_client.commands.acts import add_acts
from vault_client.commands.cards import add_card
from vault_client.commands.devices import add_devices
from vault_client.commands.enrolment import add_enrol, enrolled
from vault_client.commands.names import NAME, short
from vault_client.commands.output import Screen, counted
from vault_client.commands.passkeys import add_passkeys
from vault_client.commands.profiles import add_output, add_profile
from vault_client.commands.purpose_codes import SOME_CODES, purpose_code
from vault_client.commands.restoring import add_restore, add_without_lost, restored
from vault_client.commands.secrets_input import note_vault
from vault_client.sharing_terms import ACTS, MAX_SHARING_DAYS, SHARING_DAYS

if TYPE_CHECKING:
    from vault_client.commands import Subcommands

# What people read
ENROLLED = "The record is founded. Its profile is in {folder}."
NEXT = "Next: coffre patient add FILE"
RESTORED = "The record is restored. Its profile is in {folder}. Every other device was removed."
ABOUT = "It says that it is about {name}."
HOLDS = "It holds {documents}. Every change was compared with the log, and its keys were changed."
NOT_RENEWED = "Grant {id} goes on under keys that a removed device knows: it could not be keyed anew. {why}"
ALARMS = "The log has {alarms}, from before. Look at them with: coffre patient log"


def add(commands: "Subcommands") -> None:
    """Every command of a patient."""
    parser = add_enrol(commands, enrol, "found a record")
    parser.add_argument(
        "--name", default="", metavar="NAME", help="whose record it is: everybody you share with will be told"
    )
    add_without_lost(add_restore(commands, restore, "get a lost record back with its recovery kit"))
    add_devices(commands, devices)
    _add_documents(commands)
    add_card(commands, card, "show one's own card")
    _add_sharing(commands)
    _add_queue(commands)
    patient_log.add(commands)
    patient_erasing.add(commands)
    patient_watch.add(commands)
    add_passkeys(commands)
    _add_exports(commands)


def _add_documents(commands: "Subcommands") -> None:
    parser = add_profile(commands("add", patient_documents.add_files, "encrypt files here and add them"))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    add_profile(commands("list", patient_documents.list_documents, "list the documents"))

    for name, run, purpose in (
        ("show", patient_documents.show, "say what is known of a document"),
        ("get", patient_documents.get, "fetch a document, verify it, write it to a file"),
        ("mask", patient_documents.mask, "have a document opened by nobody else, and granted to nobody new"),
        ("unmask", patient_documents.unmask, "let a document be granted and opened again"),
        ("delete", patient_documents.delete, "delete a document for ever"),
    ):
        parser = add_profile(commands(name, run, purpose))
        parser.add_argument("document", metavar="DOC", help=NAME)
        if run is patient_documents.get:
            add_output(parser, "the new file to write")
        elif run is patient_documents.delete:
            add_yes(parser)


def _add_sharing(commands: "Subcommands") -> None:
    parser = add_profile(
        commands("authorise", patient_sharing.authorise, "let a practitioner open documents")
    )
    parser.add_argument("card", type=Path, metavar="CARD", help="the file of the practitioner's card")
    parser.add_argument("documents", nargs="+", metavar="DOC", help=NAME)
    parser.add_argument(
        "--days",
        type=int,
        default=SHARING_DAYS,
        metavar="N",
        help=f"for how many days, {MAX_SHARING_DAYS} at most (default: %(default)s)",
    )
    add_acts(
        parser,
        ACTS,
        "what it allows: release (to open), prefetch (to fetch ahead), reopen (to open what was fetched ahead), export (to take into "
        "another system); all of it unless told, and the list comes with each",
    )
    parser.add_argument(
        "--met-again",
        action="store_true",
        help="their keys were recovered or reset, you asked them in person about it, and this is their new card",
    )
    add_yes(parser)

    parser = add_profile(commands("extend", patient_sharing.extend, "add documents to a grant"))
    parser.add_argument("grant", metavar="GRANT", help=NAME)
    parser.add_argument("documents", nargs="+", metavar="DOC", help=NAME)

    parser = add_profile(
        commands("withdraw", patient_sharing.withdraw, "take documents out of a grant in force")
    )
    parser.add_argument("grant", metavar="GRANT", help=NAME)
    parser.add_argument("documents", nargs="+", metavar="DOC", help=NAME)

    parser = add_profile(
        commands("amend", patient_sharing.amend, "change what a grant allows, and until when")
    )
    parser.add_argument("grant", metavar="GRANT", help=NAME)
    parser.add_argument(
        "--days",
        type=int,
        metavar="N",
        help=f"for how many days from now, {MAX_SHARING_DAYS} at most",
    )
    add_acts(parser, None, "what it allows from now on")
    parser.add_argument(
        "--purposes", nargs="+", type=purpose_code, metavar="CODE", help=f"for what from now on: {SOME_CODES}"
    )

    parser = add_profile(commands("grants", patient_grants.grants, "list who may open what"))
    parser.add_argument("grant", nargs="?", metavar="GRANT", help="one grant, with all that became of it")

    parser = add_profile(commands("revoke", patient_sharing.revoke, "end a grant"))
    parser.add_argument("grant", metavar="GRANT", help=NAME)

    for name, run, purpose in (
        ("block", patient_sharing.block, "grant nothing more to someone"),
        ("unblock", patient_sharing.unblock, "allow grants to someone again"),
    ):
        parser = add_profile(commands(name, run, purpose))
        parser.add_argument("identity", metavar="IDENTITY", help="a card's file, an id, or a fingerprint")


def _add_queue(commands: "Subcommands") -> None:
    purpose = "send the changes that wait on this device, and take in those of other devices"
    add_profile(commands("sync", patient_queue.sync, purpose))

    purpose = "take back a change that waits on this device"
    parser = add_profile(commands("cancel", patient_queue.cancel, purpose))
    parser.add_argument("change", metavar="CHANGE", help=NAME)


def _add_exports(commands: "Subcommands") -> None:
    purpose = "write the whole record into a folder, in the clear"
    parser = add_profile(commands("export", patient_export.export, purpose))
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder, or an empty one")

    parser = commands("verify-export", patient_export.verify_export, "check an export, without a server")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of an export")
    parser.add_argument(
        "--card", type=Path, metavar="FILE", help="the instance card of the service it was exported from"
    )

    purpose = "found a record that goes on from an export"
    parser = add_enrol(commands, patient_import.import_record, purpose, name="import")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of an export")
    add_yes(parser)

    purpose = "read and check the log of the record that was imported"
    parser = add_profile(commands("history", patient_import.history, purpose))
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the folder of its export, where this device has none of it",
    )


async def enrol(arguments: Namespace, screen: Screen) -> None:
    """Make an identity and found a record."""
    from vault_client.patient import Patient

    async with enrolled(arguments, screen, Patient, ENROLLED, person=arguments.name) as patient:
        screen.result["vault"] = patient.vault.hex()
        if arguments.kit is not None:
            note_vault(arguments.kit, patient.vault)
        screen.say(NEXT)


async def restore(arguments: Namespace, screen: Screen) -> None:
    """Recover the identity, follow and check the record, and key anew what is shared."""
    from vault_client.patient import Patient

    async with restored(arguments, screen, Patient, RESTORED) as record:
        await record.sync()
        documents, refused = record.documents(), record.renewal.refused
        person = record.replica.local.keyring.person
        alarms = (await record.log()).alarms
        screen.result |= {
            "vault": record.vault.hex(),
            "name": person.name if person is not None else None,
            "documents": len(documents),
            "not_renewed": [
                {"grant": gid.hex(), "message": str(refusal)} for gid, refusal in refused.items()
            ],
            "alarms": len(alarms),
        }
        if person is not None:
            screen.say(ABOUT.format(name=person.name))
        screen.say(HOLDS.format(documents=counted(len(documents), "document")))
        for gid, refusal in refused.items():
            screen.say(NOT_RENEWED.format(id=short(gid), why=refusal))
        if alarms:
            screen.say(ALARMS.format(alarms=counted(len(alarms), "alarm")))


async def devices(arguments: Namespace, screen: Screen) -> None:
    """One's devices, and the uses of the kit."""
    from vault_client.commands.devices import show_devices
    from vault_client.commands.profiles import patient

    async with patient(arguments, screen) as (record, _):
        await show_devices(screen, record)


async def card(arguments: Namespace, screen: Screen) -> None:
    """One's own card, to a file, and its fingerprint."""
    from vault_client.commands.cards import show_card
    from vault_client.commands.profiles import patient

    async with patient(arguments, screen) as (record, _):
        show_card(arguments, screen, record.service, record.own.card(record.service))
