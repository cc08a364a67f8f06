"""What an audit says: entries as they are shown, alarms with their evidence, and how far it came."""

from typing import Final, Literal

from crypto.access_log import Opening
from crypto.encoding import Body, Bytes16, Bytes32, Natural
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
from vault_client.log_scan import Scanned

Kind = Literal["access", "refused", "change", "granted", "ended"]


# What a change does, by its operation; "founded" is the first of all.
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


class Entry(Body, frozen=True):
    """One entry of the record's log, as it is shown.

    ``identity``: who did it, or whom it was done for. ``name``: of the reader it is about. ``text``: what a change
    does, in words of ``change_of`` joined by commas.
    """

    index: Natural
    time: Natural
    kind: Kind
    act: str
    identity: Bytes32 | None
    name: str
    documents: tuple[Bytes16, ...]
    text: str
    purpose: str


class Alarm(Body, frozen=True):
    """Something that must not be. ``leaf`` and ``opening`` are the evidence, where there is any."""

    code: str
    index: Natural | None
    text: str
    leaf: bytes
    opening: Opening | None


class AuditReport(Body, frozen=True):
    """What the log says of the record, and what is wrong with it. ``time``: of the newest cosignature."""

    entries: tuple[Entry, ...]
    alarms: tuple[Alarm, ...]
    size: Natural
    root: Bytes32
    time: Natural


class AuditPlace(Body, frozen=True):
    """How far the audit came: the scan, the last entry's commitment, and the next link expected."""

    scanned: Scanned
    last: Bytes32
    next_link: Natural


class EventPlace(Body, frozen=True):
    """Where in the log a grant event stands."""

    gid: Bytes32
    index: Natural
    event: Bytes32


class SharedDocuments(Body, frozen=True):
    """The documents that a grant event shared, kept by its digest: the log does not say them."""

    docs: tuple[Bytes16, ...]


def change_of(operation: AnyOperation) -> str:
    """What ``operation`` does, in one word."""
    match operation:
        case Mask(masked=False):
            return "unmasked"
        case Block(blocked=False):
            return "unblocked"
    return _CHANGES[type(operation)]
