"""The heads of the server's logs, as this device believes them.

They move in the store only after they have been verified whole, and never back. A head that does not fit the one before
is refused; as it was signed, it is evidence, and stays on this device as an alarm.
"""

import asyncio
from collections.abc import Callable

import msgspec

from crypto.access_log import Leaf, Outcome
from crypto.encoding import Body, Bytes32
from crypto.errors import CoffreError, NotProven, Refusal, TooMany, Unavailable
from crypto.evidence import Beginning, Finding
from crypto.identity_chain import Known
from crypto.receipt import Receipt
from crypto.signing import Envelope
from crypto.statements import Head, View
from crypto.trust_root import Accepted, TrustRoot
from crypto.wire.messages import Logged, ShownChain
from crypto.wire.vault_api import VaultApi
from vault_client import contradictions, trust
from vault_client.alarms import Alarm, is_kept, keep_alarm
from vault_client.device_store import DeviceStore
from vault_client.log_reader import LogReader
from vault_client.trust import BelievedHead

# How long a verified directory head is named in what we sign before a newer one is fetched. The server and the
# keepers accept one that was replaced at most ten minutes ago.
DIRECTORY_AGE = 240

# What people read
NOT_SHOWN = (
    "The service signed a head of its log and refuses to show that it goes on from the one before. Nothing was believed, and both "
    "heads were kept as an alarm. Try again later; if it goes on, ask the operator."
)


class UnprovedHead(Body, frozen=True):
    """A head that the log signed, and of which nothing was shown, because the service then answered nothing."""

    head: BelievedHead
    note: bytes


class KeptNote(Body, frozen=True):
    """The note of a head that is believed. ``root`` says of which."""

    root: Bytes32
    note: bytes


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
            believed = await self._move(new, note)
            await self._look_again(believed)
            return believed, note

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

    def mailbox_read(self, origin: str) -> int | None:
        """When keepers confirmed the head of a log below which every event was delivered, or is withheld. None before that."""
        known = self._store.get(f"mailbox-head/{origin}", BelievedHead)
        return known.time if known is not None else None

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
            await self._move(new, Receipt.decode(logged.receipt).note, may_be_older=True)
        return leaf

    def believe_chain(self, shown: ShownChain, at: Head) -> Known:
        """Somebody as they stood at ``at`` of the directory (``trust.believe_chain``, and what that raises).

        Keepers' answers that contradict each other, or the directory that is believed here, are kept as an alarm.
        """
        try:
            return trust.believe_chain(self.root, shown, at)
        except NotProven:
            self.directory_contradicted(shown)
            raise

    async def _move(self, new: BelievedHead, note: bytes, *, may_be_older: bool = False) -> BelievedHead:
        """Believe ``new``, which goes on from what is believed. Returns what is believed then.

        ``may_be_older``: a beginning of what is believed is no step back. Raises NotProven, and keeps the alarm; so too when the
        service, which signed the head, refuses to show what it holds. One that then answers nothing is not accused: the head
        is kept, and compared once there is an answer.
        """
        known = self.believed(new.origin)
        is_older = new.head.size < known.head.size
        older, later = (new, known) if is_older and may_be_older else (known, new)
        try:
            path = await self.reader.consistency(new.origin, older.head.size, later.head.size)
            believed = trust.advance(older, later, path)
        except NotProven:
            small, big = sorted((known, new), key=lambda each: each.head.size)
            self._contradicted(known, new, note, await self._beginning(small, big))
            raise
        except (TooMany, Unavailable):
            self._keep_unproved(new, note)
            raise
        except Refusal as refusal:
            self._not_shown(known, new, note)
            raise NotProven(NOT_SHOWN) from refusal
        if believed != known:
            with self._store.transaction():
                self._store.put(f"head/{believed.origin}", believed)
                self._store.put(f"note/{believed.origin}", KeptNote(root=believed.head.root, note=note))
        return believed

    async def holds(self, believed: BelievedHead, shown: BelievedHead, note: bytes) -> bool:
        """Whether the server shows that the log under ``believed`` begins with ``shown``, which the log signed in ``note``.

        When it shows another beginning, or refuses to show any, that is kept as an alarm.
        """
        beginning, root = None, believed.head.root
        if shown.head.size == 0:
            root = shown.head.root
        elif shown.head.size < believed.head.size:
            try:
                (beginning,) = await self.reader.beginnings(
                    believed.origin, [shown.head.size], believed.head.size
                )
                beginning.check(believed.head)
            except (TooMany, Unavailable):
                return False
            except Refusal:
                self._not_shown(believed, shown, note)
                return False
            root = beginning.root
        if root != shown.head.root:
            self._contradicted(believed, shown, note, beginning)
        return root == shown.head.root

    def _keep_unproved(self, new: BelievedHead, note: bytes) -> None:
        """Keep the first such head: no later one may take its place before it was compared."""
        name = f"unproved/{new.origin}"
        if self._store.get(name, UnprovedHead) is None:
            self._store.put(name, UnprovedHead(head=new, note=note))

    async def _look_again(self, believed: BelievedHead) -> None:
        """Compare the head of which nothing was shown, if there is one that ``believed`` must hold by now."""
        name = f"unproved/{believed.origin}"
        unproved = self._store.get(name, UnprovedHead)
        if unproved is None or unproved.head.head.size > believed.head.size:
            return
        if await self.holds(believed, unproved.head, unproved.note):
            self._store.delete(name)

    def _note(self, believed: BelievedHead) -> bytes | None:
        """The note that shows ``believed``, where it is kept."""
        found = self._store.get(f"note/{believed.origin}", KeptNote)
        return found.note if found is not None and found.root == believed.head.root else None

    def _contradicted(
        self, known: BelievedHead, new: BelievedHead, note: bytes, beginning: Beginning | None
    ) -> None:
        finding = contradictions.of_heads((known, self._note(known)), (new, note), beginning, self.now())
        self.keep_finding(finding, new.head.size)

    def _not_shown(self, known: BelievedHead, new: BelievedHead, note: bytes) -> None:
        finding = contradictions.not_shown((known, self._note(known)), (new, note), self.now())
        self.keep_finding(finding, new.head.size)

    async def _beginning(self, small: BelievedHead, big: BelievedHead) -> Beginning | None:
        """What the larger head has in the place of the smaller, as far as the server shows it."""
        if not 0 < small.head.size < big.head.size:
            return None
        try:
            (beginning,) = await self.reader.beginnings(big.origin, [small.head.size], big.head.size)
            beginning.check(big.head)
        except CoffreError:
            return None
        return beginning

    def directory_contradicted(self, shown: ShownChain) -> None:
        """Keep the alarm when keepers' answers about somebody name two directories of one size. Others prove nothing."""
        believed = self.believed(self.root.directory_origin)
        finding = contradictions.of_directories(self.root, believed, self._note(believed), shown, self.now())
        if finding is not None:
            self.keep_finding(finding, believed.head.size)

    def keep_finding(self, finding: Finding, where: int) -> None:
        """Keep an alarm that is about a log as a whole, met at ``where`` of it.

        That nothing was shown takes the place of no finding: what was shown before is more.
        """
        if finding.text == contradictions.UNSHOWN and is_kept(self._store, where, finding):
            return
        alarm = Alarm(code=finding.code, index=None, text=finding.text, leaf=b"", opening=None)
        with self._store.transaction():
            keep_alarm(self._store, where, alarm, finding, less=contradictions.UNSHOWN)
