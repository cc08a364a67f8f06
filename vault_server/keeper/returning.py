"""The return of one of several keepers after its store was lost, and the beginning of one that was named later, from what
the others know.

The first may have cosigned a head or acknowledged an end that it has forgotten. Whatever it signed counts for ten minutes at
most with what others sign; so it is silent for longer, and only then asks: what k others know holds everything that can
count. They show their heads, of one log each, and their ends; it takes the highest and all, and is a keeper again. The
second has nothing to forget, so it asks at once: those that were keepers before it was, also where they have retired since.
"""

import asyncio
from collections.abc import Awaitable, Callable

from crypto import labels, trust_root
from crypto.checkpoint import claimed_origin, cosignatures, open_checkpoint
from crypto.encoding import decode
from crypto.errors import BadSignature, CoffreError, NotFound, NotPermitted, NotProven, Refusal, Unreachable
from crypto.locators import end_tag
from crypto.sealed.held_ends import HeldEnd, open_ends
from crypto.sealing import key_hash
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign, verify, verify_keys
from crypto.trust_root import Keeper, TrustRoot
from crypto.wire.keeper_api import MAX_HEADS, FurtherEndsQuery, HeadsQuery, HeadsQuestion, KnownHeads
from vault_server.keeper.clock import Clock
from vault_server.keeper.ends import Ends
from vault_server.keeper.evidence import Contradiction
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.keys import Keys
from vault_server.keeper.known_heads import ASKED
from vault_server.keeper.other_keepers import Meet
from vault_server.keeper.rows import HeldPost
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

SILENCE = 1800
# So many pages of ends are asked of a keeper at a stretch, and one in so many seconds from then on: it answers no more.
STRETCH, REST = ASKED.at_once // 2, 1 / ASKED.a_second


class Shown:
    """What one other keeper showed, its signatures verified: the note of each head by its log, and ends by their tags."""

    def __init__(self, heads: dict[str, bytes], ends: dict[bytes, HeldEnd]) -> None:
        self.heads, self.ends = heads, ends


class Returning:
    """One run of a keeper without its heads. The silence begins anew with each. ``lost``: it had heads before."""

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
        lost: bool,
    ) -> None:
        self._lost = lost
        self._keys, self._clock, self._trust, self._store = keys, clock, trust, store
        self._logs, self._witness, self._ends, self._meet = logs, witness, ends, meet
        self._own = key_hash(keys.sealing.public)
        self._since = clock.elapsed()

    @property
    def silent_for(self) -> float:
        """How many seconds are left before the others are asked."""
        return max(0.0, self._since + SILENCE - self._clock.elapsed()) if self._lost else 0.0

    @property
    def before(self) -> TrustRoot | None:
        """The newest trust root that did not name this keeper yet, if one that followed it does."""
        return self._trust.before(self._own) if self._trust.known else None

    async def come_back(self) -> None:
        """Ask the others, and go on, or begin, from what they know.

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
        try:
            shown = await self._ask_all(self._ask)
            await self._resume(shown)
            if any(each.ends for each in shown):
                # An end that is logged before its turn comes is under a head that is shown with the last ones.
                await self._resume(await self._ask_all(self._ask_for_ends))
        except Contradiction:
            await self._store.contradict(version)
            raise
        time = self._clock.now()
        await self._store.come_back(time)
        self._witness.stated(time)

    async def _resume(self, shown: list[Shown]) -> None:
        for origin in sorted({origin for each in shown for origin in each.heads}):
            notes = [each.heads[origin] for each in shown if origin in each.heads]
            await self._witness.resume(origin, notes)

    def _others(self) -> tuple[list[Keeper], int]:
        """Whom to ask, and how many of them must answer. Raises NotPermitted when the trust root does not name this keeper."""
        root = self._trust.newest
        if all(keeper.key_hash != self._own for keeper in root.live_keepers):
            raise NotPermitted(
                "The trust root does not name this keeper. Nothing was signed. Ask the operator of the service."
            )
        known = root if self._lost else self.before or root
        live = {keeper.key_hash for keeper in known.live_keepers} - {self._own}
        return [keeper for keeper in root.keepers if keeper.key_hash in live], known.policy.k

    async def _ask_all(self, ask: Callable[[Keeper], Awaitable[Shown]]) -> list[Shown]:
        """What the others show, of whom there are as many as must answer."""
        others, needed = self._others()
        answers = await asyncio.gather(*map(ask, others), return_exceptions=True)
        shown, silent = [], []
        for keeper, answer in zip(others, answers, strict=True):
            if isinstance(answer, Shown):
                shown.append(answer)
            elif isinstance(answer, CoffreError):
                silent.append(keeper.name)
            else:
                raise answer
        if len(shown) < needed:
            names = ", ".join(sorted(silent))
            raise Unreachable(
                f"This keeper comes back when as many others as must sign a head ({needed}) have shown what they know. "
                f"These do not answer, or not rightly: {names}. Nothing was signed. It asks again in a minute."
                if self._lost
                else f"This keeper is new, and begins when as many of those before it as had to sign a head ({needed}) have shown "
                f"what they know. These do not answer, or not rightly: {names}. Nothing was signed. It asks again in a minute."
            )
        return shown

    async def _ask(self, keeper: Keeper, after: bytes = b"") -> Shown:
        """What ``keeper`` shows now, with the first ends that it holds, or those that follow on the tag ``after``."""
        question = HeadsQuestion(
            asker=self._own,
            asked=keeper.key_hash,
            trust_root=self._trust.current.ref,
            nonce=SecretBytes.random(32).reveal(),
        )
        envelope = sign(labels.HEADS_QUESTION, question, self._keys.cosigning)
        other = self._meet(keeper)
        answer = await (
            other.further_ends(FurtherEndsQuery(envelope=envelope, after=after))
            if after
            else other.known_heads(HeadsQuery(envelope=envelope))
        )
        verify(answer.envelope, labels.KNOWN_HEADS, verify_keys(keeper.cosigning_key))
        known = decode(answer.envelope.body, KnownHeads, limit=MAX_HEADS)
        if known.question != envelope.digest:
            raise NotProven(
                "A keeper answered another question than the one it was asked. It was not believed."
            )
        about = (envelope.digest, after) if after else (envelope.digest,)
        held = open_ends(self._keys.sealing, known.ends, *about)
        tags = [end_tag(SecretBytes(end.end_key), end.origin, end.gid) for end in held.ends]
        if tags != sorted({tag for tag in tags if tag > after}):
            raise NotProven("A keeper shows ends that are not in their order. It was not believed.")
        return Shown(self._heads(keeper, known), dict(zip(tags, held.ends, strict=True)))

    async def _ask_for_ends(self, keeper: Keeper) -> Shown:
        """Hold every valid end that ``keeper`` shows. The heads are those that it shows when there are no more."""
        shown, count, pages = await self._ask(keeper), 0, 1
        while shown.ends:
            count += len(shown.ends)
            if count > self._entries():
                raise NotProven("A keeper shows more ends than there are entries. It was not believed.")
            held = [await self._held(end) for end in shown.ends.values()]
            await self._store.add_ends([end for end in held if end is not None])
            if pages >= STRETCH:
                await asyncio.sleep(REST)
            shown, pages = await self._ask(keeper, max(shown.ends)), pages + 1
        return shown

    def _entries(self) -> int:
        """How many entries the logs have, also those whose place others took. Each end is of a grant that is in one."""
        closed = sum(entry.last_head.size for entry in self._trust.newest.successors)
        return closed + self._logs.entries

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
