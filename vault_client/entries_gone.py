"""Going on with a scan where entries are gone: from their hashes, with each link of the record among them proved by receipt."""

from collections.abc import Sequence

import msgspec

from crypto import labels
from crypto.access_log import Disclosure
from crypto.encoding import Body, Natural, decode
from crypto.errors import NotProven
from crypto.signing import Envelope
from crypto.vault_links import End, Grant, Rotate, VaultLink
from crypto.wire.messages import GrantEventQuery, LinkAccepted, LinkSubmission
from vault_client.device_store import DeviceStore
from vault_client.local_vault import AuditPlace
from vault_client.log_beginning import believed_beginning
from vault_client.log_scan import Scanned
from vault_client.logged_changes import LoggedChanges
from vault_client.service import Service
from vault_client.trust import BelievedHead
from vault_client.vault_replica import VaultReplica, logged_bodies

GONE = b"\xff" * 32
"""What stands for the commitment of the last entry where that entry is gone."""

NOT_SHOWN = "The service does not show entries of the log that it has to show. Nothing was believed. Ask the operator why."


class EntriesGone(Body, frozen=True):
    """Up to where entries were gone when this device came to look at them."""

    until: Natural


class PastEntriesGone:
    """Takes an audit past them. Events and ends among them are noted as an audit notes what it finds."""

    def __init__(self, store: DeviceStore, service: Service, replica: VaultReplica) -> None:
        self._store = store
        self._service = service
        self._replica = replica
        self._logged = LoggedChanges(store)

    async def go_on(self, place: AuditPlace, believed: BelievedHead) -> AuditPlace:
        """The place at the first entry that is there.

        The hashes it rests on are believed only when they lead to the root of ``believed`` together with every entry
        from there on, which is for the scan to find. Raises NotProven when the beginning may not be gone, or a link of
        the record that would be in it is not.
        """
        origin = believed.origin
        until = await believed_beginning(self._service.api, self._service.root, believed)
        if until <= place.scanned.size:
            raise NotProven(NOT_SHOWN)
        subtrees = await self._service.reader.subtrees(origin, until, believed.head.size)
        next_link = await self._past_links(place.next_link, until)
        self._store.put("gone", EntriesGone(until=until))
        scanned = Scanned(origin=origin, size=until, subtrees=tuple(subtrees))
        return msgspec.structs.replace(place, scanned=scanned, last=GONE, next_link=next_link)

    async def _past_links(self, n: int, until: int) -> int:
        """The number of the first link from ``n`` on whose entry is not gone."""
        while (envelope := self._store.get(f"link/{n}", Envelope)) is not None:
            found = await self._proved(envelope)
            if found[0].index >= until:
                break
            self._note(envelope, found)
            n += 1
        return n

    async def _proved(self, envelope: Envelope) -> Sequence[Disclosure]:
        """Where the leaves of a link are, by receipts: sent again, it is answered as it was when it was new."""
        again = LinkSubmission(envelope=envelope, scan_key=None, tags=(), events=(), parts=())
        api = self._service.api
        if envelope.type == labels.GENESIS:
            accepted, bodies = await api.create_vault(again), [envelope]
        else:
            accepted, bodies = await api.append_link(again), await self._bodies(envelope)
        return await self._believed(accepted, bodies)

    async def _bodies(self, envelope: Envelope) -> list[Envelope]:
        operations = decode(envelope.body, VaultLink).operations
        events = []
        for step in operations:
            if isinstance(step, Grant):
                asked = GrantEventQuery(vault=self._replica.vault, gid=step.gid, j=step.j)
                event = (await self._service.api.grant_event(asked)).envelope
                if event.digest != step.event:
                    raise NotProven(NOT_SHOWN)
                events.append(event)
        return [envelope, *logged_bodies(envelope, operations, events)]

    async def _believed(self, accepted: LinkAccepted, bodies: Sequence[Envelope]) -> Sequence[Disclosure]:
        if len(accepted.logged) != len(bodies):
            raise NotProven(NOT_SHOWN)
        for body, logged in zip(bodies, accepted.logged, strict=True):
            await self._service.believe_logged(self._replica.origin, logged, body, "accepted")
        return [logged.disclosure for logged in accepted.logged]

    def _note(self, envelope: Envelope, found: Sequence[Disclosure]) -> None:
        first, tagged = found[0], iter(found[1:])
        if envelope.type == labels.GENESIS:
            self._logged.note_scan_key(first.index, envelope.digest)
            return
        for step in decode(envelope.body, VaultLink).operations:
            if isinstance(step, Grant):
                at = next(tagged)
                self._logged.note_event(step.gid, at.index, step.event)
                self._replica.keep_made(step.gid, step.event, at.part.time)
            elif isinstance(step, End):
                at = next(tagged)
                self._logged.note_end(step.gid, at.index, envelope.digest)
                self._replica.keep_end_in_force(step.gid)
            elif isinstance(step, Rotate):
                self._logged.note_scan_key(first.index, envelope.digest)
