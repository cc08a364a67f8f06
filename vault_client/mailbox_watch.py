"""What is watched by a practitioner: the mailbox, and one's own keys and certificates."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from vault_client.alarms import Alarm
from vault_client.device_store import DeviceStore
from vault_client.new_alarms import NewAlarms
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
    """One reader's mailbox. No list is opened by it: that stands in the patient's log, and is the reader's to do."""

    def __init__(self) -> None:
        self._known: dict[bytes, ReceivedGrant] | None = None
        self._refused: list[str] = []
        self._alarms = NewAlarms()

    def origin(self, owner: Practitioner) -> str:
        """The directory: it is of people's keys that a mailbox tells."""
        return owner.service.root.directory_origin

    async def look(self, owner: Practitioner, store: DeviceStore) -> None:
        """Take in certificates and grants. Raises what ``Practitioner.sync`` does."""
        if self._known is None:
            self._known = _grants(owner)
        await owner.service.refresh(self.origin(owner))
        self._refused += await owner.sync()

    def news(self, owner: Practitioner, store: DeviceStore) -> Sequence[Delivered | Refused | Alarm]:
        """What was delivered, refused and raised, each once."""
        known, self._known = self._known or {}, _grants(owner)
        changed = [
            Delivered(_what(known.get(gid), grant), grant)
            for gid, grant in self._known.items()
            if gid not in known or _state(known[gid]) != _state(grant)
        ]
        refused, self._refused = self._refused, []
        return [*changed, *map(Refused, refused), *self._alarms.of(store)]


def _grants(owner: Practitioner) -> dict[bytes, ReceivedGrant]:
    return {grant.gid: grant for grant in owner.grants.all()}


def _state(grant: ReceivedGrant) -> tuple[int, bool]:
    return grant.state.event.j, grant.said_ended


def _what(before: ReceivedGrant | None, grant: ReceivedGrant) -> Literal["granted", "extended", "ended"]:
    if grant.said_ended:
        return "ended"
    return "granted" if before is None else "extended"
