"""``coffre demo``: the whole story on this machine."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vault_client.commands.output import Screen

if TYPE_CHECKING:
    from vault_client.commands import Subcommands

# What people read
NOT_HELD = "Not everything held: {problems}."


def add(commands: "Subcommands") -> None:
    """``demo``."""
    parser = commands("demo", demo, "the whole story, against a real server and keepers on this machine")
    parser.add_argument(
        "--documents", type=Path, metavar="DIR", help="every file of DIR, instead of documents made here"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave everything in DIR, which must be empty"
    )


async def demo(arguments: Namespace, screen: Screen) -> None:
    """Play the story. Exit code 0 only when everything held."""
    from crypto.errors import NotProven
    from vault_client.commands.processes import check_installed
    from vault_client.demo.narration import Narration
    from vault_client.demo.play import play

    check_installed()
    told = await play(arguments.documents, arguments.keep, Narration(quiet=screen.as_json), screen.result)
    if told.problems:
        raise NotProven(NOT_HELD.format(problems="; ".join(told.problems)))
