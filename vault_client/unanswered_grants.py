"""The grants that were sent and not answered, or refused: each may be in the record, or come into it, so each can be ended.

What is known of one is its first event, as it was kept before it was sent, and the step of the link that names it.
"""

from collections.abc import Iterator

import msgspec

from crypto.errors import Conflict
from crypto.vault_chain import GrantEntry
from crypto.vault_links import Block, Grant
from vault_client.device_store import DeviceStore
from vault_client.kept_grants import intent_name
from vault_client.local_vault import GrantedVersion, GrantIntent, LocalGrant
from vault_client.vault_replica import Intent, VaultReplica


class UnansweredGrants:
    """Those of the record of one profile."""

    def __init__(self, store: DeviceStore, replica: VaultReplica) -> None:
        self._store = store
        self._replica = replica

    def grant(self, gid: bytes) -> LocalGrant | None:
        """One of them as it stands in the record, should it be there."""
        found = next(self._events(gid), None)
        return None if found is None else _as_in_the_record(*found)

    def grants(self) -> Iterator[LocalGrant]:
        """All of them."""
        for gid in {step.gid for step, _ in self._events()}:
            if (grant := self.grant(gid)) is not None:
                yield grant

    def granted(self, gid: bytes) -> tuple[GrantedVersion, ...]:
        """The versions that one of them gives, should it be in the record."""
        return next((intent.versions for _, intent in self._events(gid)), ())

    def ever_sent(self) -> Iterator[LocalGrant]:
        """All of them, and those that another link overtook since: a server can have logged these too."""
        yield from {step.gid: _as_in_the_record(step, intent) for step, intent in self._ever_sent()}.values()

    def ever_granted(self, gid: bytes) -> tuple[GrantedVersion, ...] | None:
        """The versions that one of ``ever_sent`` gives; None for another grant."""
        given = [intent.versions for step, intent in self._ever_sent() if step.gid == gid]
        return tuple(version for versions in given for version in versions) if given else None

    async def settle(self, grant: LocalGrant) -> bool:
        """Whether ``grant`` is in the record. If not, it can not come into it any more, however late its link arrives.

        That is so once another link stands in its place: one that leaves its recipient blocked, or not, as they are.
        """
        await self._replica.sync()
        gid, recipient = grant.entry.gid, grant.entry.recipient
        if self.grant(gid) is not None:
            same = Block(identity=recipient, blocked=self._replica.is_blocked(recipient))
            try:
                await self._replica.append(Intent(operations=(same,), on=self._replica.local.head.link))
            except Conflict:
                if self.grant(gid) is not None:
                    raise
        return self._replica.grant(gid) is not None

    def _events(self, gid: bytes | None = None) -> Iterator[tuple[Grant, GrantIntent]]:
        for step in self._replica.sent():
            if not isinstance(step, Grant) or step.j or gid not in {None, step.gid}:
                continue
            intent = self._store.get(intent_name(step.gid, step.event), GrantIntent)
            if intent is not None and self._replica.grant(step.gid) is None:
                yield step, intent

    def _ever_sent(self) -> Iterator[tuple[Grant, GrantIntent]]:
        yield from ((each.step, each.intent) for each in self._replica.overtaken())
        yield from self._events()


def _as_in_the_record(step: Grant, intent: GrantIntent) -> LocalGrant:
    """A grant as it would stand there with its first event."""
    entry = GrantEntry(
        gid=step.gid,
        recipient=step.recipient,
        j=step.j,
        event=step.event,
        rekey=step.rekey,
        epoch_first=step.epoch,
        epoch=step.epoch,
        ended=False,
    )
    return LocalGrant(entry=entry, **msgspec.structs.asdict(intent.grant))
