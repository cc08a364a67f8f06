"""How secrets come in and go out: a prompt or a file descriptor, never an argument; the kit to a file or the eye."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from languages.asking import at_terminal
from languages.catalogue import spoken
from vault_client.commands import kit_screen
from vault_client.commands.output import Usage
from vault_client.stop_signals import ended_at_once

if TYPE_CHECKING:
    from crypto.sealed.recovery import KitFile

MAX_PASSPHRASE = 4096
MIN_NEW = 12

# What people read
NEEDED = "Needs the server, a new passphrase, and a place for the recovery kit: --kit FILE, or the terminal."
ASK = "Passphrase: "
ASK_NEW = "New passphrase, of several words: "
ASK_AGAIN = "The same again: "
NOT_THE_SAME = "The two passphrases differ. Nothing was done. Try again."
TOO_SHORT = f"A passphrase needs {MIN_NEW} characters at least: several words. Nothing was done. Try again."
NO_TERMINAL = "There is no terminal to ask for the passphrase at. Nothing was done. Use --passphrase-fd N."
BAD_DESCRIPTOR = "No passphrase could be read from file descriptor {number}. Nothing was done."
ASK_KIT = "Recovery kit, all 14 groups: "
NO_KIT = "There is no terminal to type the recovery kit at. Nothing was done. Use --kit FILE or --kit-fd N."
NO_PLACE_FOR_KIT = (
    "There is no terminal to show the recovery kit on. Nothing was done. Give it a file with --kit FILE."
)
KIT_WRITTEN = (
    "The recovery kit is in {path}. With it what is yours is restored on a new computer: by you, or by whoever has it. "
    "Keep it apart from this computer."
)
KIT_THERE = (
    "{path} exists already and was not touched. Nothing was done. If an enrolment was cut short, see whether it is "
    "finished with: coffre {noun} list. Otherwise name another file."
)
KIT_TAKEN = "{path} exists already and was not touched. Nobody was enrolled. Name another file."
KIT_UNNOTED = "The record is founded, but its id could not be noted in {path} ({why}). Keep the kit: it is good without."
KIT_UNWRITTEN = (
    "The recovery kit could not be written to {path} ({why}). Nobody was enrolled. Name another place."
)


def add_passphrase(parser: ArgumentParser) -> None:
    """The option by which a program hands in a passphrase."""
    parser.add_argument(
        "--passphrase-fd", type=int, metavar="N", help="read the passphrase from file descriptor N"
    )


def add_kit(parser: ArgumentParser) -> None:
    """The option by which the kit goes to a file, and what enrolling needs."""
    parser.epilog = NEEDED
    parser.add_argument(
        "--kit", type=Path, metavar="FILE", help="write the recovery kit to a new file only you can read"
    )


def passphrase(arguments: Namespace, *, new: bool = False) -> str:
    """The passphrase of the profile; a new one is asked for twice.

    Raises Usage when there is no way to get it, or when a new one is too short.
    """
    is_given = arguments.passphrase_fd is not None
    if not is_given and not at_terminal(sys.stdin):
        raise Usage(NO_TERMINAL)
    first = _from_descriptor(arguments.passphrase_fd) if is_given else _asked(ASK_NEW if new else ASK)
    if new and len(first) < MIN_NEW:
        raise Usage(TOO_SHORT)
    if new and not is_given and _asked(ASK_AGAIN) != first:
        raise Usage(NOT_THE_SAME)
    return first


def kit_keeper(arguments: Namespace) -> Callable[["KitFile"], None]:
    """What takes the recovery kit at enrolment. Raises Usage, before anything is done, when it would be lost."""
    from crypto.errors import Conflict

    path: Path | None = arguments.kit
    if path is not None:
        if path.exists():
            raise Conflict(KIT_THERE.format(path=path, noun=arguments.noun))
        return lambda kit: _write_kit(path, kit)
    if arguments.json or not at_terminal(sys.stdin, sys.stdout):
        raise Usage(NO_PLACE_FOR_KIT)
    return kit_screen.show_kit


def typed_kit(arguments: Namespace) -> str:
    """The text of a recovery kit, from a file descriptor or typed. Raises Usage when there is no way to get it.

    It is seen while it is typed, on a terminal that can be wiped; elsewhere it is typed unseen.
    """
    if arguments.kit_fd is not None:
        return _from_descriptor(arguments.kit_fd)
    if not at_terminal(sys.stdin):
        raise Usage(NO_KIT)
    return kit_screen.typed_kit() if kit_screen.can_wipe() else _asked(ASK_KIT)


def _asked(question: str) -> str:
    with ended_at_once():
        return getpass(spoken(question))


def _from_descriptor(number: int) -> str:
    try:
        with open(number, "rb", closefd=False) as file:
            data = file.read(MAX_PASSPHRASE + 1)
        text = data.decode("utf-8")
    except (
        OSError,
        ValueError,
        OverflowError,
        TypeError,
    ):  # a number beyond any descriptor is one of the last two
        raise Usage(BAD_DESCRIPTOR.format(number=number)) from None
    return text.removesuffix("\n")


def note_vault(path: Path, vault: bytes) -> None:
    """Write the id of a vault just founded into the kit's file. Raises Unavailable."""
    import msgspec

    from crypto.errors import Unavailable
    from crypto.sealed.recovery import read_kit_file
    from vault_client.durable_folder import sync_folder

    whole = path.with_name(f"{path.name}.new")
    try:
        kit = msgspec.structs.replace(read_kit_file(path.read_text(encoding="utf-8")), vault=vault)
        whole.unlink(missing_ok=True)  # of a run that was killed here
        _write_new(whole, kit)
        os.replace(whole, path)
        sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(KIT_UNNOTED.format(path=path, why=error.strerror)) from None


def _write_new(path: Path, kit: "KitFile") -> None:
    from crypto.sealed.recovery import kit_file_text
    from vault_client.durable_folder import sync_folder

    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        try:
            file.write(f"{kit_file_text(kit)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError:
            path.unlink()  # half a kit would only stand in the way of the next try
            raise


def _write_kit(path: Path, kit: "KitFile") -> None:
    from crypto.errors import Conflict, Unavailable

    try:
        _write_new(path, kit)
    except FileExistsError:
        raise Conflict(KIT_TAKEN.format(path=path)) from None
    except OSError as error:
        raise Unavailable(KIT_UNWRITTEN.format(path=path, why=error.strerror)) from None
