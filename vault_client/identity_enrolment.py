"""Enrolling: an identity made on this device, whose kit is handed out before anything of it is published.

Once the kit is handed out, the link and the keys of this device are kept until the link is proved: the kit is for that
identity and no other. An enrolment that is cut off, or not answered, is finished by the next opening of the profile.
"""

from collections.abc import Callable

from crypto import labels
from crypto.encoding import Bytes32, SecretBody
from crypto.errors import BadSignature, Malformed, NotProven, Refusal, Stale, TooLarge, TooMany
from crypto.identity_links import (
    AddDevice,
    Chain,
    IdentityLink,
    ReadingKey,
    Root,
    UnlockKey,
    identity_id,
)
from crypto.sealed.keyring import IdentityKeyring, ReadingSeed, seal_keyring
from crypto.sealed.recovery import Kit, KitFile
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import part_hash
from vault_client.device_store import DeviceStore
from vault_client.identity_parts import keep_part
from vault_client.identity_publishing import publish
from vault_client.own_identity import OwnIdentity, Profile, Role
from vault_client.service import Service

ENROLLING = "enrolling"


class Enrolling(SecretBody, frozen=True):
    """A first link whose kit was handed out, with the keyring that it names, sealed, and the keys of this device."""

    role: Role
    envelope: Envelope
    sealed: bytes
    signing: Bytes32
    sealing: Bytes32
    keyring: IdentityKeyring


def begun(store: DeviceStore) -> Role | None:
    """The role of an enrolment that came as far as its kit, and no further; None when there is none."""
    enrolling = store.get(ENROLLING, Enrolling)
    return None if enrolling is None else enrolling.role


def forget(store: DeviceStore) -> None:
    """Forget an enrolment that came no further than its kit: another one is meant."""
    store.delete(ENROLLING)


async def enrol_identity(
    store: DeviceStore, service: Service, role: Role, keep_kit: Callable[[KitFile], None]
) -> OwnIdentity:
    """Make an identity, publish its first link, and keep it in ``store``, in which nobody is enrolled.

    ``keep_kit`` receives the recovery kit before anything is published: it exists nowhere else.
    """
    kit, device = Kit.generate(), SigningKey.generate()
    unsealing, reading = UnsealingKey.generate(), UnsealingKey.generate()
    keyring = IdentityKeyring(reading_keys=(ReadingSeed(number=0, seed=reading.seed.reveal()),))
    sealed = seal_keyring(labels.IDENTITY_KEYRING, keyring, [unsealing.public, kit.unlock.public])
    link = IdentityLink(
        suite=labels.SUITE,
        identity=None,
        n=0,
        prev=None,
        operations=(
            Root(kind="person", key=kit.root.public.raw, random=SecretBytes.random().reveal()),
            AddDevice(signing=device.public.raw, sealing=unsealing.public),
            UnlockKey(kind="device", key=unsealing.public, recovery=None),
            UnlockKey(kind="kit", key=kit.unlock.public, recovery=None),
            ReadingKey(number=0, key=reading.public, keyring=part_hash(sealed)),
        ),
        view=None,
    )
    envelope = sign(labels.IDENTITY_LINK, link, kit.root, device)
    enrolling = Enrolling(
        role=role,
        envelope=envelope,
        sealed=sealed,
        signing=device.seed.reveal(),
        sealing=unsealing.seed.reveal(),
        keyring=keyring,
    )
    keep_kit(
        KitFile(
            suite=labels.SUITE,
            url=service.record.url,
            root=service.accepted.ref,
            identity=identity_id(envelope),
            vault=None,
            text=kit.to_text(),
        )
    )
    store.put(ENROLLING, enrolling)
    return await _published(store, service, enrolling)


async def resumed(store: DeviceStore, service: Service, role: Role) -> OwnIdentity:
    """The owner of ``store``; an enrolment whose kit was handed out is finished first.

    Raises NotPermitted when nobody is enrolled, or in the other role, and what publishing raises.
    """
    enrolling = store.get(ENROLLING, Enrolling)
    if enrolling is not None and enrolling.role == role:
        return await _published(store, service, enrolling)
    own = OwnIdentity.load(store, role)
    service.use_account(own.account(service))
    return own


async def _published(store: DeviceStore, service: Service, enrolling: Enrolling) -> OwnIdentity:
    identity = identity_id(enrolling.envelope)
    try:
        published = await publish(service, identity, 0, enrolling.envelope, (enrolling.sealed,))
    except (BadSignature, Malformed, NotProven, Stale, TooLarge, TooMany):
        raise  # no word that it was refused: where the answer does not hold, or the clock here, it may be published
    except Refusal:
        # What is refused once is refused again: nobody shall be kept from beginning anew.
        store.delete(ENROLLING)
        raise
    profile = Profile(
        role=enrolling.role,
        identity=identity,
        signing=enrolling.signing,
        sealing=enrolling.sealing,
        chain=Chain(links=(published,)),
        keyring=enrolling.keyring,
    )
    with store.transaction():
        store.put("profile", profile)
        keep_part(store, enrolling.sealed)
        store.delete(ENROLLING)
    own = OwnIdentity.of(profile)
    service.use_account(own.account(service))
    return own
