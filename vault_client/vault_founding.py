"""Founding a vault: epoch 0, the genesis, and the place in a log that it names for ever."""

import secrets

from crypto import labels
from crypto.errors import NotPermitted, NotProven
from crypto.locators import Locator
from crypto.sealed.keyring import EpochKeys, VaultKeyring, seal_keyring
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from crypto.statements import part_hash
from crypto.vault_chain import found
from crypto.vault_links import Genesis, Person, Rotate, person_commitment, scan_key_commitment
from crypto.wire.messages import Empty, LinkSubmission
from vault_client.device_store import DeviceStore
from vault_client.kept_entries import KeptEntries
from vault_client.local_vault import LocalVault, ToBeFounded
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service


async def found_vault(store: DeviceStore, service: Service, own: OwnIdentity) -> LocalVault:
    """Found ``own``'s vault and keep it.

    Who the record is about, of which the server is sent only a commitment, and the export that it goes on from stand in
    ``store`` (``ToBeFounded``).
    """
    named = store.get("founding", ToBeFounded)
    salt, name = secrets.token_bytes(32), named.name if named is not None else ""
    reservation = await service.api.reserve(Empty())
    origin = reservation.origin
    service.root.log_key_of(origin)  # a log of another host is refused before anything is made for it
    await service.refresh(origin)
    view = await service.view(origin)
    known = own.known_at(service, view.dir)
    log_key, deposit_key = UnsealingKey.generate(), UnsealingKey.generate()
    keys = EpochKeys(
        epoch=0,
        secret=secrets.token_bytes(32),
        scan_key=secrets.token_bytes(32),
        log_key=log_key.seed.reveal(),
        deposit_key=deposit_key.seed.reveal(),
        category_keys=(),
    )
    person = Person(salt=salt, name=name) if name else None
    keyring = VaultKeyring(
        vault=None, epochs=(keys,), person=person, origin=origin, head=view.seen, link=None
    )
    unlock_keys = [entry.key for entry in known.state.unlock_keys.values()]
    sealed = seal_keyring(labels.VAULT_KEYRING, keyring, unlock_keys)
    genesis = Genesis(
        suite=labels.SUITE,
        holders=(own.identity,),
        rule=1,
        person=person_commitment(salt, name),
        origin=origin,
        slot=reservation.slot,
        random=secrets.token_bytes(32),
        continues=named.continues if named is not None else None,
        keyring=Rotate(
            epoch=0,
            keyring=part_hash(sealed),
            scan_key=scan_key_commitment(keys.scan_key),
            log_key=log_key.public,
            deposit_key=deposit_key.public,
            category_keys=(),
        ),
        signers=(known.ref,),
        view=view,
    )
    envelope = sign(labels.GENESIS, genesis, own.device)
    changes = found(envelope, [known])
    submission = LinkSubmission(
        envelope=envelope, scan_key=keys.scan_key, tags=(), events=(), parts=(sealed,)
    )
    accepted = await service.api.create_vault(submission)
    if len(accepted.logged) != 1:
        raise NotProven("The server did not prove that the record was founded. It will not be used.")
    leaf = await service.believe_logged(origin, accepted.logged[0], envelope, "accepted")
    if not Locator(SecretBytes(keys.scan_key), origin).matches(leaf.slot_one):
        raise NotPermitted(
            "The server logged the founding where it cannot be found. The record will not be used."
        )
    local = LocalVault(genesis=envelope, head=changes.head, keyring=keyring)
    with store.transaction():
        store.delete("founding")
        store.put("vault", local)
        store.put("link/0", envelope)
    entries = KeptEntries(store)
    entries.keep_sent(0, submission)
    entries.keep_proved(0, envelope, [accepted.logged[0].disclosure])
    return local
