"""A new epoch of a vault: fresh keys, and the keyring sealed to every unlock key that is live now.

Due when a device of a holder was removed: whoever has it can make what the old epoch's keys make, and nothing of the new.
"""

import secrets

import msgspec

from crypto import labels
from crypto.errors import Conflict
from crypto.sealed.keyring import EpochKeys, seal_keyring
from crypto.sealed.unsealing import UnsealingKey
from crypto.statements import part_hash
from crypto.vault_links import Rotate, scan_key_commitment
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.vault_replica import Intent, VaultReplica

_TRIES = 4


async def rotate(service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
    """Append the link that starts the next epoch. Raises Conflict when others keep writing."""
    for _ in range(_TRIES):
        try:
            await replica.append(await _rotation(service, own, replica))
        except Conflict:
            continue  # a keyring names the link it follows: another is made on the new one
        return
    raise Conflict(
        "Other devices kept writing to this record. Its keys were not changed. Try again in a moment."
    )


async def _rotation(service: Service, own: OwnIdentity, replica: VaultReplica) -> Intent:
    local = replica.local
    view = await replica.view()
    log_key, deposit_key = UnsealingKey.generate(), UnsealingKey.generate()
    before = local.keyring.epochs[-1]
    categories = [UnsealingKey.generate() for _ in before.category_keys]
    keys = EpochKeys(
        epoch=before.epoch + 1,
        secret=secrets.token_bytes(32),
        scan_key=secrets.token_bytes(32),
        log_key=log_key.seed.reveal(),
        deposit_key=deposit_key.seed.reveal(),
        category_keys=tuple(
            msgspec.structs.replace(entry, seed=key.seed.reveal())
            for entry, key in zip(before.category_keys, categories, strict=True)
        ),
    )
    keyring = msgspec.structs.replace(
        local.keyring,
        vault=local.head.vault,
        epochs=(*local.keyring.epochs, keys),
        head=view.seen,
        link=local.head.link,
    )
    unlock_keys = own.known_at(service, view.dir).state.unlock_keys.values()
    sealed = seal_keyring(labels.VAULT_KEYRING, keyring, [entry.key for entry in unlock_keys])
    rotation = Rotate(
        epoch=keys.epoch,
        keyring=part_hash(sealed),
        scan_key=scan_key_commitment(keys.scan_key),
        log_key=log_key.public,
        deposit_key=deposit_key.public,
        category_keys=tuple(key.public for key in categories),
    )
    return Intent(operations=(rotation,), parts=(sealed,), scan_key=keys.scan_key, on=local.head.link)
