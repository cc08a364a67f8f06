"""What stays of a document once it is deleted: its entries in the log, 97 bytes each that say nothing to anybody else."""

from dataclasses import dataclass

from crypto.access_log import LEAF
from crypto.errors import Refusal
from vault_client.audit_report import AuditReport
from vault_client.service import Service


@dataclass(frozen=True)
class Remains:
    """How many entries are known to be about a document, and one of them: its index, and its bytes in the public log."""

    entries: int
    index: int
    leaf: bytes


async def remains_of(service: Service, origin: str, report: AuditReport, doc: bytes) -> Remains | None:
    """What the log still has of ``doc``; None when no entry of it is known here, or all are gone.

    Raises Unreachable when the log is not shown.
    """
    found = [entry.index for entry in report.entries if doc in entry.documents]
    for index in found:
        try:
            return Remains(len(found), index, (await service.reader.leaves(origin, index, index + 1))[:LEAF])
        except Refusal:
            continue
    return None
