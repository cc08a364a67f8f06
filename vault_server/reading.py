"""Answering access requests: log first, then answer, and one refusal for every cause."""

import asyncio
from collections.abc import Callable, Sequence

from crypto import requests
from crypto.access_log import Disclosure
from crypto.checkpoint import TEN_MINUTES
from crypto.errors import Conflict, NotFound, NotPermitted
from crypto.grants import GrantEvent
from crypto.identity_chain import Known
from crypto.identity_state import IdentityState
from crypto.requests import AccessRequest
from crypto.signing import Envelope
from crypto.wire import messages as m
from vault_server import lost_bodies, rules
from vault_server.access_log import AccessLog
from vault_server.identities import Identities
from vault_server.store import grants as rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import vaults as vault_rows
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.grants import Answer, GrantRow
from vault_server.vault_entries import EntryChain


class Reading:
    """Access requests of this server."""

    def __init__(
        self,
        reader: Statements,
        writer: Writer,
        log: AccessLog,
        identities: Identities,
        never_granted: Sequence[str],
        clock: Callable[[], float],
        refusal_seconds: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._identities = identities
        self._never_granted = never_granted
        self._clock = clock
        self._refusal_seconds = refusal_seconds

    async def open(self, identity: bytes, envelope: Envelope) -> m.OpenAnswer:
        """Log a request and answer it; the same request within ten minutes gets the same answer and no new leaf.

        What concerns the reader alone (signature, clock, views, a slot used before) is told as it is. Whether there is
        anything to open is told by one refusal, after a time that says nothing.
        """
        began = self._clock()
        now = int(began)
        request = requests.read_request(envelope)
        if request.identity != identity:
            raise NotPermitted(
                "A request is signed by somebody else than the session's account. Nothing was opened."
            )
        await self._log.check_view(request.view, request.origin, now)
        rules.check_time(request.time, now)
        reader = await self._known(request.identity, request)
        team = None if request.team is None else await self._known(request.team, request)
        requests.check_request(envelope, reader, team, now)
        earlier = await self._earlier(envelope.digest, now)
        if earlier is not None:
            return await self._answer(request, earlier)
        shown = [known.state for known in (reader, team) if known is not None]
        logged = await self._writer.run(
            lambda transaction: self._log_request(transaction, envelope, request, shown, now)
        )
        if logged is None:
            await self._wait_out(began)
            raise NotFound
        return await self._answer(request, logged)

    async def _log_request(
        self,
        transaction: Transaction,
        envelope: Envelope,
        request: AccessRequest,
        shown: Sequence[IdentityState],
        now: int,
    ) -> Disclosure | None:
        """The job: one leaf if the vault is known, ``granted`` or ``refused``; nothing where nothing may be opened."""
        earlier = await self._earlier(envelope.digest, now, transaction)
        if earlier is not None:
            return earlier
        if await leaf_rows.has_slot_two(transaction, request.origin, request.slot_two) or self._log.is_staged(
            transaction, request.origin, request.slot_two
        ):
            raise Conflict(
                "A request uses a slot that is in the log already. Nothing was opened. Sign a new one."
            )
        grant = await rows.grant(transaction, request.gid)
        if grant is None:
            return None
        record = await vault_rows.vault(transaction, grant.vault)
        if await lost_bodies.waits(transaction, record):
            # A mask or an end may be lost. Only who was granted something is told.
            if grant.entry.recipient in (request.identity, request.team):
                raise lost_bodies.lacking()
            return None
        chain = EntryChain(self._log, transaction, record, now)
        try:
            await self._check(transaction, request, shown, grant, now)
        except NotFound:
            await chain.add(envelope, "refused")
            await vault_rows.set_last(transaction, grant.vault, chain.last)
            return None
        disclosure = await chain.add(envelope, "granted", request.slot_two)
        await vault_rows.set_last(transaction, grant.vault, chain.last)
        answer = Answer(
            identity=request.identity,
            vault=grant.vault,
            gid=request.gid,
            versions=b"".join(wanted.ver for wanted in request.documents),
            listing=request.act == "list",
            at=now,
            disclosure=disclosure,
        )
        await rows.add_answer(transaction, envelope.digest, answer)
        return disclosure

    async def _check(
        self,
        transaction: Transaction,
        request: AccessRequest,
        shown: Sequence[IdentityState],
        grant: GrantRow,
        now: int,
    ) -> None:
        found = await rows.event(transaction, request.gid, grant.entry.j)
        if found is None:
            raise NotFound
        event: GrantEvent = found[1]
        versions = [wanted.ver for wanted in request.documents]
        granted = await rows.granted(transaction, request.gid, versions, listing=request.act == "list")
        closed = await vault_rows.closed(
            transaction, grant.vault, [wanted.doc for wanted in request.documents]
        )
        rules.check_answerable(request, shown, self._never_granted, grant.entry, event, granted, closed, now)

    async def _answer(self, request: AccessRequest, shown: Disclosure) -> m.OpenAnswer:
        logged = await self._log.receipt(request.origin, shown)
        return m.OpenAnswer(logged=logged, blobs=await rows.policies(self._reader, request.gid))

    async def _earlier(self, digest: bytes, now: int, db: Statements | None = None) -> Disclosure | None:
        answer = await rows.answer(db or self._reader, digest)
        if answer is None:
            return None
        if answer.disclosure is None or now - answer.at > TEN_MINUTES:
            raise Conflict("This request was answered long ago. Nothing was opened. Sign a new one.")
        return answer.disclosure

    async def _known(self, identity: bytes, request: AccessRequest) -> Known:
        return await self._identities.known_at(identity, request.view.dir.size)

    async def _wait_out(self, began: float) -> None:
        """Until the next full step of time since ``began``: refusals do not tell their causes apart by it."""
        step = self._refusal_seconds
        if step:
            await asyncio.sleep(step - (self._clock() - began) % step)
