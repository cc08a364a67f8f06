"""``enrol``: what patients and practitioners are asked for, and what both are told when it is done.

``restoring`` asks for the same server, and says who it is with the same words.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault_client.commands.output import Screen
from vault_client.commands.profiles import Member, add_profile, server_url
from vault_client.commands.secrets_input import add_kit

if TYPE_CHECKING:
    from vault_client.commands import Command, Subcommands
    from vault_client.patient import Patient
    from vault_client.practitioner import Practitioner

# What people read
FINGERPRINT = "Fingerprint: {fingerprint}"


def add_enrol(
    commands: "Subcommands", run: "Command", purpose: str, *, name: str = "enrol"
) -> ArgumentParser:
    """The command ``enrol`` of a noun, or one that enrols on its way."""
    parser = add_profile(commands(name, run, purpose))
    add_kit(parser)
    add_server(parser, required=True)
    return parser


def add_server(parser: ArgumentParser, *, required: bool) -> None:
    """The options that name a server that this profile has not met yet."""
    server = parser.add_mutually_exclusive_group(required=required)
    server.add_argument(
        "--server", type=server_url, metavar="URL", help="the address of the server: trust on first use"
    )
    server.add_argument("--card", type=Path, metavar="FILE", help="the server's instance card")


@asynccontextmanager
async def enrolled(
    arguments: Namespace, screen: Screen, sdk: type[Member], done: str, **more: Any
) -> AsyncIterator[Member]:
    """Enrol and say so, ``done`` first; what the block says comes before the line on trust.

    ``more``: what only this SDK is told.
    """
    from vault_client.commands.profiles import folder, fresh_store, instance_card
    from vault_client.commands.secrets_input import KIT_WRITTEN, kit_keeper
    from vault_client.commands.trust_line import show_trust

    keep_kit, instance = kit_keeper(arguments), instance_card(arguments.card)
    store, place = fresh_store(arguments), folder(arguments)
    async with await sdk.begin(
        store, place, url=arguments.server, card=instance, keep_kit=keep_kit, **more
    ) as member:
        introduce(screen, member, place, done)
        if arguments.kit is not None:
            screen.say(KIT_WRITTEN.format(path=arguments.kit))
        yield member
        show_trust(screen, member.service)


def introduce(screen: Screen, member: "Patient | Practitioner", place: Path, done: str) -> None:
    """Say that a profile is there, ``done``, and whose it is."""
    from crypto.wire.cards import fingerprint

    print_of = fingerprint(member.own.identity)
    screen.result |= {"identity": member.own.identity.hex(), "fingerprint": print_of, "folder": str(place)}
    screen.say(done.format(folder=place))
    screen.say(FINGERPRINT.format(fingerprint=print_of))
