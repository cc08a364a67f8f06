"""Entries of the record's log as the service shows them: opened, and each with its path to one witnessed head."""

from collections.abc import AsyncIterator, Collection, Sequence

from crypto.access_log import LEAF, Opening, opening_info, parse_leaf
from crypto.errors import NotProven, Refusal
from crypto.exports import ExportedEntry
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.tiles import WIDTH
from crypto.wire.messages import SealedOpening
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica


class ProvedEntries:
    """Entries of the first ``size`` of the log ``origin``."""

    def __init__(self, service: Service, replica: VaultReplica, origin: str, size: int) -> None:
        self._service = service
        self._replica = replica
        self._origin = origin
        self._size = size

    async def of(
        self, batch: Sequence[SealedOpening], *, doubted: Collection[int | None] = ()
    ) -> AsyncIterator[ExportedEntry]:
        """Each of ``batch`` opened, with its path, which is not checked.

        Raises NotProven or what else refuses one that does not open; of ``doubted`` such a one is left out.
        """
        reader = self._service.reader
        paths = await reader.inclusion(self._origin, [sealed.index for sealed in batch], self._size)
        leaves, start = b"", -1
        for sealed, path in zip(batch, paths, strict=True):
            if sealed.index // WIDTH * WIDTH != start:
                start = sealed.index // WIDTH * WIDTH
                leaves = await reader.leaves(self._origin, start, min(start + WIDTH, self._size))
            at = (sealed.index - start) * LEAF
            try:
                yield self._opened(sealed, leaves[at : at + LEAF], path)
            except Refusal:
                if sealed.index not in doubted:
                    raise

    def _opened(self, sealed: SealedOpening, data: bytes, path: Sequence[bytes]) -> ExportedEntry:
        leaf = parse_leaf(data)
        if leaf is None:
            raise NotProven("The service shows an entry that is none. Nothing was exported.")
        log_key = UnsealingKey(SecretBytes(self._replica.epoch(sealed.epoch).log_key))
        record = log_key.open(opening_info(self._origin, leaf.commitment), sealed.box)
        entry = ExportedEntry(
            index=sealed.index,
            slot_one=leaf.slot_one,
            slot_two=leaf.slot_two,
            path=tuple(path),
            opening=Opening.from_record(record),
        )
        if entry.leaf != leaf:
            raise NotProven("The service shows something else than what the log says. Nothing was exported.")
        return entry
