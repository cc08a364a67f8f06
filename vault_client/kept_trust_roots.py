"""Every trust root that this device has verified, from the first one on: what evidence is judged by."""

from collections.abc import Iterable

from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.trust_root import TrustRoot
from vault_client.device_store import DeviceStore

_GROUP = "trust-root"


def keep(store: DeviceStore, verified: Iterable[Envelope]) -> None:
    """Keep those that are not kept yet."""
    for envelope in verified:
        name = f"{_GROUP}/{decode(envelope.body, TrustRoot).version:012d}"
        if store.get(name, Envelope) != envelope:
            store.put(name, envelope)


def kept(store: DeviceStore) -> tuple[Envelope, ...]:
    """In order of version."""
    return tuple(envelope for _, envelope in sorted(store.scan(_GROUP, Envelope), key=lambda each: each[0]))


def digests(store: DeviceStore) -> dict[int, bytes]:
    """Their digests, by version."""
    return {decode(each.body, TrustRoot).version: each.digest for each in kept(store)}


def forget(store: DeviceStore) -> None:
    """Forget them, with the server they are of."""
    for name in store.names(_GROUP):
        store.delete(name)
