"""The keeper as a program: ``python -m vault_server.keeper init`` makes one, ``serve`` runs it, ``leaves`` writes its leaves down.

Exit codes: 0 done, 1 refused by a check, 2 usage, 3 something could not be reached or read.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from crypto.errors import Unavailable
from languages.catalogue import spoken
from languages.help import SpokenParser
from languages.wrapping import wrapped
from vault_server import program
from vault_server.keeper.founding import found
from vault_server.keeper.keys import CARD
from vault_server.keeper.settings import DEFAULT, Settings

NAME = "coffre keeper"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)

    def command() -> None:
        try:
            options.run(options)
        except OSError as error:
            raise Unavailable(
                f"{options.data} cannot be used ({error.strerror}). Nothing was done."
            ) from None

    return program.exit_code(NAME, command)


def _init(options: argparse.Namespace) -> None:
    card = asyncio.run(found(options.data, url=options.url, name=options.name, operator=options.operator))
    path = options.data / CARD
    if options.json:
        print(json.dumps({"name": card.name, "url": card.url, "operator": card.operator, "card": str(path)}))
        return
    said = spoken(f"The keeper {card.name} is ready in {options.data}. Its card is {path}.")
    print(wrapped(said, sys.stdout))


def _serve(options: argparse.Namespace) -> None:
    settings = Settings(
        data=options.data,
        server=options.server,
        card=options.card,
        listening=program.listening(options),
        accept_lost_store=options.accept_lost_store,
    )
    # Imported once the settings are sound: a mistyped command is answered at once.
    from vault_server.keeper.service import serve

    program.run(serve(settings, as_json=options.json))


def _leaves(options: argparse.Namespace) -> None:
    from vault_server.keeper.leaves import write_leaves

    write_leaves(options.data, options.file, options.log, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = SpokenParser(prog=NAME, description="A keeper: it follows the logs of a service.")
    commands = parser.add_subparsers(dest="command", required=True)

    init = commands.add_parser("init", help="make a keeper's keys, store and card; again: only the card")
    init.add_argument("--data", type=Path, required=True, metavar="DIR", help="the keeper's folder")
    init.add_argument("--url", required=True, metavar="URL", help="where others will reach it")
    init.add_argument("--name", metavar="NAME", help="the name it signs under")
    init.add_argument("--operator", metavar="NAME", help="who runs it")
    init.add_argument("--json", action="store_true", help="answer as JSON")
    init.set_defaults(run=_init)

    run = commands.add_parser("serve", help="run a keeper")
    run.add_argument("--data", type=Path, required=True, metavar="DIR", help="the keeper's folder")
    run.add_argument("--server", required=True, metavar="URL", help="the URL of the vault server")
    run.add_argument("--card", type=Path, required=True, metavar="FILE", help="the service's instance card")
    program.add_listening(run, DEFAULT)
    run.add_argument(
        "--accept-lost-store",
        action="store_true",
        help="the only keeper of a service: start although the store is lost. It may then contradict what it signed, and has "
        "forgotten the ends that were posted to it",
    )
    run.add_argument("--json", action="store_true", help="say that it is ready as JSON")
    run.set_defaults(run=_serve)

    leaves = commands.add_parser(
        "leaves", help="write down every log entry this keeper has, for a service that lost its newest data"
    )
    leaves.add_argument("file", type=Path, metavar="FILE", help="the new file they are written to")
    leaves.add_argument("--data", type=Path, required=True, metavar="DIR", help="the keeper's folder")
    leaves.add_argument("--log", nargs="+", default=(), metavar="ORIGIN", help="only these logs")
    leaves.add_argument("--json", action="store_true", help="answer as JSON")
    leaves.set_defaults(run=_leaves)
    return parser


if __name__ == "__main__":
    sys.exit(main())
