"""What is watched by a practitioner: the mailbox, and one's own keys and certificates."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from vault_client.alarms import Alarm, kept_alarms
from vault_client.device_store import DeviceStore
from vault_client.practitioner import Practitioner
from vault_client.received_grants import ReceivedGrant


class Delivered(NamedTuple):
    """What came of a grant. ``ended``: by the server's word."""

    what: Literal["granted", "extended", "ended"]
    grant: ReceivedGrant


class Refused(NamedTuple):
    """A delivery that was not believed, and why."""

    why: str


class MailboxWatch:
    """The mailbox of ``reader``. No list is opened by it: that stands in the patient's log, and is the reader's to do."""

    def __init__(self, reader: Practitioner, store: DeviceStore) -> None:
        self.origin = reader.service.root.directory_origin
        self._reader = reader
        self._store = store
        self._known = self._grants()
        self._refused: list[str] = []
        self._raised: list[Alarm] = []

    async def look(self) -> None:
        """Take in certificates and grants. Raises what ``Practitioner.sync`` does."""
        await self._reader.service.refresh(self.origin)
        self._refused += await self._reader.sync()

    def news(self) -> Sequence[Delivered | Refused | Alarm]:
        """What was delivered, refused and raised, each once."""
        known, self._known = self._known, self._grants()
        changed = [
            Delivered(_what(known.get(gid), grant), grant)
            for gid, grant in self._known.items()
            if gid not in known or _state(known[gid]) != _state(grant)
        ]
        alarms = [alarm for alarm in kept_alarms(self._store) if alarm not in self._raised]
        self._raised += alarms
        refused, self._refused = self._refused, []
        return [*changed, *map(Refused, refused), *alarms]

    def _grants(self) -> dict[bytes, ReceivedGrant]:
        return {grant.gid: grant for grant in self._reader.grants.all()}


def _state(grant: ReceivedGrant) -> tuple[int, bool]:
    return grant.state.event.j, grant.said_ended


def _what(before: ReceivedGrant | None, grant: ReceivedGrant) -> Literal["granted", "extended", "ended"]:
    if grant.said_ended:
        return "ended"
    return "granted" if before is None else "extended"
