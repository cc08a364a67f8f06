"""Gathering what an audit's alarms rest on, while the service still shows it: a Finding for each.

Whatever cannot be had is left out, and the finding says less: a service that holds something back does not keep an alarm
from being kept.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress

import msgspec

from crypto import labels
from crypto.access_log import parse_leaf
from crypto.errors import CoffreError, Refusal
from crypto.evidence import EvidenceEntry, Finding
from crypto.exports import ExportedEntry
from crypto.requests import read_request
from crypto.wire.messages import ShownChain
from vault_client.alarms import Raised
from vault_client.own_identity import OwnIdentity
from vault_client.proved_entries import ProvedEntries
from vault_client.reader_keys import ReaderKeys
from vault_client.sealed_openings import sealed_openings
from vault_client.service import Service
from vault_client.trust import BelievedHead
from vault_client.vault_replica import VaultReplica

_MOST = 256  # of one run: more alarms than that are shown, and kept without proofs


class EvidenceGathering:
    """The findings of one audit run, under the head that it came to."""

    def __init__(
        self,
        service: Service,
        own: OwnIdentity,
        replica: VaultReplica,
        readers: ReaderKeys,
        believed: BelievedHead,
        note: bytes,
    ) -> None:
        self._service = service
        self._own = own
        self._replica = replica
        self._readers = readers
        self._believed = believed
        self._note = note
        self._shown_self: ShownChain | None = None

    async def findings(self, raised: Sequence[Raised]) -> AsyncIterator[Finding]:
        """What each of ``raised`` rests on."""
        paths = await self._paths(raised[:_MOST])
        for number, each in enumerate(raised):
            alarm = each.alarm
            entries = self._entries(each, paths)
            if entries and number < _MOST:
                entries += await self._compared(each)
            yield Finding(
                code=alarm.code,
                text=alarm.text,
                time=self._service.now(),
                origin=self._believed.origin,
                notes=(self._note, *each.notes),
                beginning=each.beginning,
                entries=tuple(entries),
                people=await self._people(each) if number < _MOST else (),
            )

    async def _paths(self, raised: Iterable[Raised]) -> dict[int, tuple[bytes, ...]]:
        indexes = sorted({each.alarm.index for each in raised if each.alarm.index is not None})
        with suppress(CoffreError):
            origin, size = self._believed.origin, self._believed.head.size
            shown = await self._service.reader.inclusion(origin, indexes, size)
            return {index: tuple(path) for index, path in zip(indexes, shown, strict=True)}
        return {}

    def _entries(self, raised: Raised, paths: dict[int, tuple[bytes, ...]]) -> list[EvidenceEntry]:
        leaf = parse_leaf(raised.alarm.leaf) if raised.alarm.leaf else None
        if leaf is None or raised.alarm.index is None:
            return []
        index, opening = raised.alarm.index, raised.alarm.opening
        return [self._without_false_path(EvidenceEntry.of(index, leaf, paths.get(index), opening))]

    def _without_false_path(self, entry: EvidenceEntry) -> EvidenceEntry:
        """``entry``, with its path only if that holds: the server's tiles may be false."""
        try:
            entry.check(self._believed.head)
        except Refusal:
            return msgspec.structs.replace(entry, path=None)
        return entry

    async def _compared(self, raised: Raised) -> list[EvidenceEntry]:
        """The entries that the alarm compares with, as far as they are shown again."""
        believed, vault = self._believed, self._replica.vault
        proved = ProvedEntries(self._service, self._replica, believed.head.size)
        found = []
        for index in raised.compared[:7]:
            with suppress(CoffreError):
                shown = sealed_openings(self._service.api, vault, index, index + 1)
                batch = [opening async for opening in shown]
                found += [self._without_false_path(_entry(each)) async for each in proved.of(batch)]
        return [entry for entry in found if entry.index != raised.alarm.index]

    async def _people(self, raised: Raised) -> tuple[ShownChain, ...]:
        """Whoever the entry says signed it, and the holder of the record, as keepers vouched for them."""
        opening, people = raised.alarm.opening, []
        if opening is None:
            return ()
        if self._shown_self is None:
            with suppress(CoffreError):
                self._shown_self = await self._service.prove_chain(self._own.profile.chain)
        people += [self._shown_self] if self._shown_self is not None else []
        with suppress(CoffreError):
            if opening.envelope.type == labels.ACCESS_REQUEST:
                shown = await self._readers.shown(read_request(opening.envelope).identity)
                people += [shown] if shown is not None and shown not in people else []
        return tuple(people)


def _entry(exported: ExportedEntry) -> EvidenceEntry:
    return EvidenceEntry.of(exported.index, exported.leaf, exported.path, exported.opening)
