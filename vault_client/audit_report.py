"""What an audit says: entries as they are shown, alarms with their evidence, and how far it came."""

from typing import Literal

from crypto.access_log import Opening
from crypto.encoding import Body, Bytes16, Bytes32, Natural
from vault_client.log_scan import Scanned

Kind = Literal["access", "refused", "change", "granted", "ended"]


class Entry(Body, frozen=True):
    """One entry of the record's log, as it is shown."""

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
