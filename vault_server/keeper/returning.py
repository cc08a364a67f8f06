"""The return of one of several keepers after its store was lost, from what the others know.

It may have cosigned a head or acknowledged an end that it has forgotten. Whatever it signed counts for ten minutes at
most with what others sign; so it is silent for longer, and only then asks: what k others know holds everything that can
count. They show their heads, of one log each, and their ends; it takes the highest and all, and is a keeper again.
"""

import asyncio

from crypto import labels, trust_root
from crypto.checkpoint import claimed_origin, cosignatures, open_checkpoint
from crypto.encoding import decode
from crypto.errors import BadSignature, CoffreError, NotFound, NotPermitted, NotProven, Refusal, Unreachable
from crypto.sealed.held_ends import HeldEnd, open_ends
from crypto.sealing import key_hash
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign, verify, verify_keys
from crypto.trust_root import Keeper
from crypto.wire.keeper_api import MAX_HEADS, HeadsQuery, HeadsQuestion, KnownHeads
from vault_server.keeper.clock import Clock
from vault_server.keeper.ends import Ends
from vault_server.keeper.evidence import Contradiction
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.keys import Keys
from vault_server.keeper.other_keepers import Meet
from vault_server.keeper.rows import HeldPost
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

SILENCE = 1800


class Shown:
    """What one other keeper showed, its signatures verified: the note of each head by its log, and the ends."""

    def __init__(self, heads: dict[str, bytes], ends: tuple[HeldEnd, ...]) -> None:
        self.heads, self.ends = heads, ends


class Returning:
    """One run of a keeper without its heads. The silence begins anew with each."""

    def __init__(
        self,
        keys: Keys,
        *,
        clock: Clock,
        trust: Trust,
        store: Store,
        logs: FollowedLogs,
        witness: Witness,
        ends: Ends,
        meet: Meet,
    ) -> None:
        self._keys, self._clock, self._trust, self._store = keys, clock, trust, store
        self._logs, self._witness, self._ends, self._meet = logs, witness, ends, meet
        self._own = key_hash(keys.sealing.public)
        self._since = clock.elapsed()

    @property
    def silent_for(self) -> float:
        """How many seconds are left before the others are asked."""
        return max(0.0, self._since + SILENCE - self._clock.elapsed())

    async def come_back(self) -> None:
        """Ask the others, and go on from what they know.

        Raises Unreachable before the time has come, or when too few answer; Contradiction when their heads are not of one
        log, and NotProven ever after under this trust root, or when the server does not show what they know; NotPermitted
        when the trust root does not name this keeper, Stale when it has expired.
        """
        if self.silent_for:
            raise Unreachable(
                "This keeper has lost its store. It signs nothing for 30 minutes, and then asks the other keepers what it may "
                "have signed. Leave it running: a restart begins the 30 minutes anew."
            )
        await self._trust.refresh()
        trust_root.check_expiry(self._trust.current, self._clock.now())
        version = self._trust.current.ref.version
        standing = await self._store.standing()
        if standing.contradicted is not None and standing.contradicted >= version:
            raise NotProven(
                "The other keepers' heads contradict each other. Nothing was signed. Only a new trust root brings this "
                "keeper back."
            )
        shown = await self._ask_all()
        try:
            for origin in sorted({origin for each in shown for origin in each.heads}):
                notes = [each.heads[origin] for each in shown if origin in each.heads]
                await self._witness.resume(origin, notes)
        except Contradiction:
            await self._store.contradict(version)
            raise
        held = [await self._held(end) for end in {end for each in shown for end in each.ends}]
        time = self._clock.now()
        await self._store.come_back([end for end in held if end is not None], time)
        self._witness.stated(time)

    async def _ask_all(self) -> list[Shown]:
        """What the others show, of whom there are k."""
        root = self._trust.newest
        others = [keeper for keeper in root.live_keepers if keeper.key_hash != self._own]
        if len(others) == len(root.live_keepers):
            raise NotPermitted(
                "The trust root does not name this keeper. Nothing was signed. Ask the operator of the service."
            )
        answers = await asyncio.gather(*map(self._ask, others), return_exceptions=True)
        shown, silent = [], []
        for keeper, answer in zip(others, answers, strict=True):
            if isinstance(answer, Shown):
                shown.append(answer)
            elif isinstance(answer, CoffreError):
                silent.append(keeper.name)
            else:
                raise answer
        if len(shown) < root.policy.k:
            names = ", ".join(sorted(silent))
            raise Unreachable(
                f"This keeper comes back when as many others as must sign a head ({root.policy.k}) have shown what they know. "
                f"These do not answer, or not rightly: {names}. Nothing was signed. It asks again in a minute."
            )
        return shown

    async def _ask(self, keeper: Keeper) -> Shown:
        question = HeadsQuestion(
            asker=self._own,
            asked=keeper.key_hash,
            trust_root=self._trust.current.ref,
            nonce=SecretBytes.random(32).reveal(),
        )
        envelope = sign(labels.HEADS_QUESTION, question, self._keys.cosigning)
        answer = await self._meet(keeper).known_heads(HeadsQuery(envelope=envelope))
        verify(answer.envelope, labels.KNOWN_HEADS, verify_keys(keeper.cosigning_key))
        known = decode(answer.envelope.body, KnownHeads, limit=MAX_HEADS)
        if known.question != envelope.digest:
            raise NotProven(
                "A keeper answered another question than the one it was asked. It was not believed."
            )
        held = open_ends(self._keys.sealing, known.ends, envelope.digest)
        return Shown(self._heads(keeper, known), held.ends)

    def _heads(self, keeper: Keeper, known: KnownHeads) -> dict[str, bytes]:
        """Each head by its log, which signed it, as did the keeper. A log that is not the trust root's any more is left out."""
        heads: dict[str, bytes] = {}
        for note in known.heads:
            origin = claimed_origin(note)
            try:
                key = self._trust.log_key(origin)
            except NotFound:
                continue
            open_checkpoint(note, key)
            if not cosignatures(note, [keeper.cosigner]) or origin in heads:
                raise BadSignature("A keeper shows a head that it has not cosigned. It was not believed.")
            heads[origin] = note
        return heads

    async def _held(self, end: HeldEnd) -> HeldPost | None:
        """The end as it is held here; nothing for one that is not valid, since its grant is in no log."""
        log = self._logs.get(end.origin)
        if log is None:
            return None
        try:
            return await self._ends.check(log.row, end)
        except Refusal:
            return None
