"""Releasing the keeper's half of a wrap: for a logged request only, and only while the grant is in force.

Everything is verified from the keeper's own view of the logs. Any check that fails gives one and the same refusal.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile
from math import comb

from crypto.access_log import Leaf
from crypto.checkpoint import TEN_MINUTES
from crypto.durations import DAY, HOUR
from crypto.errors import NotFound, NotPermitted, NotProven, Refusal, Stale, TooMany
from crypto.identity_chain import Known
from crypto.locators import Locator, end_tag, event_tag
from crypto.quorum import quorum_times
from crypto.requests import AccessRequest, check_request, read_request
from crypto.sealed.policy_blob import PolicyBlob, Rate, open_policy
from crypto.sealed.release import release
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from crypto.secret_bytes import SecretBytes
from crypto.trust_root import TrustRoot
from crypto.wire.keeper_api import ReleaseAnswer, ReleaseQuery
from vault_server.keeper.clock import Clock
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.identity_heads import IdentityHeads
from vault_server.keeper.rows import LogRow
from vault_server.keeper.store import Store
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

A_MINUTE = 60


class Released:
    """How many documents of each grant were released lately. The same request again counts once."""

    def __init__(self) -> None:
        # By grant, the oldest first: a keeper's time never goes back.
        self._released: dict[bytes, OrderedDict[bytes, tuple[int, int]]] = {}
        self._swept = 0

    def take(self, gid: bytes, digest: bytes, documents: int, rates: Sequence[Rate], now: int) -> None:
        """Count ``documents`` for ``gid``. Raises TooMany when that would be above one of ``rates``."""
        if now - self._swept >= HOUR:
            self._released = {name: kept for name in self._released if (kept := self._recent(name, now))}
            self._swept = now
        recent = self._recent(gid, now)
        if digest not in recent:
            for rate in rates:
                lately = takewhile(lambda entry: now - entry[0] < rate.seconds, reversed(recent.values()))  # noqa: B023
                within = sum(count for _, count in lately)
                if within + documents > rate.documents:
                    raise TooMany("A grant's number of documents for now is used up. Nothing was opened.")
            recent[digest] = (now, documents)
        self._released[gid] = recent

    def _recent(self, gid: bytes, now: int) -> OrderedDict[bytes, tuple[int, int]]:
        entries = self._released.get(gid, OrderedDict())
        while entries and now - next(iter(entries.values()))[0] >= DAY:
            entries.popitem(last=False)
        return entries


class Releases:
    """Answers logged requests."""

    def __init__(
        self,
        key: UnsealingKey,
        *,
        clock: Clock,
        trust: Trust,
        store: Store,
        logs: FollowedLogs,
        witness: Witness,
        identities: IdentityHeads,
    ) -> None:
        self._key, self._clock, self._trust, self._store = key, clock, trust, store
        self._logs, self._witness, self._identities = logs, witness, identities
        self._released = Released()

    async def release(self, query: ReleaseQuery) -> ReleaseAnswer:
        """The release half, sealed to the device that signed the request.

        Raises NotFound whichever check failed, Unreachable when the server cannot be asked for its newest head.
        """
        try:
            return ReleaseAnswer(box=await self._answer(query))
        except Refusal:
            raise NotFound("This was not released") from None

    async def _answer(self, query: ReleaseQuery) -> bytes:
        now = self._clock.now()

        # 1. The request is strict, of about now, and speaks of a trust root of this service.
        request = read_request(query.request)
        if abs(request.time - now) > TEN_MINUTES:
            raise Stale("A request is not of now. Nothing was opened.")
        await self._trust.check_ref(request.view.trust_root)

        # 2. The receipt is for exactly this request's leaf, under a head that the log signed.
        proven = query.logged.proves(query.request, "granted", self._trust.log_key(request.origin))
        index = query.logged.disclosure.index

        # 3. That head is, or is continued by, the highest one cosigned here, itself fetched again within a minute.
        log = await self._refreshed(request.origin, proven.checkpoint.size)
        await self._logs.check_prefix(log, proven.checkpoint)

        # 4. The mirror has this leaf there, the first with its slot two, which is the request's own.
        await self._check_leaf(log, request, index, proven.leaf)

        # 5. The directory the reader saw was the newest at most ten minutes ago.
        directory = await self._refreshed(self._trust.newest.directory_origin, request.view.dir.size)
        await self._logs.check_recent(directory, request.view.dir, now - TEN_MINUTES)

        # 6. The chains shown are complete, and the request is by a live device, of a member where it acts for a team,
        #    certified: in the directory the reader saw and in the newest.
        team = query.team if request.team is not None else None
        complete = [
            await self._identities.complete(directory, chain) for chain in (query.reader, team) if chain
        ]
        seen = [self._identities.at(chain, request.view.dir.size) for chain in (query.reader, team) if chain]
        for stage in (seen, complete):
            self._check_reader(query, stage, now)

        # 7. The policy is this keeper's for this grant, under a trust root of this service in which it had not retired.
        blob = open_policy(self._key, query.blob, request.origin, request.gid)
        self._check_policy_root(blob, await self._trust.root(query.blob.trust_root))

        # 8. The head bears the cosignatures that are asked for today, made at about one time.
        quorum_times(self._trust.newest, proven.note)

        # 9. Slot two is found with the grant's key, so the patient finds this reading.
        if not Locator(SecretBytes(blob.grant_key), request.origin).matches(request.slot_two):
            raise NotProven("A request's entry cannot be found by the patient. Nothing was opened.")

        # 10. Recipient, exclusions, rekey, act and expiry are those of the policy.
        _check_policy(blob, request, now)

        # 11. The event is in the log, no later one is, and no end: neither logged nor posted.
        await self._check_in_force(log, blob)

        # 12. Not too many at a time.
        digest = query.request.digest
        self._released.take(blob.gid, digest, len(request.documents), blob.rates, now)

        device = complete[0].state.devices[request.device].sealing
        return release(blob, request, digest, index, device_key=device, keeper=key_hash(self._key.public))

    async def _refreshed(self, origin: str, size: int) -> LogRow:
        """A log under a head fetched within a minute; just now when the reader has seen more of it."""
        return await self._witness.reach(origin, size, A_MINUTE)

    async def _check_leaf(self, log: LogRow, request: AccessRequest, index: int, leaf: Leaf) -> None:
        if leaf.slot_two != request.slot_two:
            raise NotProven("A request was logged under another locator than its own. Nothing was opened.")
        await self._logs.check_leaves(log, [(index, leaf.slot_two, leaf.to_bytes())])

    def _check_reader(self, query: ReleaseQuery, shown: list[Known], now: int) -> None:
        reader, *teams = shown
        request = check_request(query.request, reader, teams[0] if teams else None, now)
        never = self._trust.newest.never_granted
        for known in shown:
            if not known.state.may_receive(request.time, never):
                raise NotPermitted(
                    "A request is by somebody whom no registrar certifies. Nothing was opened."
                )

    def _check_policy_root(self, blob: PolicyBlob, root: TrustRoot) -> None:
        """Raises NotPermitted unless ``root`` names this keeper as a live one, and allows the policy that ``blob`` belongs to.

        Each policy has its own number of subsets around one keeper.
        """
        if key_hash(self._key.public) not in {keeper.key_hash for keeper in root.live_keepers}:
            raise NotPermitted("A grant goes on with a keeper that has retired. Nothing was opened.")
        if len(blob.seeds) not in {comb(policy.n - 1, policy.n - policy.k) for policy in root.policies}:
            raise NotPermitted("A grant's keepers are not as the trust root allows. Nothing was opened.")

    async def _check_in_force(self, log: LogRow, blob: PolicyBlob) -> None:
        end_key = SecretBytes(blob.end_key)
        event, later = (event_tag(end_key, blob.origin, blob.gid, j) for j in (blob.j, blob.j + 1))
        end = end_tag(end_key, blob.origin, blob.gid)
        if await self._store.known_tags(log.log, [event, later, end]) != {event}:
            raise Stale("A grant's policy is not its newest, or the grant has ended. Nothing was opened.")


def _check_policy(blob: PolicyBlob, request: AccessRequest, now: int) -> None:
    if request.recipient != blob.recipient or request.identity in blob.excluded:
        raise NotPermitted("A grant is for somebody else. Nothing was opened.")
    if request.act not in blob.acts or now >= blob.expiry:
        raise NotPermitted("A grant does not allow this act, or not any more. Nothing was opened.")
    if any(document.rekey != blob.rekey for document in request.documents):
        raise Stale("A request names keys of a grant that were replaced. Nothing was opened.")
    if any(document.deposit is not None for document in request.documents):
        raise NotPermitted("A request names a deposit, which this keeper does not release yet.")
