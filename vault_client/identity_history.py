"""What an identity's chain says happened: which devices came and went, and when its kit was used."""

from dataclasses import dataclass

from crypto.encoding import decode
from crypto.identity_chain import Registrars, extend
from crypto.identity_links import Chain, IdentityLink, Recover, root_use
from crypto.identity_state import IdentityState
from crypto.signing import Envelope, key_id

RECOVERED, CHANGED = "recovered the identity", "changed the keys"


@dataclass(frozen=True)
class DeviceOf:
    """A device, by the id of its signing key; the server's times of the links that added and removed it."""

    device: bytes
    since: int
    until: int | None


@dataclass(frozen=True)
class KitUse:
    """A link that the root signed after the first: when, and what it was used for."""

    time: int
    what: str


@dataclass(frozen=True)
class IdentityHistory:
    """Devices and uses of the kit, oldest first."""

    devices: tuple[DeviceOf, ...]
    kit_uses: tuple[KitUse, ...]


def history(chain: Chain, registrars: Registrars) -> IdentityHistory:
    """The history of ``chain``, which is believed already. Raises as ``identity_chain.extend`` does."""
    devices: dict[bytes, DeviceOf] = {}
    uses: list[KitUse] = []
    state: IdentityState | None = None
    for link in chain.links:
        before, time = state, link.disclosure.part.time
        state = extend(state, link.envelope, time, registrars)
        live = set(before.devices) if before is not None else set()
        for device in set(state.devices) - live:
            devices[device] = DeviceOf(device=device, since=time, until=None)
        for device in live - set(state.devices):
            devices[device] = DeviceOf(device=device, since=devices[device].since, until=time)
        if before is not None and key_id(before.root) in link.envelope.signers:
            uses.append(KitUse(time=time, what=_what(link.envelope)))
    return IdentityHistory(devices=tuple(devices.values()), kit_uses=tuple(uses))


def _what(envelope: Envelope) -> str:
    steps = decode(envelope.body, IdentityLink).operations
    recovers = any(isinstance(step, Recover) for step in steps)
    return root_use(envelope) or (RECOVERED if recovers else CHANGED)
