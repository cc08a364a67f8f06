"""``coffre``: reads what was typed, runs it, and turns how it ended into words and an exit code.

0 done, 1 refused by a check, 2 not understood, 3 not reachable or not possible now, 130 stopped from the keyboard. An
error that is none of ``crypto.errors`` is a bug: it ends in 1, and ``COFFRE_DEBUG=1`` shows where.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from vault_client.commands import parser
from vault_client.commands.output import Screen, Usage

DONE, REFUSED, USAGE, UNAVAILABLE, STOPPED = 0, 1, 2, 3, 130

# What people read
INTERRUPTED = "Stopped. What was finished before is kept."
NOT_TYPED = "The question was not answered. Nothing was done."
BUG = "This is a bug in Coffre ({kind}); what was asked for was not done. COFFRE_DEBUG=1 shows where it happened."


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    words = sys.argv[1:] if words is None else words
    screen = Screen(as_json="--json" in words)
    try:
        return _run(words, screen)
    except Usage as usage:
        screen.refuse("Usage", str(usage))
        return USAGE
    except EOFError:
        screen.refuse("Usage", NOT_TYPED)
        return USAGE
    except KeyboardInterrupt:
        screen.refuse("Stopped", INTERRUPTED)
        return STOPPED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except Exception as error:
        return _failed(error, screen)


def _run(words: Sequence[str], screen: Screen) -> int:
    from vault_client.commands.processes import PROGRAMS, replace_process

    if words and words[0] in PROGRAMS:
        replace_process(words[0], words[1:])
    arguments: Namespace = parser().parse_args(words)
    import asyncio

    try:
        asyncio.run(arguments.run(arguments, screen))
    except asyncio.CancelledError:  # by SIGTERM
        raise KeyboardInterrupt from None
    screen.finish()
    return DONE


def _failed(error: Exception, screen: Screen) -> int:
    from crypto.errors import CoffreError, Unavailable

    if isinstance(error, CoffreError):
        screen.refuse(type(error).__name__, str(error))
        return UNAVAILABLE if isinstance(error, Unavailable) else REFUSED
    if os.environ.get("COFFRE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    screen.refuse("Bug", BUG.format(kind=type(error).__name__))
    return REFUSED


if __name__ == "__main__":
    raise SystemExit(main())
