"""What the two programs of this package have in common: exit codes, the event loop, the options for listening."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from crypto.errors import Refusal, Unavailable
from languages.asking import NOT_TYPED, NobodyToAskError
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server.listening import Listening


def exit_code(program: str, command: Callable[[], None]) -> int:
    """Run ``command``: 0 done, 1 refused by a check, 2 it needs a yes and nobody gave one, 3 something could not be reached,
    read or stored, 130 stopped.
    """
    try:
        command()
    except (NobodyToAskError, EOFError) as error:
        said = NOT_TYPED if isinstance(error, EOFError) else str(error)
        print(wrapped(f"{program}: {spoken(said)}", sys.stderr), file=sys.stderr)
        return 2
    except Refusal as error:
        print(wrapped(f"{program}: {spoken(str(error))}", sys.stderr), file=sys.stderr)
        return 1
    except Unavailable as error:
        print(wrapped(f"{program}: {spoken(str(error))}", sys.stderr), file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print(spoken(f"{program}: stopped before it was done."), file=sys.stderr)
        return 130
    return 0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` to its end."""
    import uvloop

    # asyncio's own loop leaves Nagle's delay on for sockets made beforehand: 40 ms on every second answer.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def number(most: int, *, least: int = 0) -> Callable[[str], int]:
    """Reads a whole number from ``least`` to ``most``, as the ``type`` of an option."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not (is_number and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {least} to {most}")
        return int(text)

    return read


def add_listening(parser: argparse.ArgumentParser, default: Listening) -> None:
    """Add the options that ``listening`` reads."""
    parser.add_argument(
        "--host", default=default.host, metavar="HOST", help="where to listen (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=number(65535),
        default=default.port,
        metavar="PORT",
        help="where to listen; 0 takes a free port (default: %(default)s)",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, to speak TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key")
    parser.add_argument("--behind-proxy", action="store_true", help="a proxy in front speaks TLS")


def listening(options: argparse.Namespace) -> Listening:
    """What was typed."""
    return Listening(
        port=options.port,
        host=options.host,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        behind_proxy=options.behind_proxy,
    )
