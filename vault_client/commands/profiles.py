"""Which profile a command works with, and how it is opened."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vault_client.commands.alarms import remind
from vault_client.commands.output import Screen
from vault_client.commands.secrets_input import add_passphrase, passphrase
from vault_client.spool import SPOOL

if TYPE_CHECKING:
    from crypto.trust_root import InstanceCard
    from crypto.wire.cards import IdentityCard
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient
    from vault_client.practitioner import Practitioner
    from vault_client.profile_visits import ProfileVisits

Member = TypeVar("Member", "Patient", "Practitioner")

# Seconds for which another program may have the profile: one that watches has it for moments only.
PATIENCE = 30

# What people read
NO_SCHEME = "“{url}” begins with neither https:// nor, for this computer, http://"
UNREADABLE = "{path} could not be read ({why}). Nothing was done. Check the path."
NOT_TEXT = "{path} is not a card. Nothing was done. Check the path."
NOT_A_PERSON = "{path} is not a practitioner's card. Nothing was done. Ask them for the file of their card."
NOT_A_SERVER = "{path} is not a server's instance card. Nothing was done. Ask the operator for it."
NO_PROFILE = "There is no profile in {place}. Nothing was done. Enrol first: coffre {noun} enrol --help"
ENROLLED_ALREADY = "Somebody is enrolled in {place}. Nothing was done. Name another folder with --home."
NOT_OPENED = "The passphrase is wrong, or the profile is damaged. Nothing was done. Try again."
BEING_RESTORED = (
    "This record is being restored: it can be read here, and nothing is written to it before its log has been checked to "
    "the end. Go on with: coffre patient restore --kit FILE (with a kit on paper: --server URL)"
)
UNWRITTEN = "{path} could not be written ({why}). Try another place."
OFFLINE = "The server does not answer. This is the record as this device last knew it."
HELD_UP = (
    "The server, or too many of its keepers, do not answer. This is the record as this device last knew it."
)
LAST_KNOWN = "This is the record as this device last knew it."
THERE = "{path} exists already and was not touched. Nothing was opened. Name another file."


def add_output(parser: ArgumentParser, what: str, *, required: bool = True) -> None:
    """The option that names the file to write."""
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", required=required, help=what)


def add_profile(parser: ArgumentParser) -> ArgumentParser:
    """The options that choose and open a profile. Returns the parser of the command they were added to."""
    parser.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help="the folder of the profile (default: COFFRE_HOME, else the system's folder for one's own data)",
    )
    add_passphrase(parser)
    return parser


def server_url(text: str) -> str:
    """Reads the address of a server, as the ``type`` of an option."""
    if not text.lower().startswith(("http://", "https://")):
        raise ArgumentTypeError(NO_SCHEME.format(url=text))
    return text


def folder(arguments: Namespace) -> Path:
    """The profile's folder: --home, else COFFRE_HOME, else the system's place for one's own data."""
    if arguments.home is not None:
        return Path(arguments.home)
    if given := os.environ.get("COFFRE_HOME"):
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("coffre", appauthor=False) / str(arguments.noun)


def fresh_store(arguments: Namespace) -> "DeviceStore":
    """A profile to enrol in: a new one, or one left empty by an enrolment that did not come through.

    Raises Conflict, before the passphrase is asked for, when somebody is enrolled there.
    """
    from crypto.errors import Conflict

    place = folder(arguments)
    if (place / SPOOL).exists():
        raise Conflict(ENROLLED_ALREADY.format(place=place))
    return store_to_restore_in(arguments)


def store_to_restore_in(arguments: Namespace) -> "DeviceStore":
    """A profile to restore in: a new one, or one in which that was begun."""
    from vault_client import profile_file
    from vault_client.device_store import DeviceStore

    place = folder(arguments)
    if (place / profile_file.FILE).exists():
        return _opened(arguments)
    return DeviceStore.create(place, passphrase(arguments, new=True))


