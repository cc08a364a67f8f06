"""What this keeper shows to another one that lost its store: its highest heads, and the ends that no log shows yet.

Only a live keeper of the trust root is answered, and the ends are sealed to it: it was sent each of them, by the
patient, when it was sent here.
"""

from crypto import labels
from crypto.encoding import decode
from crypto.errors import NotPermitted, Stale, TooMany
from crypto.sealed.held_ends import HeldEnds, open_ends, seal_ends
from crypto.sealing import key_hash
from crypto.signing import Envelope, sign, verify, verify_keys
from crypto.wire.keeper_api import FurtherEndsQuery, HeadsAnswer, HeadsQuery, HeadsQuestion, KnownHeads
from vault_server.keeper.clock import Clock
from vault_server.keeper.keys import Keys
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust
from vault_server.limits import Buckets
from vault_server.recent import Recent
from vault_server.settings import Rate

# Opening what is held costs some time; a question that was answered is not answered again.
MAX_ANSWERED = 1024
# So many ends are opened for one answer, in about a fifth of a second; whoever asks goes on behind the last of them.
SHOWN = 512
# What each keeper may ask: in the long run a fifth of a processor, whatever it is up to.
ASKED = Rate(a_second=1, at_once=64)


class KnownHeadsAnswers:
    """Answers other keepers."""

    def __init__(self, keys: Keys, *, clock: Clock, trust: Trust, store: Store) -> None:
        self._keys, self._trust, self._store = keys, trust, store
        self._own = key_hash(keys.sealing.public)
        self._answered = Recent[bytes, None](MAX_ANSWERED)
        self._asked = Buckets(ASKED, clock.elapsed)

    async def known_heads(self, query: HeadsQuery) -> HeadsAnswer:
        """The newest heads and the first unlogged ends, as of one moment, signed, for the keeper that signed the question.

        Raises BadSignature or NotPermitted when that is no live keeper or asks somebody else, Stale when it knows
        another trust root as the newest, TooMany for a question that was answered, and for more questions than ``ASKED``.
        """
        return await self._answer(query.envelope, b"")

    async def further_ends(self, query: FurtherEndsQuery) -> HeadsAnswer:
        """``known_heads``, with the unlogged ends that follow on the one with the tag ``after``. Raises as that does."""
        return await self._answer(query.envelope, query.after)

    async def _answer(self, envelope: Envelope, after: bytes) -> HeadsAnswer:
        question = decode(envelope.body, HeadsQuestion)
        await self._trust.check_ref(question.trust_root)
        if question.trust_root != self._trust.current.ref:
            raise Stale("A keeper asks by a trust root that is not the newest known here. Nothing was shown.")
        live = {keeper.key_hash: keeper for keeper in self._trust.newest.live_keepers}
        asker = live.get(question.asker)
        if asker is None or question.asker == self._own or question.asked != self._own:
            raise NotPermitted("A keeper's question is not from, or not for, a keeper. Nothing was shown.")
        verify(envelope, labels.HEADS_QUESTION, verify_keys(asker.cosigning_key))
        digest = envelope.digest
        if digest in self._answered:
            raise TooMany(
                "A keeper's question was answered before. Nothing was shown. It asks with a new one."
            )
        self._asked.take(question.asker)  # by now it is the asker's: nobody else uses up what it may ask
        self._answered[digest] = None
        heads, posts = await self._store.heads_and_ends(after, SHOWN)
        held = [end for post in posts for end in open_ends(self._keys.sealing, post.post, post.tag).ends]
        about = (digest, after) if after else (digest,)
        answer = KnownHeads(
            question=digest,
            heads=tuple(heads),
            ends=seal_ends(HeldEnds(ends=tuple(held)), asker.sealing_key, *about),
        )
        return HeadsAnswer(envelope=sign(labels.KNOWN_HEADS, answer, self._keys.cosigning))
