"""``python -m vault_server``, reached as ``coffre``: ``serve`` runs the vault server, ``registrar certify`` certifies a practitioner.

Exit codes: 0 done, 1 refused by a check, 2 usage, 3 something could not be reached, read or stored.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from crypto.errors import Refusal, Unavailable
from vault_server.settings import DEFAULT_PORT, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            _serve(options)
        else:
            _certify(options)
    except Refusal as error:
        print(f"coffre: {error}", file=sys.stderr)
        return 1
    except Unavailable as error:
        print(f"coffre: {error}", file=sys.stderr)
        return 3
    return 0


def _serve(options: argparse.Namespace) -> None:
    import uvloop

    from vault_server.serve import serve

    settings = Settings(
        data=options.data,
        host=options.host,
        port=options.port,
        public_host=options.public_host,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        behind_proxy=options.behind_proxy,
        cover_leaves_a_day=options.cover_leaves,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, with_keeper=not options.no_keeper, as_json=options.json))


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coffre", description="The vault server: it stores what it cannot open."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("serve", help="run the vault server, and one keeper beside it")
    run.add_argument("--data", type=Path, required=True, help="the data folder; made when it is new")
    run.add_argument("--host", default="127.0.0.1", help="where to listen")
    run.add_argument("--port", type=int, default=DEFAULT_PORT, help="where to listen; 0 takes a free port")
    run.add_argument("--public-host", help="the host name clients use; stands in the logs for ever")
    run.add_argument("--tls-cert", type=Path, help="certificate chain, to speak TLS")
    run.add_argument("--tls-key", type=Path, help="its private key")
    run.add_argument("--behind-proxy", action="store_true", help="a proxy in front speaks TLS")
    run.add_argument("--no-keeper", action="store_true", help="the keeper is started by somebody else")
    run.add_argument(
        "--cover-leaves",
        type=int,
        default=300,
        metavar="N",
        help="how many leaves a day a quiet log gets at least",
    )
    run.add_argument("--json", action="store_true", help="say that it is ready as JSON")

    registrar = commands.add_parser("registrar", help="act as the registrar of this instance")
    acts = registrar.add_subparsers(dest="act", required=True)
    act = acts.add_parser("certify", help="certify that an identity belongs to a subject")
    act.add_argument("card", type=Path, help="the identity's card, as a file")
    act.add_argument("--subject", required=True, help="scheme:value, such as demo:10001234567")
    act.add_argument("--name", required=True, help="the name to certify")
    act.add_argument("--profession", required=True, help="the profession to certify")
    act.add_argument("--days", type=int, default=365, help="for how long, at most 400")
    act.add_argument(
        "--replace", action="store_true", help="although the subject is certified for another identity"
    )
    act.add_argument("--data", type=Path, required=True, help="the instance's data folder")
    act.add_argument("--json", action="store_true", help="answer as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
