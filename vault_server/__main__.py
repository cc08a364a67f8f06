"""``python -m vault_server``, reached as ``coffre``: the vault server, its registrar, and the signing of its trust roots.

Exit codes: 0 done, 1 refused by a check, 2 usage, 3 something could not be reached, read or stored.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from crypto.durations import DAY
from crypto.identity_chain import LONGEST_CERTIFICATE
from crypto.pruning import RETENTION
from languages.help import SpokenParser
from vault_server import program, root_command
from vault_server.settings import DEFAULT, Settings

NAME = "coffre"
MAX_RETENTION_DAYS = 36500
MAX_CERTIFICATE_DAYS = LONGEST_CERTIFICATE // DAY


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "serve" and options.independent and not options.keepers:
        parser.error("--independent says which of --keepers are independent: name those too")
    if options.command == "serve" and options.keepers and (options.backup or options.restore or options.fsck):
        parser.error("--keepers is for a start: leave it out with --backup, --restore and --fsck")
    if options.command == "serve" and options.leaves and options.restore is None:
        parser.error("--leaves completes a backup that is being restored: name that with --restore")
    return program.exit_code(NAME, lambda: options.run(options))


def _serve(options: argparse.Namespace) -> None:
    settings = Settings(
        data=options.data,
        listening=program.listening(options),
        public_host=options.public_host,
        cover_leaves_a_day=options.cover_leaves,
        shard_vaults=options.shard_vaults,
        retention=options.retention_days * DAY,
    )
    if options.backup is not None:
        from vault_server.backup import back_up

        back_up(settings, options.backup, as_json=options.json)
    elif options.restore is not None:
        from vault_server.restore import restore

        restore(settings, options.restore, options.leaves, as_json=options.json)
    elif options.fsck:
        from vault_server.fsck import fsck

        program.run(fsck(settings, as_json=options.json))
    else:
        from vault_server.keeper_cards import read_keepers
        from vault_server.serve import serve

        named = read_keepers(options.keepers, options.independent) if options.keepers else ()
        program.run(serve(settings, named, as_json=options.json))


def _certify(options: argparse.Namespace) -> None:
    from vault_server.registrar import certify

    certify(
        options.data,
        options.card,
        subject=options.subject,
        name=options.name,
        profession=options.profession,
        days=options.days,
        now=int(time.time()),
        as_json=options.json,
        replace=options.replace,
    )


def _withdraw(options: argparse.Namespace) -> None:
    from vault_server.registrar import withdraw

    withdraw(options.data, options.card, subject=options.subject, now=int(time.time()), as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = SpokenParser(prog=NAME, description="The vault server: it stores what it cannot open.")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser(
        "serve", help="run the vault server, and one keeper beside it unless others are named"
    )
    run.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the data folder; made when it is new"
    )
    program.add_listening(run, DEFAULT)
    run.add_argument(
        "--public-host",
        metavar="HOST",
        help="the host name clients use; stands in the logs for ever (default: HOST:PORT)",
    )
    run.add_argument(
        "--keepers",
        type=Path,
        nargs="+",
        metavar="CARD",
        help="the cards of keepers that run by themselves: 1, 4, 5 or 7; none is started beside the server then",
    )
    run.add_argument(
        "--independent",
        nargs="+",
        default=(),
        metavar="NAME",
        help="which of --keepers are run by somebody else than you; clients show it as your word",
    )
    run.add_argument(
        "--cover-leaves",
        type=program.number(86400),
        default=300,
        metavar="N",
        help="how many leaves a day a quiet log gets at least (default: %(default)s)",
    )
    run.add_argument(
        "--shard-vaults",
        type=program.number(1 << 20, least=1),
        default=4096,
        metavar="N",
        help="how many records a log takes before the next one is begun (default: %(default)s)",
    )
    run.add_argument(
        "--retention-days",
        type=program.number(MAX_RETENTION_DAYS, least=RETENTION // DAY),
        default=RETENTION // DAY,
        metavar="N",
        help="for how many days log entries and what opens them are kept, 1095 (three years) at least (default: %(default)s)",
    )
    instead = run.add_mutually_exclusive_group()
    instead.add_argument(
        "--backup",
        type=Path,
        metavar="FILE",
        help="write the server's data to the new file FILE, also while it runs",
    )
    instead.add_argument(
        "--restore", type=Path, metavar="FILE", help="put a backup into a data folder without a server"
    )
    instead.add_argument(
        "--fsck",
        action="store_true",
        help="check everything that is stored of the logs, also while it runs, and change nothing",
    )
    run.add_argument(
        "--leaves",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="with --restore, where the backup is older than the logs: keepers' leaves, with which they are completed",
    )
    run.add_argument("--json", action="store_true", help="say that it is ready, or done, as JSON")
    run.set_defaults(run=_serve)

    registrar = commands.add_parser("registrar", help="act as the registrar of this instance")
    acts = registrar.add_subparsers(dest="act", required=True)
    act = acts.add_parser("certify", help="certify that an identity belongs to a subject")
    _add_subject(act)
    act.add_argument("--name", required=True, metavar="NAME", help="the name to certify")
    act.add_argument("--profession", required=True, metavar="NAME", help="the profession to certify")
    act.add_argument(
        "--days",
        type=program.number(MAX_CERTIFICATE_DAYS, least=1),
        default=365,
        metavar="N",
        help=f"for how many days, {MAX_CERTIFICATE_DAYS} at most (default: %(default)s)",
    )
    act.add_argument(
        "--replace", action="store_true", help="although the subject is certified for another identity"
    )
    act.set_defaults(run=_certify)
    act = acts.add_parser("withdraw", help="take the certificates of a subject back from an identity")
    _add_subject(act)
    act.set_defaults(run=_withdraw)
    root_command.add(commands)
    return parser


def _add_subject(act: argparse.ArgumentParser) -> None:
    act.add_argument("card", type=Path, metavar="CARD", help="the identity's card, as a file")
    act.add_argument(
        "--subject", required=True, metavar="SUBJECT", help="scheme:value, such as demo:10001234567"
    )
    act.add_argument("--data", type=Path, required=True, metavar="DIR", help="the instance's data folder")
    act.add_argument("--json", action="store_true", help="answer as JSON")


if __name__ == "__main__":
    sys.exit(main())
