"""Changing a grant in force: more documents, fewer, other terms, new keys. Each is the next event of the grant.

An event adds to what was given before, under the same keys. One that starts a *rekey* has new keys and gives the whole
anew: that takes documents out, and is due when the keys or the keepers of before are not to be used any more. What an event
takes away is in force once it is in the log: from then on keepers answer to no earlier policy. ``make`` returns then.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crypto.errors import NotPermitted, Refusal
from crypto.identity_chain import known_at
from crypto.identity_links import Chain
from vault_client.change_queue import ChangeQueue
from vault_client.changes import AmendGrant, ExtendGrant, NextEvent, WithdrawDocuments
from vault_client.grant_sending import GrantSending, Planned
from vault_client.granting import Place, Terms
from vault_client.local_vault import LocalGrant, newest
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica

# What people read
OVER = "This grant has ended already. Nothing was changed. Make a new one if you wish."


@dataclass
class Renewal:
    """The grants that were keyed anew, and why others that are due could not be: those go on under the keys of before."""

    made: list[bytes] = field(default_factory=list)
    refused: dict[bytes, Refusal] = field(default_factory=dict)


class GrantChanges:
    """What changes the grants of one profile."""

    def __init__(
        self, service: Service, replica: VaultReplica, queue: ChangeQueue, sending: GrantSending
    ) -> None:
        self._service = service
        self._replica = replica
        self._queue = queue
        self._sending = sending

    def check(self, change: NextEvent) -> None:
        """Raises NotPermitted when the record as it stands forbids ``change``. Nobody is asked."""
        grant = self._in_force(change.gid)
        self._sending.check_not_blocked(grant.entry.recipient)
        match change:
            case ExtendGrant(documents=documents):
                for doc in documents:
                    self._sending.version(doc)
            case WithdrawDocuments(documents=documents):
                given = self._given(change.gid)
                if not set(documents) <= given.keys():
                    raise NotPermitted("What was named is not in this grant. Nothing was changed.")
                if not self._left(given, documents):
                    raise NotPermitted(
                        "Nothing of this grant would be left. Nothing was changed. End it: coffre patient revoke GRANT"
                    )
            case AmendGrant(expiry=expiry):
                if expiry is not None and expiry <= self._service.now():
                    raise NotPermitted("The time it was for is over. Nothing was changed.")

    async def make(self, change: NextEvent) -> None:
        """Carry out ``change``, and return once it is in force. A rekey that is due is made with it.

        The recipient must still be certified and have the keys that were met. Raises NotPermitted when not, and when
        there is nothing to change.
        """
        self.check(change)
        grant = self._in_force(change.gid)
        match change:
            case ExtendGrant(documents=documents):
                if not await self._next(grant, add=self._not_given(change.gid, documents)):
                    raise NotPermitted("What was named was already in this grant. Nothing was changed.")
            case WithdrawDocuments(documents=documents):
                await self._next(grant, out=documents)
            case AmendGrant():
                if not await self._next(grant, terms=_amended(grant, change)):
                    raise NotPermitted("This grant allows just that already. Nothing was changed.")

    def is_met(self, change: NextEvent) -> bool:
        """Whether the grant gives, or allows, just what ``change`` asks for, with nothing to be made."""
        grant = self._replica.grant(change.gid)
        if grant is None or grant.entry.ended:
            return False
        match change:
            case ExtendGrant(documents=documents):
                given = self._given(change.gid)
                states = [self._replica.state(doc) for doc in documents]
                return all(
                    state is not None and newest(state).ver == given.get(state.doc) for state in states
                )
            case WithdrawDocuments(documents=documents):
                return not set(documents) & self._given(change.gid).keys()
            case AmendGrant():
                return _amended(grant, change) == _terms(grant)

    async def renew(self) -> Renewal:
        """Key anew each grant in force for which a rekey is due, with what it gives and nothing more.

        That is so since the keys of the record, the keepers, or the recipient's reading key are others than at its last
        rekey. The server says what keys a recipient has now; a new event is made only for keys that are verified.
        """
        grants = [grant for grant in self._replica.grants() if self._is_live(grant)]
        recipients = list({grant.entry.recipient for grant in grants})
        shown = await asyncio.gather(*map(self._sending.shown_chain, recipients), return_exceptions=True)
        chains = dict(zip(recipients, shown, strict=True))
        renewal = Renewal()
        for grant in grants:
            gid, before = grant.entry.gid, grant.entry.rekey
            try:
                if not self._is_outdated(grant) and not self._has_other_keys(
                    grant, chains[grant.entry.recipient]
                ):
                    continue
                if await self._next(self._in_force(gid)):
                    renewal.made.append(gid)
            except Refusal as refusal:
                now = self._replica.grant(gid)
                if (
                    now is not None and now.entry.rekey == before
                ):  # else it was there already, and had not been answered
                    renewal.refused[gid] = refusal
        return renewal

    async def _next(
        self,
        grant: LocalGrant,
        *,
        add: Sequence[bytes] = (),
        out: Sequence[bytes] = (),
        terms: Terms | None = None,
    ) -> bool:
        """Make the next event: a rekey where documents go ``out`` or one is due, else one that adds to what was before.

        False, and nothing is made, when there is nothing to change.
        """
        gid, entry = grant.entry.gid, grant.entry
        known, pin = await self._sending.recipient(entry.recipient)
        due = self._is_outdated(grant) or known.state.reading_key != grant.reading_key
        fresh, epoch = due or bool(out), self._replica.epoch()
        if not (add or fresh or terms not in {None, _terms(grant)}):
            return False
        documents = [*add, *self._left(self._given(gid), [*add, *out])] if fresh else add
        if fresh and not documents:
            raise NotPermitted("Nothing of this grant is left to be given. Nothing was changed. Revoke it.")
        place = Place(
            gid=gid,
            j=entry.j + 1,
            prev=entry.event,
            rekey=entry.rekey + fresh,
            fresh=fresh,
            epoch_first=self._replica.epoch(entry.epoch_first),
            epoch=epoch,
        )
        await self._sending.send(Planned(place, terms or _terms(grant), known, pin), documents)
        return True

    def _has_other_keys(self, grant: LocalGrant, chain: Chain | BaseException) -> bool:
        """Whether the chain that the server shows of the recipient has another reading key than the grant is sealed to."""
        if isinstance(chain, BaseException):
            raise chain
        root, end = self._service.root, chain.links[-1].disclosure.index + 1
        known = known_at(chain, end, root.directory_origin, root.registrar_keys())
        return known.ref.identity != grant.entry.recipient or known.state.reading_key != grant.reading_key

    def _is_outdated(self, grant: LocalGrant) -> bool:
        """Whether the record's keys, or the keepers, are others than at the grant's last rekey."""
        live = {keeper.key_hash for keeper in self._service.root.live_keepers}
        return (
            grant.entry.epoch != self._replica.epoch().epoch or {blob.keeper for blob in grant.blobs} != live
        )

    def _given(self, gid: bytes) -> dict[bytes, bytes]:
        """The version of each document that a grant gives now."""
        return {version.doc: version.ver for version in self._replica.granted(gid)}

    def _not_given(self, gid: bytes, documents: Sequence[bytes]) -> list[bytes]:
        given = self._given(gid)
        return [doc for doc in documents if self._sending.version(doc).ver != given.get(doc)]

    def _left(self, given: Iterable[bytes], out: Sequence[bytes]) -> list[bytes]:
        """What a rekey goes on giving: neither what goes out, nor what is masked or deleted by now."""
        states = {doc: self._replica.state(doc) for doc in given if doc not in set(out)}
        return [
            doc for doc, state in states.items() if state is not None and not (state.masked or state.deleted)
        ]

    def _is_live(self, grant: LocalGrant) -> bool:
        """Whether a grant is in force, and nobody asked for its end."""
        is_over = grant.entry.ended or grant.end_in_force or self._queue.is_ending(grant.entry.gid)
        return not is_over and grant.expiry > self._service.now()

    def _in_force(self, gid: bytes) -> LocalGrant:
        grant = self._replica.existing_grant(gid)
        if grant.entry.ended:
            raise NotPermitted(OVER)
        if grant.end_in_force or self._queue.is_ending(gid):
            raise NotPermitted(
                "The end of this grant was asked for and is not in the log yet. Nothing was changed. Revoke it again."
            )
        return grant


def _terms(grant: LocalGrant) -> Terms:
    return Terms(acts=grant.acts, purposes=grant.purposes, expiry=grant.expiry, excluded=grant.excluded)


def _amended(grant: LocalGrant, change: AmendGrant) -> Terms:
    return Terms(
        acts=grant.acts if change.acts is None else change.acts,
        purposes=grant.purposes if change.purposes is None else change.purposes,
        expiry=grant.expiry if change.expiry is None else change.expiry,
        excluded=grant.excluded,
    )