@asynccontextmanager
async def patient(arguments: Namespace, screen: Screen) -> "AsyncIterator[tuple[Patient, DeviceStore]]":
    """The patient of the profile, with the store in which commands remember what they showed.

    Changes that wait on this device are gone on with first, whatever the command is for; what came of them is shown.
    """
    from vault_client.commands.patient_queue import went_on
    from vault_client.patient import Patient

    async with _resumed(arguments, screen, Patient) as (opened, store):
        if opened.is_restoring:
            screen.aside(BEING_RESTORED)
            yield opened, store
            return
        async with went_on(screen, opened):
            yield opened, store


def unsent_patient(
    arguments: Namespace, screen: Screen
) -> "AbstractAsyncContextManager[tuple[Patient, DeviceStore]]":
    """``patient``, but what waits goes on waiting: it may be taken back."""
    from vault_client.patient import Patient

    return _resumed(arguments, screen, Patient)


async def synced(record: "Patient", screen: "Screen") -> None:
    """Take in what other devices changed, or say that this could not be done. Grants that it keyed anew are named."""
    from crypto.errors import Unreachable
    from vault_client.commands.grant_standing import show_renewal

    is_away = record.service.is_offline
    if not is_away:
        try:
            await record.sync()
            show_renewal(screen, record)
        except Unreachable:
            is_away = True
    note_offline(screen, record, is_away=is_away)


def note_offline(screen: "Screen", record: "Patient", *, is_away: bool) -> None:
    """Say, if so, that what is shown was taken from this device alone. ``show_trust`` has the alarm, if there is one."""
    screen.result["offline"] = is_away
    if not is_away:
        return
    if record.service.standstill:
        screen.say(LAST_KNOWN)
    else:
        screen.say(OFFLINE if record.service.is_offline else HELD_UP)


def practitioner(
    arguments: Namespace, screen: Screen
) -> "AbstractAsyncContextManager[tuple[Practitioner, DeviceStore]]":
    """The practitioner of the profile, with the store in which commands remember what they showed."""
    from vault_client.practitioner import Practitioner

    return _resumed(arguments, screen, Practitioner)


@asynccontextmanager
async def _resumed(
    arguments: Namespace, screen: Screen, sdk: type[Member]
) -> "AsyncIterator[tuple[Member, DeviceStore]]":
    from vault_client.open_profile import login_explained

    store = _opened(arguments)
    async with (
        await sdk.resume(store, folder(arguments)) as opened,
        login_explained(opened.service, opened.own),
    ):
        try:
            yield opened, store
        finally:
            remind(arguments, screen, store)


def visits(arguments: Namespace, opened: Member, store: "DeviceStore") -> "ProfileVisits[Member]":
    """Further visits to the profile that is ``opened`` now, once it is closed."""
    from vault_client.profile_visits import ProfileVisits

    return ProfileVisits(opened, store, folder(arguments))


def _opened(arguments: Namespace) -> "DeviceStore":
    """The profile's store. Raises Unavailable, before the passphrase is asked for, when there is none."""
    from crypto.errors import CannotOpen, Unavailable
    from vault_client import profile_file
    from vault_client.device_store import DeviceStore

    place = folder(arguments)
    if not (place / profile_file.FILE).exists():
        raise Unavailable(NO_PROFILE.format(place=place, noun=arguments.noun))
    try:
        return DeviceStore.open(place, passphrase(arguments), patience=PATIENCE)
    except CannotOpen as error:
        error.args = (NOT_OPENED,)
        raise


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
    """The instance card in a file, if one was named. Raises Unavailable or Malformed."""
    from crypto.errors import Malformed, TooLarge
    from crypto.trust_root import read_card

    try:
        return None if path is None else read_card(read_text(path))
    except (Malformed, TooLarge):
        raise Malformed(NOT_A_SERVER.format(path=path)) from None


def identity_card(path: Path) -> "IdentityCard":
    """The card of a person in a file. Raises Unavailable or Malformed."""
    from crypto.errors import Malformed, TooLarge
    from crypto.wire.cards import read_identity_card

    try:
        return read_identity_card(read_text(path))
    except (Malformed, TooLarge):
        raise Malformed(NOT_A_PERSON.format(path=path)) from None


def check_free(path: Path) -> None:
    """Raises Conflict when there is something at ``path`` that a document would replace."""
    from crypto.errors import Conflict

    if path.exists() or path.is_symlink():
        raise Conflict(THERE.format(path=path))
