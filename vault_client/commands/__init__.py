"""The command line ``coffre``: what may be typed. Its commands print and never decide.

Each noun has a file that adds its commands here and imports what is heavy only when one of them runs, so that the help
and a mistyped word answer at once.
"""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, Protocol

from languages.catalogue import spoken
from languages.help import SpokenParser
from vault_client.commands.output import Screen, Usage
from vault_client.version import VERSION

# What people read
COMMAND = "COMMAND"

Command = Callable[[Namespace, Screen], Coroutine[Any, Any, None]]


class Subcommands(Protocol):
    """Adds one command of a noun: its name, what it runs, what it is for."""

    def __call__(self, name: str, run: Command, purpose: str) -> ArgumentParser:
        """The parser of the new command."""
        ...


class _Parser(SpokenParser):
    """Raises Usage where argparse would print and exit, so that --json answers with an object."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}. Nothing was done. Try: {self.prog} --help")


def parser() -> ArgumentParser:
    """Everything that may be typed."""
    from vault_client.commands.demo import add as add_demo
    from vault_client.commands.evidence import add as add_evidence
    from vault_client.commands.log import add as add_log
    from vault_client.commands.patient import add as add_patient
    from vault_client.commands.practitioner import add as add_practitioner
    from vault_client.commands.processes import PROGRAMS

    top = _Parser(
        prog="coffre",
        description="A personal health record that its server cannot read.",
        epilog="Exit codes: 0 done, 1 refused by a check, 2 not understood, 3 not reachable or not possible now.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"coffre {VERSION}")
    nouns = top.add_subparsers(dest="noun", required=True, metavar=spoken(COMMAND))
    # Their words go to the server's own programs (``processes``); here they only stand in the help.
    purposes = {
        "serve": "run a vault server",
        "keeper": "run a keeper",
        "registrar": "certify practitioners",
        "trust-root": "say who the keepers and registrars are",
    }
    for program in PROGRAMS:
        nouns.add_parser(program, help=purposes[program], add_help=False)
    _add(nouns, "patient", "one's own record", add_patient)
    _add(nouns, "practitioner", "what patients granted", add_practitioner)
    _add(nouns, "log", "a server's logs, from outside", add_log)
    _add(nouns, "evidence", "the evidence of an alarm, for anyone", add_evidence)
    add_demo(_commands(nouns))
    return top


def _sentence(purpose: str) -> str:
    said = spoken(purpose)
    return f"{said[:1].upper()}{said[1:]}."


def _add(
    nouns: "_SubParsersAction[_Parser]", noun: str, purpose: str, add: Callable[[Subcommands], None]
) -> None:
    of_noun = nouns.add_parser(noun, help=purpose, description=_sentence(purpose), allow_abbrev=False)
    add(_commands(of_noun.add_subparsers(dest="verb", required=True, metavar=spoken(COMMAND))))


def _commands(verbs: "_SubParsersAction[_Parser]") -> Subcommands:
    def command(name: str, run: Command, purpose: str) -> ArgumentParser:
        made = verbs.add_parser(name, help=purpose, description=_sentence(purpose), allow_abbrev=False)
        made.add_argument(
            "--json", action="store_true", help="write one JSON object to stdout, and nothing else"
        )
        made.set_defaults(run=run)
        return made

    return command
