"""What an audit says: entries as they are shown, alarms with their evidence, and how far it came."""

from typing import Final, Literal

from crypto.encoding import Body, Bytes16, Bytes32, Natural
from crypto.requests import Purpose
from crypto.vault_links import (
    AddVersion,
    Adopt,
    AnyOperation,
    Block,
    End,
    Grant,
    Mask,
    PolicyPart,
    ProfilePart,
    Reseal,
    Rotate,
    SnapshotPart,
    Tombstone,
)
from crypto.wire.losses import Loss
from vault_client.alarms import Alarm

Kind = Literal["access", "refused", "change", "granted", "ended", "lost"]

FOUNDED: Final = "founded"
AMENDED: Final = "amended"
KEYED_ANEW: Final = "keyed anew"
CHANGED: Final = "changed"
ERASED: Final = "erased"
LOST: Final = "lost"

# What a change does, by its operation
_CHANGES: Final[dict[type, str]] = {
    AddVersion: "added",
    Adopt: "adopted",
    Tombstone: "deleted",
    Mask: "masked",
    Grant: "shared",
    End: "ended",
    Block: "blocked",
    Rotate: "rekeyed",
    Reseal: "resealed",
    PolicyPart: "ruled",
    ProfilePart: "described",
    SnapshotPart: "summed up",
}


class Entry(Body, frozen=True, omit_defaults=True):
    """One entry of the record's log.

    ``identity``: who did it, or whom it was done for. ``name``: of the reader it is about. ``grant``: the grant it is
    about, where it is one of the record's. ``changes``: what a change does, each once, in words of ``change_of``,
    and whether an event that was given changes a grant.
    ``purpose``: why someone read, where it can be opened. ``erased``: the entries that an erasure had destroyed, and
    ``device``: the id of the device that asked for it.
    Of kind ``lost``, a reading, or with ``LOST`` in ``changes`` a grant's event or end, nothing but the leaf is there any
    more; ``time``: when the service noted its loss.
    """

    index: Natural
    time: Natural
    kind: Kind
    act: str
    identity: Bytes32 | None
    name: str
    grant: Bytes32 | None
    documents: tuple[Bytes16, ...]
    changes: tuple[str, ...]
    purpose: Purpose | None
    erased: tuple[Natural, ...] = ()
    device: Bytes32 | None = None


class AuditReport(Body, frozen=True):
    """What the log says of the record, and what is wrong with it. ``time``: of the newest cosignature.

    ``gone``: up to which index entries were gone when this device came to look at them; 0 when it saw all. ``losses``: what the
    service declares to have lost of what the log commits to.
    """

    entries: tuple[Entry, ...]
    alarms: tuple[Alarm, ...]
    size: Natural
    root: Bytes32
    time: Natural
    gone: Natural
    losses: tuple[Loss, ...] = ()


def change_of(operation: AnyOperation) -> str:
    """What ``operation`` does, in one word."""
    match operation:
        case Mask(masked=False):
            return "unmasked"
        case Block(blocked=False):
            return "unblocked"
    return _CHANGES[type(operation)]
