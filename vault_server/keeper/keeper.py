"""The keeper: its parts joined. Implements ``KeeperApi``."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from crypto.errors import CoffreError, Damaged, NotPermitted, Refusal
from crypto.trust_root import InstanceCard
from crypto.wire import keeper_api as k
from crypto.wire.messages import Empty
from vault_server.keeper.clock import Clock
from vault_server.keeper.ends import Ends
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.identity_heads import IdentityHeads
from vault_server.keeper.keys import have_keys, load_card, load_keys
from vault_server.keeper.mirror import Mirror
from vault_server.keeper.release import Releases
from vault_server.keeper.source import Source
from vault_server.keeper.store import Store, have_store
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

RETRY = 0.5
TRUST_ROOT_EVERY = 300.0

Answer = TypeVar("Answer")


class Keeper:
    """An open keeper. ``open`` makes one; ``follow_trust`` runs beside it."""

    def __init__(
        self,
        card: k.KeeperCard,
        *,
        trust: Trust,
        logs: FollowedLogs,
        witness: Witness,
        identities: IdentityHeads,
        releases: Releases,
        ends: Ends,
        lost: int | None,
        events: EventLog,
    ) -> None:
        """Used by ``open``."""
        self._card, self._trust, self._logs, self._witness = card, trust, logs, witness
        self._identities, self._releases, self._ends = identities, releases, ends
        self._lost, self._events = lost, events

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data: Path,
        card: InstanceCard,
        source: Source,
        *,
        events: EventLog,
        clock: Callable[[int], Clock] = Clock,
        accept_lost_store: bool = False,
    ) -> AsyncIterator["Keeper"]:
        """The keeper in ``data``, believing the service of ``card``, reading from ``source``.

        ``clock`` makes its clock from the newest time stated in earlier runs. Raises Damaged when keys or store are
        missing or not whole, and when the store is missing without ``accept_lost_store``.
        """
        keys, own = load_keys(data), load_card(data)
        check_store(data, accept_lost_store=accept_lost_store)
        lost = None if have_store(data) else clock(0).now()
        async with await Store.open(data, keys.cosigning.public.key_id, lost=lost) as store:
            floor, lost = await store.clock_and_loss()
            time = clock(floor)
            trust, logs = Trust(store, source, card, time), FollowedLogs(store)
            witness = Witness(
                own.name,
                keys.cosigning,
                clock=time,
                trust=trust,
                logs=logs,
                mirror=Mirror(logs, store, source),
                source=source,
                floor=floor,
            )
            identities = IdentityHeads(keys.cosigning, clock=time, trust=trust, logs=logs, witness=witness)
            keeper = cls(
                own,
                trust=trust,
                logs=logs,
                witness=witness,
                identities=identities,
                releases=Releases(
                    keys.sealing,
                    clock=time,
                    trust=trust,
                    store=store,
                    logs=logs,
                    witness=witness,
                    identities=identities,
                ),
                ends=Ends(keys, clock=time, trust=trust, store=store, logs=logs, witness=witness),
                lost=lost,
                events=events,
            )
            await logs.load()
            await trust.load()
            keeper.check_return()
            yield keeper

    @property
    def ready(self) -> bool:
        """Whether there is a trust root to answer by."""
        return self._trust.known

    async def refresh_trust(self) -> None:
        """Ask the server for newer trust roots. Raises NotPermitted when this keeper may not return by order alone."""
        try:
            await self._trust.refresh()
        except CoffreError as error:
            self._events.write("trust_root_not_refreshed", problem=type(error).__name__)
        self.check_return()

    async def follow_trust(self) -> None:
        """Keep the trust root new, for ever. Raises as ``refresh_trust`` does."""
        while True:
            await self.refresh_trust()
            await asyncio.sleep(TRUST_ROOT_EVERY if self.ready else RETRY)

    def check_return(self) -> None:
        """Raises NotPermitted when the store was lost and the service has several keepers."""
        if (
            self._lost is not None
            and self.ready
            and any(policy.n > 1 for policy in self._trust.newest.policies)
        ):
            raise NotPermitted(
                "This keeper has lost its store, and the service has several keepers. It signs and releases nothing. "
                "To return it needs the heads and posted ends of the others, which this version cannot ask for: ask "
                "the operator of the service for a new trust root without this keeper."
            )

    def cosigned_checkpoint(self, name: str) -> bytes:
        """The highest cosigned checkpoint of the log whose origin has this SHA-256 in hexadecimal."""
        return self._logs.note(name)

    async def card(self, query: Empty) -> k.KeeperCard:
        """The keeper's public half."""
        return self._card

    async def identity_head(self, query: k.IdentityHeadQuery) -> k.IdentityHeadAnswer:
        """Completeness of an identity chain."""
        answer = await self._counted(self._identities.identity_head(query))
        self._events.counters.identity_heads += 1
        return answer

    async def release(self, query: k.ReleaseQuery) -> k.ReleaseAnswer:
        """The release half for a logged request. One refusal for every failed check."""
        answer = await self._counted(self._releases.release(query))
        self._events.counters.released += 1
        return answer

    async def end(self, query: k.EndPost) -> k.EndAnswer:
        """Take note of an end."""
        answer = await self._counted(self._ends.end(query))
        self._events.counters.ended += 1
        return answer

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a checkpoint (C2SP tlog-witness)."""
        answer = await self._counted(self._witness.add_checkpoint(body))
        self._events.counters.cosigned += 1
        return answer

    async def _counted(self, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except Refusal:
            self._events.counters.refused += 1
            raise


def check_store(data: Path, *, accept_lost_store: bool) -> None:
    """Raises Damaged when the store is missing beside keys, unless its loss is accepted."""
    if have_keys(data) and not have_store(data) and not accept_lost_store:
        raise Damaged(
            f"The keeper's store in {data} is gone, but its keys are there. It was not started: without its heads it "
            "could sign a log that contradicts what it signed before, and it has forgotten the ends that were posted "
            "to it. If this is the service's only keeper and you accept that, start it once with "
            "--accept-lost-store, and tell the patients: their clients post every end again."
        )
