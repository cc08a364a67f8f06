"""What an audit says of entries that the service declares to have lost: that they are there, and what the leaf alone tells.

A leaf tells under whose grant somebody read, and that a grant changed or ended. An entry that may be a change of another
device stays an alarm: a loss is the operator's word, and excuses nothing. Devices that may have what is missing are waited
for: until then nothing is final, and the next audit looks at it again.
"""

from crypto.access_log import FIRST, Disclosure, Opening
from crypto.encoding import Body, Natural, decode
from crypto.signing import Envelope
from crypto.vault_links import Grant, VaultLink
from crypto.wire.losses import Loss
from vault_client.alarms import Raised
from vault_client.audit_report import LOST, Entry
from vault_client.audit_times import last_heads
from vault_client.declared_losses import WAITED_FOR, loss_of
from vault_client.device_store import DeviceStore
from vault_client.log_scan import FoundLeaf
from vault_client.logged_changes import LoggedChanges
from vault_client.vault_replica import VaultReplica

# What people read
LOST_UNKNOWN = (
    "The service does not show what an entry of your log says. Its operator declares that it was lost. It may be a request that was "
    "refused, or a change that another device of yours made: start Coffre there. A loss is the operator's word alone: it could be "
    "claimed to hide that entry."
)

_WAITING = "waiting-since"


class WaitingSince(Body, frozen=True):
    """Since when audits wait for what is missing in declared losses."""

    since: Natural


class LostEntries:
    """Those of one audit run."""

    def __init__(self, store: DeviceStore, replica: VaultReplica, losses: tuple[Loss, ...], now: int) -> None:
        self._store = store
        self._replica = replica
        self._logged = LoggedChanges(store)
        self._losses = losses
        self._known = last_heads(store)
        self._now = now
        waiting = store.get(_WAITING, WaitingSince)
        self._since = waiting.since if waiting is not None else now
        self._disclosed = replica.entries.disclosed() if losses else {}
        self._missing: set[int] = set()

    def holds(self, leaf: FoundLeaf) -> bool:
        """Whether an entry stands in a declared loss that can have held it."""
        return self._loss(leaf.index) is not None

    def own(self, leaf: FoundLeaf) -> Opening | None:
        """What the entry says, where it is a change of which this device has what opens it. What it follows from is not in it."""
        known = self._disclosed.get(leaf.index)
        if known is None or known[1].leaf(known[0]) != leaf.leaf:
            return None
        envelope, shown = known
        return Opening(salt=shown.salt, salt2=FIRST, previous=FIRST, envelope=envelope, part=shown.part)

    def note(self, leaf: FoundLeaf) -> Entry | None:
        """Take in an entry that nobody shows: the entry of what its leaf tells, None when it tells nothing."""
        loss = self._loss(leaf.index)
        if loss is None:
            return None
        self._missing.add(leaf.index)
        gid = leaf.by_grant
        if leaf.by_tag is not None:
            gid = leaf.by_tag.gid
            self._note_tag(leaf, gid, leaf.by_tag.j)
        grant = self._replica.grant(gid) if gid is not None else None
        if gid is None or not leaf.by_vault:
            return None
        return Entry(
            index=leaf.index,
            time=loss.time,
            kind="lost",
            act="",
            identity=grant.entry.recipient if grant is not None else None,
            name=grant.name if grant is not None else "",
            grant=gid,
            documents=(),
            changes=(LOST,) if leaf.by_tag is not None else (),
            purpose=None,
        )

    @property
    def is_awaited(self) -> bool:
        """Whether something is missing that a device may still show."""
        return any(self._is_awaited(index) for index in self._missing)

    def is_final(self, raised: Raised) -> bool:
        """Whether an alarm stays, whatever is shown from now on."""
        index = raised.alarm.index
        return index not in self._missing or not self._is_awaited(index)

    def keep_wait(self) -> None:
        """Keep since when this device waits, by its own clock, or that it does not: in a transaction.

        However often the service says that it lost something anew: what is missing meanwhile is only waited for so long.
        """
        if self.is_awaited:
            self._store.put(_WAITING, WaitingSince(since=self._since))
        else:
            self._store.delete(_WAITING)

    def _is_awaited(self, index: int) -> bool:
        loss = self._loss(index)
        return loss is not None and self._now - min(loss.time, self._since) < WAITED_FOR

    def _loss(self, index: int) -> Loss | None:
        return loss_of(self._losses, index, self._known)

    def _note_tag(self, leaf: FoundLeaf, gid: bytes, j: int | None) -> None:
        """An event or end counts by its leaf alone, whether or not anybody shows what it says."""
        if j is None:
            self._logged.note_end(gid, leaf.index, leaf.leaf.commitment)
            self._replica.keep_end_in_force(gid)
        elif (event := self._event(gid, j)) is not None:
            self._logged.note_event(gid, leaf.index, event)

    def _event(self, gid: bytes, j: int) -> bytes | None:
        for n in range(self._replica.local.head.n, 0, -1):
            envelope = self._store.get(f"link/{n}", Envelope)
            for step in () if envelope is None else decode(envelope.body, VaultLink).operations:
                if isinstance(step, Grant) and (step.gid, step.j) == (gid, j):
                    return step.event
        return None


def keep_found(store: DeviceStore, replica: VaultReplica, n: int, leaf: FoundLeaf, opening: Opening) -> None:
    """Keep what opens an entry of link ``n``, to show it should the service lose it."""
    link, found = store.get(f"link/{n}", Envelope), leaf.leaf
    if link is not None:
        slots = (found.slot_one, found.slot_two)
        shown = Disclosure(leaf.index, *slots, salt=opening.salt, part=opening.part)
        replica.entries.keep_found(n, link, shown)
