"""Which profile a command works with, and how it is opened."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vault_client.commands.secrets_input import add_passphrase, passphrase

if TYPE_CHECKING:
    from crypto.trust_root import InstanceCard
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient
    from vault_client.practitioner import Practitioner

# What people read
UNREADABLE = "{path} could not be read ({why}). Nothing was done. Check the path."
NOT_TEXT = "{path} is not a card. Nothing was done. Check the path."
UNWRITTEN = "{path} could not be written ({why}). Try another place."
THERE = "{path} exists already and was not touched. Nothing was opened. Name another file."


def add_profile(parser: ArgumentParser) -> None:
    """The options that choose and open a profile."""
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="the folder of the profile (default: COFFRE_HOME)"
    )
    add_passphrase(parser)


def folder(arguments: Namespace) -> Path:
    """The profile's folder: --home, else COFFRE_HOME, else the system's place for one's own data."""
    if arguments.home is not None:
        return Path(arguments.home)
    if given := os.environ.get("COFFRE_HOME"):
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("coffre", appauthor=False) / str(arguments.noun)


def fresh_store(arguments: Namespace) -> "DeviceStore":
    """A profile to enrol in: a new one, or one left empty by an enrolment that did not come through."""
    from vault_client import profile_file
    from vault_client.device_store import DeviceStore

    place = folder(arguments)
    if (place / profile_file.FILE).exists():
        return DeviceStore.open(place, passphrase(arguments))
    return DeviceStore.create(place, passphrase(arguments, new=True))


@asynccontextmanager
async def patient(arguments: Namespace) -> "AsyncIterator[tuple[Patient, DeviceStore]]":
    """The patient of the profile, with the store in which commands remember what they showed."""
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient

    place = folder(arguments)
    store = DeviceStore.open(place, passphrase(arguments))
    async with await Patient.resume(store, place) as opened:
        yield opened, store


@asynccontextmanager
async def practitioner(arguments: Namespace) -> "AsyncIterator[tuple[Practitioner, DeviceStore]]":
    """The practitioner of the profile, with the store in which commands remember what they showed."""
    from vault_client.device_store import DeviceStore
    from vault_client.practitioner import Practitioner

    place = folder(arguments)
    store = DeviceStore.open(place, passphrase(arguments))
    async with await Practitioner.resume(store, place) as opened:
        yield opened, store


def read_text(path: Path) -> str:
    """The text of a card's file. Raises Unavailable or Malformed."""
    from crypto.errors import Malformed, Unavailable

    try:
        with path.open("rb") as file:
            return file.read(1 << 21).decode("utf-8")
    except OSError as error:
        raise Unavailable(UNREADABLE.format(path=path, why=error.strerror)) from None
    except UnicodeDecodeError:
        raise Malformed(NOT_TEXT.format(path=path)) from None


def write_text(path: Path, text: str) -> None:
    """Write a card's file, which is public. Raises Unavailable."""
    from crypto.errors import Unavailable

    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Unavailable(UNWRITTEN.format(path=path, why=error.strerror)) from None


def instance_card(path: Path | None) -> "InstanceCard | None":
    """The instance card in a file, if one was named."""
    from crypto.trust_root import read_card

    return None if path is None else read_card(read_text(path))


def check_free(path: Path) -> None:
    """Raises Conflict when there is something at ``path`` that a document would replace."""
    from crypto.errors import Conflict

    if path.exists() or path.is_symlink():
        raise Conflict(THERE.format(path=path))
