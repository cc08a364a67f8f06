"""What this device comes to know of grant events that another device of the patient made.

The link that a holder signed names the event's digest; the event names the root of its rows and the hashes of the
keepers' policies. So all of it is checked, whoever shows it. Who the recipient is, their chain says as it stood at the
event: where it is shown no more, the grant has no name here, and can be ended as any other.
"""

from crypto.errors import NotFound, NotProven
from crypto.grants import GrantEvent, check_blob, read_event, split_rows
from crypto.vault_links import Grant
from crypto.wire.messages import GrantEventQuery, StoredEvent
from vault_client.device_store import DeviceStore
from vault_client.kept_grants import intent_name
from vault_client.local_vault import GrantedVersion, GrantIntent, GrantMade
from vault_client.reader_keys import ReaderKeys
from vault_client.service import Service
from vault_client.trust import Pin


class GrantsElsewhere:
    """Learns of grant events, one by one, as their links are taken in."""

    def __init__(self, store: DeviceStore, service: Service) -> None:
        self._store = store
        self._service = service
        self._readers = ReaderKeys(service)

    async def learn_of(self, vault: bytes, operation: Grant) -> StoredEvent:
        """Have what a grant event says ready for when its link is kept; returns the event as it was sent.

        Raises NotProven when it is withheld.
        """
        stored, name = await self._shown(vault, operation), intent_name(operation.gid, operation.event)
        if self._store.get(name, GrantIntent) is None:
            self._store.put(name, await self._intent(operation, stored))
        return stored

    async def _shown(self, vault: bytes, operation: Grant) -> StoredEvent:
        query = GrantEventQuery(vault=vault, gid=operation.gid, j=operation.j)
        try:
            stored = await self._service.api.grant_event(query)
        except NotFound:
            raise NotProven(
                "The server withholds a grant of the record. Nothing was taken in. Try again."
            ) from None
        if stored.envelope.digest != operation.event:
            raise NotProven("The server shows another grant than the record names. Nothing was taken in.")
        return stored

    async def _intent(self, operation: Grant, stored: StoredEvent) -> GrantIntent:
        event = read_event(stored.envelope)
        for blob in stored.blobs:
            check_blob(event.policy, blob)
        pin = await self._recipient(event)
        grant = GrantMade(
            recipient=event.recipient,
            subject=pin.subject if pin is not None else "",
            name=pin.name if pin is not None else "",
            reading_key=event.reading_key,
            acts=event.acts,
            purposes=event.purposes,
            expiry=event.expiry,
            excluded=event.excluded,
            made=0,  # the log tells
            # Fewer would say that fewer keepers are to be told of the end.
            blobs=stored.blobs if event.policy.keepers == tuple(blob.keeper for blob in stored.blobs) else (),
            end_in_force=False,
            begun=event.view.seen.size,
        )
        versions = tuple(
            GrantedVersion(doc=row.doc, ver=row.ver, current=True)
            for row in split_rows(stored.rows, event.rows)
        )
        return GrantIntent(
            gid=operation.gid,
            event=operation.event,
            grant=grant,
            versions=versions,
            whole=event.a_box is not None,
        )

    async def _recipient(self, event: GrantEvent) -> Pin | None:
        """Whom an event is for, as their newest certificate at the event calls them, pinned as they were then."""
        identity = event.recipient.identity
        known = await self._readers.known(identity, event.view.dir)
        if known is None or known.ref != event.recipient or not known.state.certificates:
            return self._store.get(f"pin/{identity.hex()}", Pin)
        statement = known.state.certificates[max(known.state.certificates)].statement
        pin = Pin(
            identity=identity,
            root=known.state.root,
            subject=statement.subject,
            name=statement.name,
            hard_stops=len(known.state.hard_stops),
            met=self._service.now(),
        )
        # Whoever shared after a hard stop had asked the person: that is followed here too.
        before = self._store.get(f"pin/{identity.hex()}", Pin)
        if before is None or before.hard_stops < pin.hard_stops:
            self._store.put(f"pin/{identity.hex()}", pin)
        return pin
