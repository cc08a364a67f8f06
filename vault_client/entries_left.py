"""What a service lost of a record and nobody has shown again: whether the record can go on without it.

A reading stands in the log under the key of its grant; what the service lost of it changes nothing of the record. Anything
else may be a change that another device holds, and is waited for, as long as there is another device.
"""

from collections.abc import Sequence

from crypto.locators import SlotColumn
from crypto.merkle import leaf_hash, verify_inclusion
from crypto.wire.losses import GiveUp, VaultQuery
from vault_client.own_identity import OwnIdentity
from vault_client.scan_keys import scan_keys
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica


async def settle_entries(service: Service, own: OwnIdentity, replica: VaultReplica) -> int:
    """Have the record go on if what lacks are readings, or no other device is left that could show it.

    Returns how many entries lack that may be changes of another device. Raises NotProven when the log is not the one that
    was believed.
    """
    lost = await service.api.lost_entries(VaultQuery(vault=replica.vault))
    head = replica.local.head
    if not lost.entries or lost.link != head.link:
        return len(lost.entries)
    if not await _is_only_device(service, own):
        last = replica.entries.last_index(head.n)
        others = await _others(service, replica, [index for index in lost.entries if index > last])
        if others or lost.more:
            return max(1, len(others))
    await service.api.give_up_entries(GiveUp(vault=replica.vault, link=head.link))
    return 0


async def _is_only_device(service: Service, own: OwnIdentity) -> bool:
    devices = own.known_at(service, await service.directory()).state.devices
    return set(devices) == {own.device.public.key_id}


async def _others(service: Service, replica: VaultReplica, indexes: Sequence[int]) -> list[int]:
    """Those of ``indexes`` that are not readings under a grant of the record."""
    origin = replica.origin
    head = (await service.refresh(origin)).head
    paths = await service.reader.inclusion(origin, indexes, head.size)
    leaves = await service.reader.leaves_at(origin, indexes)
    for index, path in zip(indexes, paths, strict=True):
        verify_inclusion(leaf_hash(leaves[index]), index, head.size, path, head.root)
    column = SlotColumn(b"".join(leaves[index] for index in indexes), 2)
    readings = {
        place
        for grant in scan_keys(replica, replica.grants()).grants.values()
        for place in grant.find(column)
    }
    return [index for place, index in enumerate(indexes) if place not in readings]
