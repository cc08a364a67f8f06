"""``devices``: one's own devices, and every use of the kit, for patients and practitioners."""

from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.names import short
from vault_client.commands.output import Screen, moment
from vault_client.commands.profiles import add_profile

if TYPE_CHECKING:
    from vault_client.commands import Command, Subcommands
    from vault_client.identity_history import IdentityHistory
    from vault_client.patient import Patient
    from vault_client.practitioner import Practitioner

# What people read
THIS, LIVE, REMOVED = "this device", "in use", "removed {time}"
NO_USE = "The kit was never used."
USES = {
    "fetch the keyring": "fetched the keys",
    "recovered the identity": "recovered the identity, and removed every other device",
    "changed the keys": "changed the keys",
}
IF_NOT_YOU = (
    "If one of these was not you, somebody else has your kit. Go to whoever certified you, or to the operator of your "
    "service, for a new identity; a new kit for this one comes in a later version."
)


def add_devices(commands: "Subcommands", run: "Command") -> None:
    """The command ``devices`` of a noun."""
    add_profile(commands("devices", run, "list one's devices, and the uses of the recovery kit"))


async def show_devices(screen: Screen, member: "Patient | Practitioner") -> None:
    """Devices and uses of the kit, with the server's times (UTC)."""
    from vault_client.commands.trust_line import show_trust

    past, own = await member.identity_history(), member.own.device.public.key_id
    screen.result |= history_object(past)
    screen.table(
        ("Device", "Since (UTC)", "State"),
        [
            (short(each.device), moment(each.since), _state(each.device == own, each.until))
            for each in past.devices
        ],
    )
    if past.kit_uses:
        uses = [(moment(use.time), spoken(USES.get(use.what, use.what))) for use in past.kit_uses]
        screen.table(("The kit, when (UTC)", "What it did"), uses)
        screen.say(IF_NOT_YOU)
    else:
        screen.say(NO_USE)
    show_trust(screen, member.service)


def history_object(past: "IdentityHistory") -> dict[str, Any]:
    """The same for programs."""
    return {
        "devices": [
            {"device": each.device.hex(), "since": each.since, "until": each.until} for each in past.devices
        ],
        "kit_uses": [{"time": use.time, "what": use.what} for use in past.kit_uses],
    }


def _state(is_this: bool, until: int | None) -> str:
    if until is not None:
        return spoken(REMOVED.format(time=moment(until)))
    return spoken(THIS if is_this else LIVE)
