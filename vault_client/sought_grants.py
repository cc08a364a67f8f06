"""The grants whose entries an audit looks for: those of the record, and all that were ever sent for it from here.

A server can log a grant whose answer it keeps back, or that it refuses, and show it to its recipient: then that is in the log and
not in the record. Nobody but the device that made it can find what is read under it.
"""

from collections.abc import Iterable

from vault_client.device_store import DeviceStore
from vault_client.local_vault import AuditPlace, GrantedVersion, LocalGrant
from vault_client.log_scan import FoundLeaf
from vault_client.unanswered_grants import UnansweredGrants
from vault_client.vault_replica import VaultReplica


class SoughtGrants:
    """Those of one profile."""

    def __init__(self, store: DeviceStore, replica: VaultReplica) -> None:
        self._replica = replica
        self._unanswered = UnansweredGrants(store, replica)

    def all(self) -> list[LocalGrant]:
        """Every one of them."""
        return [*self._replica.grants(), *self._unanswered.ever_sent()]

    def late(self, place: AuditPlace) -> list[LocalGrant]:
        """Those that the scan up to ``place`` did not look for.

        Where an earlier version of this program made that scan, it had looked for those of the record.
        """
        if place.grants is None:
            return list(self._unanswered.ever_sent())
        known = set(place.grants)
        return [grant for grant in self.all() if grant.entry.gid not in known]

    def grant(self, gid: bytes) -> LocalGrant | None:
        """One of them."""
        sent = (grant for grant in self._unanswered.ever_sent() if grant.entry.gid == gid)
        return self._replica.grant(gid) or next(sent, None)

    def sent_only(self, gid: bytes) -> tuple[GrantedVersion, ...] | None:
        """The versions that a grant gives which was sent and is not in the record; None for any other."""
        return None if self._replica.grant(gid) is not None else self._unanswered.ever_granted(gid)


def not_seen_before(
    found: dict[int, FoundLeaf], place: AuditPlace, late: Iterable[LocalGrant]
) -> dict[int, FoundLeaf]:
    """Of the leaves found those after ``place``, and before it those that only the keys of ``late`` find."""
    gids = {grant.entry.gid for grant in late}

    def is_new(leaf: FoundLeaf) -> bool:
        if leaf.index >= place.scanned.size:
            return True
        by = leaf.by_tag.gid if leaf.by_tag is not None else leaf.by_grant
        return not leaf.by_vault and by in gids

    return {index: leaf for index, leaf in found.items() if is_new(leaf)}
