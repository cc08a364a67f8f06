"""``coffre practitioner``: who one is, and what patients granted."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from vault_client.commands import practitioner_reading, practitioner_watch
from vault_client.commands.cards import add_card
from vault_client.commands.devices import add_devices
from vault_client.commands.enrolment import add_enrol, enrolled
from vault_client.commands.granted_list import GRANTED, described, in_order, name_of, newest, row
from vault_client.commands.list_ages import show_lists
from vault_client.commands.names import remember, short
from vault_client.commands.output import Screen
from vault_client.commands.passkeys import add_passkeys
from vault_client.commands.practitioner_reading import say_kept
from vault_client.commands.profiles import add_profile
from vault_client.commands.restoring import add_restore, restored

if TYPE_CHECKING:
    from vault_client.commands import Subcommands
    from vault_client.practitioner import Practitioner

# What people read
ENROLLED = "The identity is made. Its profile is in {folder}."
RESTORED = "The identity is restored. Its profile is in {folder}. Every other device was removed."
NEXT_LIST = "What patients granted opens as before. Next: coffre practitioner list"
NOT_CERTIFIED = "Patients can share with you once a registrar has certified your card."
NEXT = "Next: coffre practitioner card -o FILE"
NEXT_REGISTRAR = "Next: give {path} to the registrar."
CERTIFIED = "Certified as {name}, {profession} ({subject})."
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


def add(commands: "Subcommands") -> None:
    """Every command of a practitioner."""
    add_enrol(commands, enrol, "make an identity that patients can share with")
    add_restore(commands, restore, "get a lost identity back with its recovery kit")
    add_devices(commands, devices)
    add_card(commands, card, "show one's own card, for patients and the registrar")
    add_profile(commands("list", list_documents, "list what was granted"))

    practitioner_reading.add(commands)
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

    async with practitioner(arguments, screen) as (reader, _):
        await show_devices(screen, reader)


async def card(arguments: Namespace, screen: Screen) -> None:
    """One's own card with the certificates on it, to a file, and its fingerprint."""
    from vault_client.commands.cards import show_card
    from vault_client.commands.profiles import practitioner

    async with practitioner(arguments, screen) as (reader, _):
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

    async with practitioner(arguments, screen) as (reader, store):
        refused = await reader.sync()
        documents = in_order(newest(await reader.listing()))
        remember(store, GRANTED, map(name_of, documents))
        aside = [_aside(reader, gid, refusal) for gid, refusal in reader.set_aside().items()]
        screen.result |= {
            "documents": [described(each) for each in documents],
            "refused": refused,
            "set_aside": aside,
        }
        if not documents and not aside:
            screen.say(NOTHING)
        elif documents:
            screen.table(
                ("", "Id", "Record", "Date", "Category", "Title", "Size", "Until"),
                [row(reader, number, each) for number, each in enumerate(documents, 1)],
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
        say_kept(reader, screen)
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


def _aside(reader: "Practitioner", gid: bytes, refusal: Exception) -> dict[str, Any]:
    from crypto.errors import NotFound

    record = reader.grants.get(gid).state.vault
    said_ended = isinstance(refusal, NotFound)
    return {"grant": gid.hex(), "record": record.hex(), "said_ended": said_ended, "why": str(refusal)}
