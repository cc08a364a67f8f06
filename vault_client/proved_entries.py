"""Entries of the record's log as the service shows them: opened, and each with its path to one witnessed head."""

from collections.abc import AsyncIterator, Collection, Sequence

from crypto.access_log import parse_leaf
from crypto.errors import NotProven, Refusal
from crypto.exports import ExportedEntry
from crypto.wire.messages import SealedOpening
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica


class ProvedEntries:
    """Entries of the first ``size`` of the record's log."""

    def __init__(self, service: Service, replica: VaultReplica, size: int) -> None:
        self._service = service
        self._replica = replica
        self._size = size

    async def of(
        self, batch: Sequence[SealedOpening], *, doubted: Collection[int | None] = ()
    ) -> AsyncIterator[ExportedEntry]:
        """Each of ``batch`` opened, with its path, which is not checked.

        Raises NotProven or what else refuses one that does not open; of ``doubted`` such a one is left out.
        """
        reader, origin = self._service.reader, self._replica.origin
        indexes = [sealed.index for sealed in batch]
        paths = await reader.inclusion(origin, indexes, self._size)
        leaves = await reader.leaves_at(origin, indexes)
        for sealed, path in zip(batch, paths, strict=True):
            try:
                yield self._opened(sealed, leaves[sealed.index], path)
            except Refusal:
                if sealed.index not in doubted:
                    raise

    def _opened(self, sealed: SealedOpening, data: bytes, path: Sequence[bytes]) -> ExportedEntry:
        leaf = parse_leaf(data)
        if leaf is None:
            raise NotProven("The service shows an entry that is none. Nothing was exported.")
        entry = ExportedEntry(
            index=sealed.index,
            slot_one=leaf.slot_one,
            slot_two=leaf.slot_two,
            path=tuple(path),
            opening=self._replica.opening(sealed, leaf.commitment),
        )
        if entry.leaf != leaf:
            raise NotProven("The service shows something else than what the log says. Nothing was exported.")
        return entry
