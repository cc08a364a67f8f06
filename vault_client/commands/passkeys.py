"""``passkeys``: the account's second gate, for patients and practitioners alike."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from languages.asking import add_yes
from languages.catalogue import spoken
from vault_client.commands.confirmation import check_answerable, confirm
from vault_client.commands.names import NAME, pick, remember, short
from vault_client.commands.output import Screen, Usage, day
from vault_client.commands.profiles import add_profile

if TYPE_CHECKING:
    from crypto.wire.passkeys import Passkeys
    from vault_client.account_passkeys import AccountPasskeys
    from vault_client.commands import Subcommands
    from vault_client.device_store import DeviceStore

PASSKEYS = "passkeys"

# What people read
ADDED = "This device has a passkey of the account now."
REMOVE = "The passkey {id} will open nothing any more. What needs a passkey, as adding a device, is then done with one of the others."
REMOVED = "The passkey {id} is removed."
NEITHER = "To remove one, name it; the other commands take no name. Nothing was done."
NONE = "The account has no passkey, so a device alone can change who gets at it."
HOW_TO_ADD = "To make one here: coffre {noun} passkeys add"
EACH = "Each session needs a passkey."
NOT_EACH = "A passkey is needed to change who gets at the account, and not at each session."
HERE, SYNCED = "on this device", "copied by its maker"


def add_passkeys(commands: "Subcommands") -> ArgumentParser:
    """The command ``passkeys`` of a noun."""
    parser = add_profile(commands("passkeys", passkeys, "list, add or remove the account's passkeys"))
    parser.add_argument("action", nargs="?", choices=("list", "add", "remove"), default="list")
    parser.add_argument("passkey", nargs="?", metavar="PASSKEY", help=f"to remove: {NAME}")
    parser.add_argument("--each-session", choices=("on", "off"), help="whether each session needs a passkey")
    add_yes(parser)
    return parser


async def passkeys(arguments: Namespace, screen: Screen) -> None:
    """Do what was asked, then list the passkeys."""
    removes = arguments.action == "remove"
    if removes != (arguments.passkey is not None):
        raise Usage(NEITHER)
    if removes:
        check_answerable(arguments)
    async with _opened(arguments, screen) as (own, store):
        if arguments.action == "add":
            await own.add()
            screen.say(ADDED)
        if removes:
            ids = [each.credential for each in (await own.known()).passkeys]
            credential = pick(store, PASSKEYS, arguments.passkey, ids)
            confirm(arguments, REMOVE.format(id=short(credential)))
            await own.remove(credential)
            screen.say(REMOVED.format(id=short(credential)))
        if arguments.each_session is not None:
            await own.set_each_session(required=arguments.each_session == "on")
        _show(arguments, screen, store, own, await own.known())


def _show(
    arguments: Namespace, screen: Screen, store: "DeviceStore", own: "AccountPasskeys", known: "Passkeys"
) -> None:
    remember(store, PASSKEYS, (each.credential for each in known.passkeys))
    screen.result |= {
        "passkeys": [
            {
                "id": each.credential.hex(),
                "added": each.added,
                "here": each.credential == own.own,
                "synced": each.synced,
            }
            for each in known.passkeys
        ],
        "each_session": known.each_session,
    }
    if not known.passkeys:
        screen.say(NONE)
        screen.say(HOW_TO_ADD.format(noun=arguments.noun))
        return
    rows = []
    for number, each in enumerate(known.passkeys, 1):
        where = spoken(HERE) if each.credential == own.own else spoken(SYNCED) if each.synced else ""
        rows.append((str(number), short(each.credential), day(each.added), where))
    screen.table(("", "Id", "Added", ""), rows)
    screen.say(EACH if known.each_session else NOT_EACH)


@asynccontextmanager
async def _opened(
    arguments: Namespace, screen: Screen
) -> "AsyncIterator[tuple[AccountPasskeys, DeviceStore]]":
    from vault_client.commands.profiles import patient, practitioner

    if arguments.noun == "patient":
        async with patient(arguments, screen) as (record, store):
            yield record.passkeys, store
    else:
        async with practitioner(arguments, screen) as (reader, store):
            yield reader.passkeys, store
