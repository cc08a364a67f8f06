"""Ends posted straight to the keeper: a grant stops here before its end is in the log.

Knowing the end tag is the right to end. The tag is checked under the end key of a policy sealed to this keeper, and
that policy's event must be in the log, so nobody can make ends for grants that are not.
"""

import hmac
from contextlib import suppress

from crypto import labels
from crypto.errors import NotPermitted, NotProven
from crypto.locators import event_tag
from crypto.sealed.held_ends import HeldEnd, HeldEnds, seal_ends
from crypto.sealed.policy_blob import open_policy
from crypto.secret_bytes import SecretBytes
from crypto.signing import sign
from crypto.wire.keeper_api import EndAcknowledgement, EndAnswer, EndPost
from vault_server.keeper.clock import Clock
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.keys import Keys
from vault_server.keeper.rows import HeldPost, LogRow
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

WITHIN = 1


class Ends:
    """Takes posted ends and holds each until it is logged."""

    def __init__(
        self, keys: Keys, *, clock: Clock, trust: Trust, store: Store, logs: FollowedLogs, witness: Witness
    ) -> None:
        self._keys, self._clock, self._trust = keys, clock, trust
        self._store, self._logs, self._witness = store, logs, witness

    async def end(self, post: EndPost) -> EndAnswer:
        """A signed acknowledgement, once the end is on disk or in the log.

        Raises NotFound for an unknown log, CannotOpen for a policy that is not this keeper's or not this grant's,
        NotPermitted for a wrong tag, NotProven when the policy's event is not in the log, Unreachable when it is not in
        the log as it is known here and the server shows no newer one.
        """
        self._trust.log_key(post.origin)
        blob = open_policy(self._keys.sealing, post.blob, post.origin, post.gid)
        end = HeldEnd(origin=post.origin, gid=post.gid, j=blob.j, end_key=blob.end_key)
        if not hmac.compare_digest(post.tag, end.tag):
            raise NotPermitted("An end was posted by somebody who may not end this grant. Nothing was ended.")
        held = await self._known(end) or await self.check(
            await self._witness.refresh(post.origin, WITHIN), end
        )
        time = self._clock.now()
        await self._store.add_end(held, time)
        statement = EndAcknowledgement(origin=post.origin, gid=post.gid, tag=post.tag, time=time)
        return EndAnswer(envelope=sign(labels.END_ACKNOWLEDGEMENT, statement, self._keys.cosigning))

    async def _known(self, end: HeldEnd) -> HeldPost | None:
        """``check`` in the log as it is known: the server must not be able to keep an end away by silence."""
        log = self._logs.get(end.origin)
        if log is not None:
            with suppress(NotProven):
                return await self.check(log.row, end)
        return None

    async def check(self, log: LogRow, end: HeldEnd) -> HeldPost:
        """The end as it is held, once its grant is known to be in ``log``. Raises NotProven."""
        end_key = SecretBytes(end.end_key)
        if not await self._logs.places(log, [event_tag(end_key, end.origin, end.gid, end.j)]):
            raise NotProven(
                "The grant's event is not in the log that is followed here. Nothing was ended. Post an older policy "
                "of the same grant, or try again when the event is logged."
            )
        tag = end.tag
        return HeldPost(log.log, tag, seal_ends(HeldEnds(ends=(end,)), self._keys.sealing.public, tag))
