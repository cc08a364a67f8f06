"""The keeper: its parts joined. Implements ``KeeperApi``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from crypto.checkpoint import origin_hash
from crypto.errors import CoffreError, Damaged, Refusal, Unreachable
from crypto.trust_root import InstanceCard
from crypto.wire import keeper_api as k
from crypto.wire.messages import Empty
from vault_server.keeper.clock import Clock
from vault_server.keeper.ends import Ends
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.evidence import EvidenceFolder
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.identity_heads import IdentityHeads
from vault_server.keeper.keys import load_card, load_keys
from vault_server.keeper.known_heads import KnownHeadsAnswers
from vault_server.keeper.mirror import Mirror
from vault_server.keeper.other_keepers import HttpOtherKeeper, Meet
from vault_server.keeper.release import Releases
from vault_server.keeper.returning import Returning
from vault_server.keeper.rows import Standing
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
        known_heads: KnownHeadsAnswers,
        returning: Returning,
        standing: Standing,
        events: EventLog,
    ) -> None:
        """Used by ``open``."""
        self._card, self._trust, self._logs, self._witness = card, trust, logs, witness
        self._identities, self._releases, self._ends = identities, releases, ends
        self._known_heads, self._returning = known_heads, returning
        self._lost, self._ordered, self._events = standing.lost is not None, standing.ordered, events
        self._joined = standing.joined

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
        meet: Meet = HttpOtherKeeper,
        accept_lost_store: bool = False,
    ) -> AsyncIterator["Keeper"]:
        """The keeper in ``data``, believing the service of ``card``, reading from ``source``.

        ``clock`` makes its clock from the newest time stated in earlier runs; ``meet`` reaches the other keepers. Raises
        Damaged when keys or store are not whole, and as ``check_return`` does.
        """
        keys, own = load_keys(data), load_card(data)
        lost = None if have_store(data) else clock(0).now()
        async with await Store.open(data, keys.cosigning.public.key_id, lost=lost) as store:
            if accept_lost_store:
                await store.order()
            standing = await store.standing()
            time = clock(standing.clock)
            logs = FollowedLogs(store)
            trust = Trust(store, source, card, time)
            witness = Witness(
                own.name,
                keys.cosigning,
                clock=time,
                trust=trust,
                logs=logs,
                mirror=Mirror(logs, store, source, trust, time),
                source=source,
                evidence=EvidenceFolder(data, keys.cosigning, time, trust, events),
                floor=standing.clock,
            )
            ends = Ends(keys, clock=time, trust=trust, store=store, logs=logs, witness=witness)
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
                ends=ends,
                known_heads=KnownHeadsAnswers(keys, clock=time, trust=trust, store=store),
                returning=Returning(
                    keys,
                    clock=time,
                    trust=trust,
                    store=store,
                    logs=logs,
                    witness=witness,
                    ends=ends,
                    meet=meet,
                    lost=standing.lost is not None,
                ),
                standing=standing,
                events=events,
            )
            await logs.load()
            await trust.load()
            keeper.check_return()
            yield keeper

    @property
    def ready(self) -> bool:
        """Whether it answers: there is a trust root to answer by, and the heads that must not be contradicted."""
        return self.has_trust_root and not self.is_silent

    @property
    def has_trust_root(self) -> bool:
        """Whether the server has handed over the trust root of the card."""
        return self._trust.known

    @property
    def is_silent(self) -> bool:
        """Whether the heads that must not be contradicted are not here: lost, or not taken over yet."""
        return self._is_without_store or self.is_new

    @property
    def is_new(self) -> bool:
        """Whether it was named after others were, and has not yet taken over what those know."""
        return not (self._lost or self._joined) and self._returning.before is not None

    @property
    def _is_without_store(self) -> bool:
        """Whether the store was lost and has not come back. The only keeper goes on by order; no other one does."""
        return self._lost and not (self._ordered and self._trust.known and self._is_only_keeper)

    @property
    def _is_only_keeper(self) -> bool:
        root = self._trust.newest
        return len(root.live_keepers) == 1 and any(policy.n == 1 for policy in root.policies)

    async def refresh_trust(self) -> None:
        """Ask the server for newer trust roots. Raises as ``check_return`` does."""
        try:
            await self._trust.refresh()
        except CoffreError as error:
            self._events.write("trust_root_not_refreshed", problem=type(error).__name__)
        self.check_return()

    async def follow_trust(self) -> None:
        """Keep the trust root new, for ever. Raises as ``refresh_trust`` does."""
        while True:
            await self.refresh_trust()
            await asyncio.sleep(TRUST_ROOT_EVERY if self.has_trust_root else RETRY)

    def check_return(self) -> None:
        """Raises Damaged when the store of a service's only keeper was lost, and its operator has not ordered it to go on."""
        if self._trust.known and self._is_without_store and self._is_only_keeper:
            raise Damaged(
                "This keeper's store is gone, but its keys are there. It answers nothing: without its heads it could sign a "
                "log that contradicts what it signed before, and it has forgotten the ends that were posted to it. It is this "
                "service's only keeper: if you accept that, start it once with --accept-lost-store, and tell the patients: "
                "their clients post every end again."
            )

    async def come_back(self) -> None:
        """After the loss of the store, or new, go on from what the others know. Raises as ``Returning.come_back`` does."""
        await self._returning.come_back()
        self._lost, self._joined = False, True
        self._events.write("came back")

    @property
    def silent_for(self) -> float:
        """How many seconds are left before the other keepers are asked."""
        return self._returning.silent_for

    async def checkpoint(self, origin: str) -> bytes:
        """The highest cosigned checkpoint of this log."""
        return self.cosigned_checkpoint(origin_hash(origin))

    def cosigned_checkpoint(self, name: str) -> bytes:
        """The highest cosigned checkpoint of the log whose origin has this SHA-256 in hexadecimal."""
        self._check_awake()
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

    async def known_heads(self, query: k.HeadsQuery) -> k.HeadsAnswer:
        """The heads and ends known here, for another keeper that lost its own."""
        return await self._counted(self._known_heads.known_heads(query))

    async def further_ends(self, query: k.FurtherEndsQuery) -> k.HeadsAnswer:
        """``known_heads``, with the ends that follow on one that was shown."""
        return await self._counted(self._known_heads.further_ends(query))

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a checkpoint (C2SP tlog-witness)."""
        answer = await self._counted(self._witness.add_checkpoint(body))
        self._events.counters.cosigned += 1
        return answer

    async def _counted(self, call: Coroutine[None, None, Answer]) -> Answer:
        try:
            self._check_awake()
            return await call
        except Refusal:
            self._events.counters.refused += 1
            raise
        finally:
            call.close()

    def _check_awake(self) -> None:
        if self.is_new:
            raise Unreachable(
                "This keeper is new, and answers nothing until those before it have shown what they know. Nothing was done. "
                "Ask the other keepers."
            )
        if self.is_silent:
            raise Unreachable(
                "This keeper has lost its store, and answers nothing until it has come back. Nothing was done. Ask the other "
                "keepers."
            )
