"""Where in the log the record's own statements were found: the events and ends of its grants, and its newest scan key."""

from vault_client.device_store import DeviceStore
from vault_client.local_vault import FoundAt


class LoggedChanges:
    """Those of one record. What is noted again at the same place stands once."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def note_event(self, gid: bytes, index: int, event: bytes) -> None:
        """Keep that entry ``index`` is the event of a grant whose digest is ``event``."""
        self._store.put(f"event-{gid.hex()}/{index:012d}", FoundAt(index=index, statement=event))

    def events(self, gid: bytes, *, before: int | None = None) -> list[FoundAt]:
        """The events found of a grant, in the order of the log; those at an index below ``before``, if there is one."""
        found = (event for _, event in self._store.scan(f"event-{gid.hex()}", FoundAt))
        below = (event for event in found if before is None or event.index < before)
        return sorted(below, key=lambda event: event.index)

    def newest_event(self, gid: bytes, before: int) -> FoundAt | None:
        """The last of a grant's events at an index below ``before``."""
        return max(self.events(gid, before=before), key=lambda event: event.index, default=None)

    def note_end(self, gid: bytes, index: int, statement: bytes) -> None:
        """Keep that entry ``index`` is the end of a grant."""
        self._store.put(f"ended/{gid.hex()}", FoundAt(index=index, statement=statement))

    def end(self, gid: bytes) -> FoundAt | None:
        """The end of a grant, once it was found."""
        return self._store.get(f"ended/{gid.hex()}", FoundAt)

    def note_scan_key(self, index: int, statement: bytes) -> None:
        """Keep that the newest scan key was given to the service by entry ``index``."""
        self._store.put("scan-key-given", FoundAt(index=index, statement=statement))

    def scan_key(self) -> FoundAt | None:
        """Where the newest scan key was given to the service, once that was found."""
        return self._store.get("scan-key-given", FoundAt)
