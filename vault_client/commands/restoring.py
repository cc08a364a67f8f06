"""``restore``: getting an identity back with its recovery kit, for patients and practitioners."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from languages.asking import add_yes
from vault_client.commands.confirmation import check_answerable, confirm
from vault_client.commands.enrolment import add_server, introduce
from vault_client.commands.output import Screen, Usage
from vault_client.commands.profiles import Member, add_profile

if TYPE_CHECKING:
    from vault_client.commands import Command, Subcommands
    from vault_client.open_profile import Restoration

# What people read
NEEDED = "Needs the kit's file; or the server, and the kit typed at the terminal or read from --kit-fd N."
FILE_ALONE = (
    "The kit's file says which server is meant. Nothing was done. Leave --server, --card and --kit-fd away."
)
NO_SERVER = "Without the kit's file the server must be named. Nothing was done. Add --kit FILE, or --server or --card."
CONFIRM = (
    "This removes every other device from your identity, at once and for ever: what is on them still opens what they "
    "hold, and nothing new. Patients and practitioners you know will be asked to compare again that you are you."
)
KIT_STAYS = "The kit stays good: put it away again, apart from this computer."


def add_restore(commands: "Subcommands", run: "Command", purpose: str) -> ArgumentParser:
    """The command ``restore`` of a noun."""
    parser = commands("restore", run, purpose)
    parser.epilog = NEEDED
    add_profile(parser)
    parser.add_argument("--kit", type=Path, metavar="FILE", help="the recovery kit's file")
    parser.add_argument("--kit-fd", type=int, metavar="N", help="read the kit's text from file descriptor N")
    add_server(parser, required=False)
    add_yes(parser)
    return parser


def add_without_lost(parser: ArgumentParser) -> None:
    """The option of a patient to restore what is left."""
    parser.add_argument(
        "--without-lost",
        action="store_true",
        help="although the service declares to have lost what may be changes of the record",
    )


@asynccontextmanager
async def restored(
    arguments: Namespace, screen: Screen, sdk: type[Member], done: str
) -> AsyncIterator[Member]:
    """Restore and say so, ``done`` first; what the block says comes before the line on trust."""
    from vault_client.commands.profiles import folder, store_to_restore_in
    from vault_client.commands.trust_line import show_trust

    check_answerable(arguments)
    how = _restoration(arguments)
    how["without_lost"] = vars(arguments).get("without_lost", False)
    confirm(arguments, CONFIRM)
    store, place = store_to_restore_in(arguments), folder(arguments)
    async with await sdk.restore(store, place, **how) as member:
        introduce(screen, member, place, done)
        yield member
        screen.say(KIT_STAYS)
        show_trust(screen, member.service)


def _restoration(arguments: Namespace) -> "Restoration":
    """What is restored, and where: from the kit's file, or from its text and the server named."""
    from crypto.labels import SUITE
    from crypto.sealed.recovery import Kit, read_kit_file
    from crypto.trust_root import InstanceCard
    from vault_client.commands.profiles import instance_card, read_text
    from vault_client.commands.secrets_input import typed_kit

    elsewhere = (arguments.server, arguments.card, arguments.kit_fd)
    if arguments.kit is not None:
        if elsewhere != (None, None, None):
            raise Usage(FILE_ALONE)
        file = read_kit_file(read_text(arguments.kit))
        card = InstanceCard(suite=SUITE, url=file.url, root=file.root)
        return {"kit": file.kit, "card": card, "identity": file.identity, "vault": file.vault}
    if (arguments.server, arguments.card) == (None, None):
        raise Usage(NO_SERVER)
    card_named = instance_card(arguments.card)
    return {"kit": Kit.from_text(typed_kit(arguments)), "url": arguments.server, "card": card_named}
