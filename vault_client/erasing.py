"""Having the traces of readings destroyed before their time: which ones, and at the holder's signed request.

Nothing leaves the log: a leaf stays for each of them, which nobody can open any more. Readings about which there is an
alarm are never erased: they are evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.erasures import MAX_ENTRIES, Erasure
from crypto.errors import NotPermitted, Refusal
from crypto.signing import sign
from crypto.wire.messages import EraseRequest, LogQuery
from vault_client.audit_erasures import READINGS, forget_reading
from vault_client.audit_report import AuditReport, Entry
from vault_client.device_store import DeviceStore
from vault_client.log_beginning import believed_beginning
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.vault_replica import RESTORING, VaultReplica

# What people read
NOT_DELETED = "This document is in the record. Nothing was erased. The traces of a document can be erased once it is deleted."


@dataclass(frozen=True)
class Erasable:
    """The readings that can be erased, in order. ``alarmed``: how many there is an alarm about, which stay.

    ``others``: how many name other documents too, which stay.
    """

    entries: tuple[Entry, ...]
    alarmed: int
    others: int


class Erasing:
    """Erasing readings of one vault."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica
        self.is_in_doubt = False
        """Whether the server was asked, and its answer is not proved: it may have erased what it was asked for."""

    def of_document(self, report: AuditReport, doc: bytes) -> Erasable:
        """The readings that name ``doc`` alone, which is deleted. Raises NotPermitted when it is not."""
        if doc not in self._replica.deleted_titles():
            raise NotPermitted(NOT_DELETED)
        # A listing is opened as a document of its own, whose id no other document has.
        about = [entry for entry in report.entries if entry.kind in READINGS and doc in entry.documents]
        others = sum(set(entry.documents) != {doc} for entry in about)
        return _erasable(report, lambda entry: set(entry.documents) == {doc}, others)

    def before(self, report: AuditReport, time: int) -> Erasable:
        """The readings from before ``time``, in seconds since 1970."""
        return _erasable(report, lambda entry: entry.time < time, 0)

    async def run(self, entries: Sequence[Entry]) -> None:
        """Have ``entries`` erased by the server, with its proof that the request is logged; then here.

        What is gone from the log already, for its age, is forgotten here. Raises what the server refuses with: then those of the request
        that was refused are still there. Unreachable: it may have been heard; the next look at the log tells.
        """
        if self._replica.is_restoring():
            raise NotPermitted(RESTORING)
        origin = self._replica.origin
        beginning = await self._beginning(origin, [entry.index for entry in entries])
        self._forget([entry.index for entry in entries if entry.index < beginning])
        there = [entry.index for entry in entries if entry.index >= beginning]
        for start in range(0, len(there), MAX_ENTRIES):
            indexes = tuple(there[start : start + MAX_ENTRIES])
            view = await self._replica.view()
            erasure = Erasure(
                suite=labels.SUITE,
                vault=self._replica.vault,
                origin=origin,
                entries=indexes,
                signers=(self._own.known_at(self._service, view.dir).ref,),
                view=view,
            )
            envelope = sign(labels.ERASURE, erasure, self._own.device)
            self.is_in_doubt = True
            try:
                logged = await self._service.api.erase(EraseRequest(erasure=envelope))
            except Refusal:
                self.is_in_doubt = False
                raise
            await self._service.believe_logged(origin, logged, envelope, "accepted")
            self._forget(indexes)
            self.is_in_doubt = False

    async def _beginning(self, origin: str, indexes: Sequence[int]) -> int:
        """From which entry on the log's are there. Raises NotProven when some of ``indexes`` are said to be gone and may not be."""
        said = await self._service.api.log_beginning(LogQuery(origin=origin))
        if said.minimum <= min(indexes, default=said.minimum):
            return said.minimum
        believed = await self._service.refresh(origin)
        return await believed_beginning(self._service.api, self._service.root, believed)

    def _forget(self, indexes: Sequence[int]) -> None:
        with self._store.transaction():
            for index in indexes:
                forget_reading(self._store, index)


def _erasable(report: AuditReport, is_meant: Callable[[Entry], bool], others: int) -> Erasable:
    meant = [entry for entry in report.entries if entry.kind in READINGS and is_meant(entry)]
    alarmed = {alarm.index for alarm in report.alarms}
    kept = tuple(entry for entry in meant if entry.index not in alarmed)
    return Erasable(kept, len(meant) - len(kept), others)
