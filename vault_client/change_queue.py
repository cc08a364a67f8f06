"""The changes that wait on this device until they are in the record, in the order in which they are to be made.

One record of the device store each, on disk before anything of it is sent. A change that this device was told to make
leaves the queue only when it is in the record, has become void, was refused, or is taken back.
"""

import secrets
from collections.abc import Callable

from crypto.errors import NotPermitted
from vault_client.changes import AnyChange, Authorise, BlockIdentity, EndGrant, QueuedChange, subject_of
from vault_client.device_store import DeviceStore

_QUEUED = "queued"


class ChangeQueue:
    """The queue of one profile."""

    def __init__(self, store: DeviceStore, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def waiting(self) -> list[QueuedChange]:
        """What waits, in the order in which it is to be made: ends first, then blocks, then the rest as asked for."""
        found = [queued for _, queued in self._store.scan(_QUEUED, QueuedChange)]
        return sorted(found, key=lambda queued: (_rank(queued.change), queued.number))

    def note(self, change: AnyChange) -> QueuedChange:
        """Keep ``change``, durably. What was asked for last about the same thing, if it is the same, is not kept twice.

        The end of a grant that still waits to be made takes its place: it is not made any more.
        """
        before = sorted(self.waiting(), key=lambda queued: queued.number)
        about = [queued for queued in before if subject_of(queued.change) == subject_of(change)]
        if about and about[-1].change == change:
            return about[-1]
        queued = QueuedChange(
            id=secrets.token_bytes(16),
            number=before[-1].number + 1 if before else 0,
            asked=self._clock(),
            change=change,
        )
        with self._store.transaction():
            if isinstance(change, EndGrant):
                for earlier in about:
                    if isinstance(earlier.change, Authorise):
                        self._store.delete(_name(earlier.id))
            self._store.put(_name(queued.id), queued)
        return queued

    def get(self, identifier: bytes) -> QueuedChange:
        """One change that waits. Raises NotPermitted when there is none of this id."""
        found = self._store.get(_name(identifier), QueuedChange)
        if found is None:
            raise NotPermitted("No such change is waiting. Nothing was done. Look at the list.")
        return found

    def has(self, identifier: bytes) -> bool:
        """Whether this change waits."""
        return self._store.get(_name(identifier), QueuedChange) is not None

    def remove(self, identifier: bytes) -> None:
        """Keep a change no longer. The device store overwrites it, and the key in it."""
        self._store.delete(_name(identifier))

    def is_ending(self, gid: bytes) -> bool:
        """Whether the end of a grant was asked for and is not yet both in the record and known to be in force."""
        return any(queued.change == EndGrant(gid=gid) for queued in self.waiting())


def _rank(change: AnyChange) -> int:
    return 0 if isinstance(change, EndGrant) else 1 if isinstance(change, BlockIdentity) else 2


def _name(identifier: bytes) -> str:
    return f"{_QUEUED}/{identifier.hex()}"
