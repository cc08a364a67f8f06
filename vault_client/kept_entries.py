"""What this device keeps of the record's newest entries, to show it again should the service lose what they commit to.

Of each link what was sent with it and what opens its entries; of every entry the opening as the service showed it, sealed.
The newest of both are kept, in places that are used again: a backup is days old, not years.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from crypto.access_log import Disclosure
from crypto.encoding import Body, Natural, SecretBody
from crypto.errors import TooLarge
from crypto.sealed.keyring import VaultKeyring
from crypto.signing import Envelope
from crypto.wire.messages import EventSubmission, LinkSubmission, OpeningQuery, SealedOpening, StoredEvent
from crypto.wire.vault_api import VaultApi
from vault_client.device_store import DeviceStore

LINKS: Final = 512
OPENINGS: Final = 1024
PAGES: Final = 16

_NEXT = "next-opening"


class KeptLink(SecretBody, frozen=True):
    """A genesis or link with what was sent with it, as far as this device has it, and what opens its entries, if proved."""

    submission: LinkSubmission
    disclosures: tuple[Disclosure, ...]


class NextOpening(Body, frozen=True):
    """From which entry on openings are not kept yet, and how many ever were."""

    since: Natural
    count: Natural


class KeptEntries:
    """Those of the record of one profile."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def keep_sent(self, n: int, submission: LinkSubmission) -> None:
        """Keep link ``n`` before it is sent, or as another device sent it. What was kept of the same one is whole already."""
        known = self._link(n)
        if known is None or known.submission.envelope != submission.envelope:
            with suppress(
                TooLarge
            ):  # a record of the store has room for any link but one of thousands of documents
                self._store.put(_link_name(n), KeptLink(submission=submission, disclosures=()))

    def keep_proved(self, n: int, envelope: Envelope, disclosures: Sequence[Disclosure]) -> None:
        """Keep what opens the entries of link ``n``, which are proved to be in the log."""
        known = self._link(n)
        if known is not None and known.submission.envelope == envelope:
            kept = msgspec.structs.replace(known, disclosures=tuple(disclosures))
            with suppress(TooLarge):
                self._store.put(_link_name(n), kept)

    def keep_found(self, n: int, envelope: Envelope, disclosure: Disclosure) -> None:
        """Keep what opens one more entry of link ``n``: a scan finds them in order."""
        known = self._link(n)
        if known is not None and all(each.index < disclosure.index for each in known.disclosures):
            self.keep_proved(n, envelope, (*known.disclosures, disclosure))

    def link(self, n: int, envelope: Envelope) -> KeptLink | None:
        """Link ``n``, which is ``envelope``, with what opens all of its entries; None where this device does not have it."""
        known = self._link(n)
        if known is None or known.submission.envelope != envelope or not known.disclosures:
            return None
        return known

    def last_index(self, n: int) -> int:
        """The last entry of link ``n``, as far as this device knows; -1 where it does not."""
        known = self._link(n)
        return max((each.index for each in known.disclosures), default=-1) if known is not None else -1

    def disclosed(self) -> dict[int, tuple[Envelope, Disclosure]]:
        """Every entry of a kept link, by its index: the body behind it, and what opens it."""
        found = {}
        for _, kept in self._store.scan("kept-link", KeptLink):
            bodies = kept.submission.envelope, *(event.envelope for event in kept.submission.events)
            behind = {body.digest: body for body in bodies}
            for each in kept.disclosures:
                if each.part.body in behind:
                    found[each.index] = (behind[each.part.body], each)
        return found

    async def take_in(self, api: VaultApi, vault: bytes, end: int) -> None:
        """Fetch and keep the openings that came since this was last done, of entries before ``end``: some of them, of very many.

        Nothing is believed of them.
        """
        at = self._store.get(_NEXT, NextOpening) or NextOpening(since=0, count=0)
        for _ in range(PAGES):
            page = await api.openings(OpeningQuery(vault=vault, since=at.since))
            fresh = [each for each in page.openings if at.since <= each.index < end]
            if not fresh:
                return
            with self._store.transaction():
                for place, opening in enumerate(fresh, at.count):
                    self._store.put(f"kept-opening/{place % OPENINGS:04d}", opening)
                at = NextOpening(since=fresh[-1].index + 1, count=at.count + len(fresh))
                self._store.put(_NEXT, at)
            if not page.more:
                return

    def openings(self) -> Iterator[SealedOpening]:
        """The kept openings, in no particular order."""
        for _, opening in self._store.scan("kept-opening", SealedOpening):
            yield opening

    def forget(self, indexes: Collection[int]) -> None:
        """Destroy the openings of entries that were erased: in a transaction."""
        if indexes:
            for name, opening in list(self._store.scan("kept-opening", SealedOpening)):
                if opening.index in indexes:
                    self._store.delete(name)

    def forget_all(self) -> None:
        """Forget everything: the record is taken in anew."""
        for group in ("kept-link", "kept-opening", _NEXT):
            for name in self._store.names(group):
                self._store.delete(name)

    def _link(self, n: int) -> KeptLink | None:
        return self._store.get(_link_name(n), KeptLink)


def as_taken_in(
    envelope: Envelope,
    keyring: VaultKeyring,
    before: VaultKeyring,
    events: Sequence[StoredEvent],
    parts: Mapping[bytes, bytes],
) -> LinkSubmission:
    """A link of another device as it was sent, but for the events' listings and chains, which only that one has."""
    is_new = keyring.epochs[-1].epoch != before.epochs[-1].epoch
    return LinkSubmission(
        envelope=envelope,
        scan_key=keyring.epochs[-1].scan_key if is_new else None,
        tags=(),
        events=tuple(
            EventSubmission(envelope=each.envelope, rows=each.rows, listing=b"", blobs=each.blobs, chains=())
            for each in events
        ),
        parts=tuple(parts.values()),
    )


def _link_name(n: int) -> str:
    return f"kept-link/{n % LINKS:04d}"
