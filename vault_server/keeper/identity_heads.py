"""Which links an identity has: the keeper's own answer, from its mirror of the directory.

A chain proves itself but for two things: that it does not go on, and that its delays are true. Whoever mirrors the
directory can say the first, since the place of link n + 1 would be found by its slot, and the second, since it knows
when it cosigned the heads around each link.
"""

import hashlib

from crypto import labels, trust_root
from crypto.checkpoint import TEN_MINUTES
from crypto.encoding import encode
from crypto.errors import NotProven
from crypto.identity_chain import Known, known_at
from crypto.identity_links import Chain
from crypto.locators import directory_slot
from crypto.signing import SigningKey, sign
from crypto.wire.keeper_api import IdentityHead, IdentityHeadAnswer, IdentityHeadQuery
from vault_server.keeper.clock import Clock
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.rows import LogRow
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness
from vault_server.recent import Recent

# The directory is asked for anew once in this many seconds, so that the answer is about now.
WITHIN = 1
# Folding a chain costs a few milliseconds, and looking for its links in the directory some tenths of one. What a chain says
# at a size never changes, nor whether it is complete under a head; and those who read, read again.
MAX_FOLDED = 512


class IdentityHeads:
    """Verifies disclosed chains against the mirrored directory."""

    def __init__(
        self, key: SigningKey, *, clock: Clock, trust: Trust, logs: FollowedLogs, witness: Witness
    ) -> None:
        self._key, self._clock = key, clock
        self._trust, self._logs, self._witness = trust, logs, witness
        self._folded = Recent[bytes, Known](MAX_FOLDED)
        self._complete = Recent[bytes, Known](MAX_FOLDED)

    async def identity_head(self, query: IdentityHeadQuery) -> IdentityHeadAnswer:
        """A signed statement that the chain is complete at the newest directory head.

        Raises NotProven when a link is not in the directory or a further one is, Stale when the trust root has
        expired, and as ``fold`` does.
        """
        trust_root.check_expiry(self._trust.current, self._clock.now())
        directory = await self.directory(query.chain.links[-1].disclosure.index + 1)
        known = await self.complete(directory, query.chain)
        statement = IdentityHead(
            identity=known.ref.identity,
            n=known.ref.n,
            leaf=known.ref.leaf,
            origin=directory.origin,
            head=directory.head,
        )
        return IdentityHeadAnswer(envelope=sign(labels.IDHEAD, statement, self._key))

    async def directory(self, size: int) -> LogRow:
        """The directory under a head asked for at most a second ago; just now when it has fewer than ``size`` leaves."""
        return await self._witness.reach(self._trust.newest.directory_origin, size, WITHIN)

    async def complete(self, directory: LogRow, chain: Chain) -> Known:
        """What ``chain`` says, which has all the identity's links in the directory under this head.

        Raises NotProven when a link is not where it is said to be, or is not the first in its place, or is dated
        when it was not there, or when the chain goes on; and as ``fold`` does.
        """
        name = self._name(chain, directory.root)
        known = self._complete.get(name)
        if known is None:
            await self._check_complete(directory, chain)
            known = self.at(chain, directory.size)
        self._complete[name] = known
        return known

    async def _check_complete(self, directory: LogRow, chain: Chain) -> None:
        identity = chain.identity
        expected, dated = [], []
        for n, link in enumerate(chain.links):
            slot = directory_slot(directory.origin, identity, n)
            expected.append((link.disclosure.index, slot, link.disclosure.leaf(link.envelope).to_bytes()))
            dated.append((link.disclosure.index, link.disclosure.part.time))
        further = directory_slot(directory.origin, identity, len(chain.links))
        await self._logs.check_leaves(directory, expected)
        await self._logs.check_times(directory, dated, TEN_MINUTES)
        if await self._logs.places(directory, [further]):
            raise NotProven(
                "An identity has more links than are shown. Fetch its chain again and show it whole."
            )

    def at(self, chain: Chain, size: int) -> Known:
        """What ``chain`` said when the directory had ``size`` leaves. Raises as ``fold`` does."""
        part = chain.at(size)
        name = self._name(part)
        known = self._folded.get(name)
        if known is None:
            known = known_at(part, size, self._trust.newest.directory_origin, self._trust.registrars)
        self._folded[name] = known
        return known

    def _name(self, chain: Chain, root: bytes = b"") -> bytes:
        """By what is remembered of ``chain``: under the trust root of now, and under a head of the directory if it is of one."""
        return hashlib.sha256(self._trust.current.ref.digest + root + encode(chain)).digest()
