"""The heads of the server's logs, as this device believes them.

They move in the store only after they have been verified whole, and never back.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from crypto.access_log import Leaf, Outcome
from crypto.errors import NotProven
from crypto.signing import Envelope
from crypto.statements import Head, View
from crypto.trust_root import Accepted, TrustRoot
from crypto.wire.messages import Logged
from crypto.wire.vault_api import VaultApi
from vault_client import trust
from vault_client.device_store import DeviceStore
from vault_client.log_reader import LogReader
from vault_client.trust import BelievedHead

# How long a verified directory head is named in what we sign before a newer one is fetched. The server and the
# keepers accept one that was replaced at most ten minutes ago.
DIRECTORY_AGE = 240


class BelievedHeads:
    """The heads of one server's logs. ``accepted``: the trust root that says by whom they are signed."""

    accepted: Accepted

    def __init__(self, api: VaultApi, store: DeviceStore, clock: Callable[[], int]) -> None:
        self.api = api
        self.reader = LogReader(api)
        self.now = clock
        self._store = store
        self._directory: tuple[int, Head] | None = None
        self._moving = asyncio.Lock()

    @property
    def root(self) -> TrustRoot:
        """The newest verified trust root."""
        return self.accepted.root

    def believed(self, origin: str) -> BelievedHead:
        """The newest verified head of a log; the empty one before the first."""
        return self._store.get(f"head/{origin}", BelievedHead) or trust.empty_head(origin)

    async def refresh(self, origin: str) -> BelievedHead:
        """Fetch and believe a log's newest head."""
        return (await self.witnessed(origin))[0]

    async def witnessed(self, origin: str) -> tuple[BelievedHead, bytes]:
        """``refresh``, and the note whose cosignatures show that head, to show it to others."""
        async with self._moving:
            note = await self.api.checkpoint(origin)
            new = trust.believe_note(self.root, origin, note, self.now())
            known = self.believed(origin)
            return self._keep(known, trust.advance(known, new, await self._path(known, new))), note

    async def view(self, origin: str, *, least: int = 0) -> View:
        """What a body signed now says of the world: for a body that goes to the log ``origin``. ``least``: as ``directory``."""
        directory = await self.directory(least)
        seen = directory if origin == self.root.directory_origin else self.believed(origin).head
        return View(trust_root=self.accepted.ref, dir=directory, seen=seen)

    async def reading_view(self, origin: str) -> View:
        """``view`` for a request to read: it names the head that was known before the mailbox was last read.

        A receipt can show a newer head, under which a grant may have an event that is not delivered yet. To name that
        one would say that the event was seen and passed over, which is an alarm in the patient's log.
        """
        known = self._store.get(f"mailbox-head/{origin}", BelievedHead) or trust.empty_head(origin)
        return msgspec.structs.replace(await self.view(origin), seen=known.head)

    async def newest_heads(self) -> list[BelievedHead]:
        """The newest head of every log that was met, fetched now."""
        known = [head.origin for _, head in self._store.scan("head", BelievedHead)]
        return [await self.refresh(origin) for origin in known if origin != self.root.directory_origin]

    def mailbox_was_read(self, before: list[BelievedHead]) -> None:
        """Note that every event below these heads was delivered, or is withheld."""
        for head in before:
            if head != self._store.get(f"mailbox-head/{head.origin}", BelievedHead):
                self._store.put(f"mailbox-head/{head.origin}", head)

    async def directory(self, least: int = 0) -> Head:
        """A verified head of the directory that is recent enough to be named in what we sign.

        Raises NotProven when the directory shown has fewer than ``least`` leaves, which someone else has named.
        """
        known = self._directory
        if known is None or self.now() - known[0] > DIRECTORY_AGE or known[1].size < least:
            believed = await self.refresh(self.root.directory_origin)
            known = self._directory = (self.now(), believed.head)
        if known[1].size < least:
            raise NotProven(
                "A later state of the directory was named than the one shown. Nothing was believed. Try again in a moment."
            )
        return known[1]

    def forget_directory(self) -> None:
        """Fetch the directory's head afresh next time: something was just published."""
        self._directory = None

    async def believe_logged(self, origin: str, logged: Logged, envelope: Envelope, outcome: Outcome) -> Leaf:
        """Check a receipt of the log ``origin`` and move to its head. Returns the leaf that is proved.

        A receipt may stand under a head that another answer has overtaken: then it must be a beginning of ours.
        """
        new, leaf = trust.believe_logged(self.root, origin, logged, envelope, outcome=outcome, now=self.now())
        async with self._moving:
            known = self.believed(origin)
            older, later = (known, new) if known.head.size <= new.head.size else (new, known)
            self._keep(known, trust.advance(older, later, await self._path(older, later)))
        return leaf

    async def _path(self, older: BelievedHead, later: BelievedHead) -> Sequence[bytes]:
        return await self.reader.consistency(older.origin, older.head.size, later.head.size)

    def _keep(self, known: BelievedHead, believed: BelievedHead) -> BelievedHead:
        if believed != known:
            self._store.put(f"head/{believed.origin}", believed)
        return believed
