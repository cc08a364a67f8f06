"""``coffre``: reads what was typed, runs it, and turns how it ended into words and an exit code.

0 done, 1 refused by a check, 2 not understood, 3 not reachable or not possible now, 130 stopped from the keyboard or by
a signal. An error that is none of ``crypto.errors``, and not the system's about a file, is a bug: it ends in 1, and
``COFFRE_DEBUG=1`` shows where. What is heavy is imported inside ``main``, where a signal is already answered.
"""

import os
import sys

TYPE_CHECKING = False  # as in typing, which takes longer to load than all this
if TYPE_CHECKING:
    from collections.abc import Sequence

    from vault_client.commands.output import Screen

DONE, REFUSED, USAGE, UNAVAILABLE, STOPPED = 0, 1, 2, 3, 130

# What people read
INTERRUPTED = "Stopped. What was finished before is kept."
UNUSABLE = (
    "{path} could not be used ({why}). What was asked for was not done. Check the path and who may use it."
)
BUG = "This is a bug in Coffre ({kind}); what was asked for was not done. COFFRE_DEBUG=1 shows where it happened."


def main(words: "Sequence[str] | None" = None) -> int:
    """Run one command. Returns its exit code."""
    words = sys.argv[1:] if words is None else words
    try:
        from vault_client.stop_signals import ended_in_order

        with ended_in_order():
            return _run(words)
    except KeyboardInterrupt:  # while the program was being loaded
        from vault_client.commands.output import Screen

        Screen(as_json="--json" in words).refuse("Stopped", INTERRUPTED)
        return STOPPED


def _run(words: "Sequence[str]") -> int:
    from vault_client.commands.output import Screen, Usage

    screen = Screen(as_json="--json" in words)
    try:
        _carry_out(words, screen)
    except Usage as usage:
        screen.refuse("Usage", str(usage))
        return USAGE
    except EOFError:
        from languages.asking import NOT_TYPED

        screen.refuse("Usage", NOT_TYPED)
        return USAGE
    except KeyboardInterrupt:
        screen.refuse("Stopped", INTERRUPTED)
        return STOPPED
    except Exception as error:
        return _failed(error, screen)
    return DONE


def _carry_out(words: "Sequence[str]", screen: "Screen") -> None:
    from vault_client.commands import parser
    from vault_client.commands.processes import PROGRAMS, replace_process

    if words and words[0] in PROGRAMS:
        replace_process(words[0], words[1:])
    arguments = parser().parse_args(words)
    import asyncio

    from vault_client.stop_signals import ended_between_callbacks

    try:
        asyncio.run(ended_between_callbacks(arguments.run(arguments, screen)))
    except asyncio.CancelledError:  # stopped again while it was stopping
        raise KeyboardInterrupt from None
    screen.finish()


def _failed(error: Exception, screen: "Screen") -> int:
    from crypto.errors import CoffreError, Distrusted, Unavailable

    if not isinstance(error, CoffreError) and os.environ.get("COFFRE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError) and error.filename is not None:
        error = Unavailable(UNUSABLE.format(path=error.filename, why=error.strerror))
    if isinstance(error, CoffreError):
        screen.refuse(type(error).__name__, str(error))
        is_refused = isinstance(error, Distrusted) or not isinstance(error, Unavailable)
        return REFUSED if is_refused else UNAVAILABLE
    screen.refuse("Bug", BUG.format(kind=type(error).__name__))
    return REFUSED


if __name__ == "__main__":
    raise SystemExit(main())
