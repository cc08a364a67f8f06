"""Getting an identity back with its recovery kit, on a device that holds nothing of it.

The chain is verified and complete by the keepers' word; a ``use_root`` link shows all devices what the kit is used for;
then the server hands out the identity's keyring, which the kit opens. One ``recover`` link, signed by the root, ends all
earlier devices and adds this one with a new reading key. The keys of this device are kept before that link is sent: a
cut at any point leaves either nothing, or a link that the next run finds and takes up.
"""

from collections.abc import Sequence

from crypto import labels
from crypto.encoding import Bytes32, SecretBody
from crypto.errors import NotPermitted, NotProven
from crypto.identity_chain import known_at
from crypto.identity_links import (
    FETCH_KEYRING,
    AddDevice,
    AnyOperation,
    Chain,
    IdentityLink,
    ReadingKey,
    Recover,
    UnlockKey,
    UseRoot,
)
from crypto.sealed.keyring import IdentityKeyring, ReadingSeed, check_identity_keyring, seal_keyring
from crypto.sealed.recovery import Kit
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import part_hash
from crypto.wire.messages import IdentityQuery
from vault_client.device_store import DeviceStore
from vault_client.identity_parts import keep_part
from vault_client.identity_publishing import publish
from vault_client.local_vault import ToBeRestored
from vault_client.own_identity import OwnIdentity, Profile, Role, fetched_keyring
from vault_client.service import Service

RECOVERING = "recovering"

# What people read
NOT_IN_FORCE = "This kit is not the one in force: the identity has been given another since. Nothing was changed. Use the newest kit."

OF_A_PATIENT = "This kit is a patient's. Nothing was changed. Use it so: coffre patient restore --kit FILE (with a kit on paper: --server URL)"
OF_A_PRACTITIONER = "This kit is a practitioner's. Nothing was changed. Use it so: coffre practitioner restore --kit FILE (with a kit on paper: --server URL)"


class Recovering(SecretBody, frozen=True):
    """A ``recover`` link about to be sent, and the keys of the device that it adds: kept until all is restored."""

    envelope: Envelope
    signing: Bytes32
    sealing: Bytes32
    keyring: IdentityKeyring


async def recover_identity(
    store: DeviceStore, service: Service, role: Role, kit: Kit, *, identity: bytes | None, vault: bytes | None
) -> OwnIdentity:
    """Recover the identity of ``kit`` and keep it in ``store``, in which nobody is enrolled, or it is being restored.

    ``identity``, ``vault``: as the kit's file names them, where there is one. Raises NotProven when the server shows
    another identity, an incomplete chain or another keyring, NotPermitted when the kit is not in force or of somebody in the other role.
    """
    shown = await service.log_in_with_root(kit.root)
    if identity not in {None, shown}:
        raise NotProven(
            "The server shows another identity than the kit is for. Nothing was changed. Ask its operator why."
        )
    chain = await service.api.identity_chain(IdentityQuery(identity=shown))
    known = await service.know(chain)
    if known.ref.identity != shown:
        raise NotProven("The server shows somebody else's keys. Nothing was changed. Try again later.")
    if known.state.root != kit.root.public.raw:
        raise NotPermitted(NOT_IN_FORCE)
    # In the other role it would remove every device, and then find nothing to restore.
    if role == "practitioner" and vault is not None:
        raise NotPermitted(OF_A_PATIENT)
    if role == "patient" and vault is None and known.state.certificates:
        raise NotPermitted(OF_A_PRACTITIONER)
    recovering = store.get(RECOVERING, Recovering)
    if recovering is None or _device(recovering) not in known.state.devices:
        use = await _signed(service, chain, [UseRoot(purpose=FETCH_KEYRING)], kit.root)
        chain = await _published(service, chain, use, ())
        recovering, sealed = await _recovering(service, chain, kit)
        with store.transaction():
            store.put(RECOVERING, recovering)
            keep_part(store, sealed)
        chain = await _published(service, chain, recovering.envelope, (sealed,))
    profile = Profile(
        role=role,
        identity=shown,
        signing=recovering.signing,
        sealing=recovering.sealing,
        chain=chain,
        keyring=recovering.keyring,
    )
    with store.transaction():
        store.put("profile", profile)
        if role == "patient":
            store.put("restoring", ToBeRestored(vault=vault))
        else:
            store.delete(RECOVERING)
    own = OwnIdentity.of(profile)
    service.use_account(own.account(service))
    return own


async def _recovering(service: Service, chain: Chain, kit: Kit) -> tuple[Recovering, bytes]:
    """The link that recovers, with fresh keys for this device, and the keyring it names, sealed."""
    root = service.root
    state = known_at(
        chain, chain.links[-1].disclosure.index + 1, root.directory_origin, root.registrar_keys()
    ).state
    if state.keyring is None:
        raise NotProven("The identity has no keyring. Nothing was changed.")
    before = await fetched_keyring(service, state.keyring, kit.unlock)
    check_identity_keyring(before, before, state.reading_keys)
    device, unsealing, reading = SigningKey.generate(), UnsealingKey.generate(), UnsealingKey.generate()
    # What was lost may be in others' hands, with the reading keys on it: what is shared from now on needs a new one.
    number = state.reading_key + 1
    keyring = IdentityKeyring(
        reading_keys=(*before.reading_keys, ReadingSeed(number=number, seed=reading.seed.reveal()))
    )
    kept = [entry.key for entry in state.unlock_keys.values() if entry.kind != "device"]
    sealed = seal_keyring(labels.IDENTITY_KEYRING, keyring, [*kept, unsealing.public])
    steps: list[AnyOperation] = [
        Recover(),
        AddDevice(signing=device.public.raw, sealing=unsealing.public),
        UnlockKey(kind="device", key=unsealing.public, recovery=None),
        ReadingKey(number=number, key=reading.public, keyring=part_hash(sealed)),
    ]
    recovering = Recovering(
        envelope=await _signed(service, chain, steps, kit.root, device),
        signing=device.seed.reveal(),
        sealing=unsealing.seed.reveal(),
        keyring=keyring,
    )
    return recovering, sealed


async def _signed(
    service: Service, chain: Chain, steps: Sequence[AnyOperation], *keys: SigningKey
) -> Envelope:
    """The next link of ``chain``."""
    link = IdentityLink(
        suite=labels.SUITE,
        identity=chain.identity,
        n=len(chain.links),
        prev=chain.links[-1].envelope.digest,
        operations=tuple(steps),
        view=await service.view(service.root.directory_origin),
    )
    return sign(labels.IDENTITY_LINK, link, *keys)


async def _published(service: Service, chain: Chain, envelope: Envelope, parts: tuple[bytes, ...]) -> Chain:
    """``chain`` with its next link."""
    published = await publish(service, chain.identity, len(chain.links), envelope, parts)
    return Chain(links=(*chain.links, published))


def _device(recovering: Recovering) -> bytes:
    return SigningKey(SecretBytes(recovering.signing)).public.key_id
