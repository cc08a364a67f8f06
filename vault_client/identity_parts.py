"""The sealed keyrings that links of one's own identity name, as this device published them: the service may lose them."""

from crypto.encoding import Body, decode
from crypto.identity_links import IdentityLink, Keyring, ReadingKey
from crypto.signing import Envelope
from crypto.statements import part_hash
from vault_client.device_store import DeviceStore


class IdentityPart(Body, frozen=True):
    """One sealed keyring."""

    sealed: bytes


def keep_part(store: DeviceStore, part: bytes) -> None:
    """Keep a part that is published with a link."""
    store.put(_name(part_hash(part)), IdentityPart(sealed=part))


def parts_of(store: DeviceStore, envelope: Envelope) -> tuple[bytes, ...]:
    """Those parts of a link that are kept here."""
    steps = decode(envelope.body, IdentityLink).operations
    named = [step.keyring for step in steps if isinstance(step, Keyring | ReadingKey)]
    kept = (store.get(_name(name), IdentityPart) for name in named)
    return tuple(part.sealed for part in kept if part is not None)


def _name(digest: bytes) -> str:
    return f"identity-part/{digest.hex()}"
