"""Whether chains, openings and proofs that are stored, and the entries of the logs, are each other's, as far as a server sees.

A link's entry is computed again from the link. What an opening says is sealed; but the newest entries of a record are
found under its scan key, and so are entries whose opening is gone. What is noted as lost is missed nowhere.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from crypto.access_log import FIRST, Disclosure, Leaf, parse_leaf
from crypto.encoding import decode
from crypto.erasures import read_erasure
from crypto.errors import NotFound, NotProven, Refusal
from crypto.locators import Locator, SlotColumn, directory_slot
from crypto.merkle import HASH_SIZE, leaf_hash
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.tiles import WIDTH
from crypto.vault_links import End, Genesis, Grant, VaultLink, scan_key_commitment
from vault_server.log_check import does_not_fit
from vault_server.store import entry_rows as rows
from vault_server.store import erasures as erasure_rows
from vault_server.store import identities as identity_rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import losses
from vault_server.store import rows as stored
from vault_server.store import vaults as vault_rows
from vault_server.store.database import Statements
from vault_server.store.leaves import LogRow
from vault_server.store.vaults import VaultRow

PAGE = 256
BLOCK = 4096


class EntryCheck:
    """One check of everything that names an entry. The logs themselves were checked before."""

    def __init__(self, db: Statements, logs: Mapping[str, LogRow], directory: str) -> None:
        self._db, self._logs, self._directory = db, logs, directory
        self._claimed = {origin: bytearray(log.size) for origin, log in logs.items()}
        self._keys: dict[str, list[Locator]] = {origin: [] for origin in logs}

    async def run(self) -> None:
        """Check all. Raises NotProven at the first that does not fit."""
        for identity in await rows.identities(self._db):
            await self._identity(identity)
        for vault in await rows.records(self._db):
            await self._record(vault)
        for digest, vault, shown in await rows.answers(self._db):
            await self._answer(digest, vault, shown)
        for index, slot in (await losses.links(self._db)).items():
            if (await self._claim(self._directory, index)).slot_one != slot:
                raise _other_link(index, self._directory)
        for log in self._logs.values():
            await self._unclaimed(log)
            await self._places(log)

    async def _identity(self, identity: bytes) -> None:
        with _in_words(f"A link of identity {identity.hex()} cannot be read."):
            links = await identity_rows.links(self._db, identity)
        for n, link in enumerate(links):
            index = link.disclosure.index
            leaf = await self._claim(self._directory, index)
            own = directory_slot(self._directory, identity, n)
            if leaf.slot_one != own or not _opens(link.disclosure, link.envelope, leaf):
                raise _other_link(index, self._directory)

    async def _record(self, vault: bytes) -> None:
        with _in_words(f"The head of record {vault.hex()} is gone or cannot be read."):
            row = await vault_rows.vault(self._db, vault)
        origin = row.head.origin
        if scan_key_commitment(row.scan_key) != row.head.keys.scan_key:
            raise does_not_fit(
                f"The scan key of record {vault.hex()}, which is written in {origin}, is not the one its holder signed."
            )
        if origin not in self._logs:
            raise does_not_fit(f"Record {vault.hex()} is written in {origin}, and that log is gone.")
        locator = Locator(SecretBytes(row.scan_key), origin)
        self._keys[origin].append(locator)
        opened = await self._openings(vault, row, locator)
        await self._chain(vault, row, opened)

    async def _openings(self, vault: bytes, row: VaultRow, locator: Locator) -> set[int]:
        """The entries that a record has openings of, and those noted as lost."""
        origin, last, found = row.head.origin, FIRST, set()
        openings = [*await rows.openings(self._db, vault), *(await losses.entries(self._db, vault)).items()]
        for index, epoch in sorted({(index, epoch) for index, epoch in openings}):
            leaf = await self._claim(origin, index)
            now = row.head.keys.epoch
            # Scan keys of earlier epochs are not kept.
            if epoch > now or (epoch == now and not locator.matches(leaf.slot_one)):
                raise does_not_fit(f"The opening of entry {index} of {origin} is of another record or epoch.")
            last = leaf.commitment
            found.add(index)
        await self._erasures(vault, origin, found)
        gone = not found and self._logs[origin].minimum > 0
        if last != row.last and not gone:
            raise does_not_fit(
                f"The newest opening of record {vault.hex()}, of an entry of {origin}, is gone."
            )
        return found

    async def _erasures(self, vault: bytes, origin: str, opened: set[int]) -> None:
        """What is said to be erased is named by an erasure that the log commits to, and is an entry of the record."""
        minimum, named = self._logs[origin].minimum, dict[int, int]()
        with _in_words(f"An erasure of record {vault.hex()} cannot be read."):
            erasures = await erasure_rows.of_vault(self._db, vault)
            bodies = [read_erasure(each.envelope) for each in erasures]
        for each, body in zip(erasures, bodies, strict=True):
            index = each.disclosure.index
            if index not in opened:
                raise _no_opening(index, origin)
            if not _opens(each.disclosure, each.envelope, await self._leaf(origin, index)):
                raise does_not_fit(
                    f"The erasure that is kept for entry {index} is not the one it commits to."
                )
            named |= {entry: index for entry in body.entries if entry >= minimum}
            if each.done and not opened.isdisjoint(body.entries):
                raise does_not_fit(f"What the erasure at entry {index} of {origin} names is still there.")
        if await erasure_rows.erased(self._db, vault) != named:
            raise does_not_fit(f"What was erased of record {vault.hex()} is not what its holder asked for.")
        for index in named.keys() - opened:
            await self._claim(origin, index)

    async def _chain(self, vault: bytes, row: VaultRow, opened: set[int]) -> None:
        origin, n, digest, leaves = row.head.origin, -1, b"", 0
        while page := await rows.links(self._db, vault, n, PAGE):
            for number, data in page:
                n += 1
                if number != n:
                    raise does_not_fit(
                        f"Link {n} of record {vault.hex()}, which is written in {origin}, is gone."
                    )
                with _in_words(
                    f"Link {n} of record {vault.hex()}, which is written in {origin}, cannot be read, or an event of it."
                ):
                    envelope = stored.envelope(data)
                    signed = await self._signed(n, envelope, digest)
                    shown = await vault_rows.link_leaves(self._db, vault, n)
                digest, leaves = envelope.digest, leaves + len(shown)
                if len(shown) != len(signed):
                    raise does_not_fit(
                        f"What opens the entries of link {n} of record {vault.hex()} is not all there."
                    )
                for each, body in zip(shown, signed, strict=True):
                    await self._check_link_leaf(origin, each, body, opened)
        if (n, digest) != (row.head.n, row.head.link):
            raise does_not_fit(
                f"The newest link of record {vault.hex()}, which is written in {origin}, is gone."
            )
        if await rows.link_leaf_count(self._db, vault) != leaves:
            raise does_not_fit(
                f"Of record {vault.hex()} there is more to open entries of {origin} than it has links."
            )

    async def _check_link_leaf(
        self, origin: str, shown: Disclosure, body: Envelope, opened: set[int]
    ) -> None:
        """The entry of a link is the one it commits to: of an entry that is gone, its hash is."""
        index, minimum = shown.index, self._logs[origin].minimum
        if index >= minimum:
            leaf = await self._leaf(origin, index)
            if index not in opened:
                raise _no_opening(index, origin)
            if not _opens(shown, body, leaf):
                raise _other_link(index, origin)
            return
        tile = await leaf_rows.tile(self._db, origin, 0, index // WIDTH) or b""
        at = index % WIDTH * HASH_SIZE
        if (
            shown.part.body != body.digest
            or leaf_hash(shown.leaf(body).to_bytes()) != tile[at : at + HASH_SIZE]
        ):
            raise _other_link(index, origin)

    async def _signed(self, n: int, envelope: Envelope, before: bytes) -> list[Envelope]:
        """What each entry of a link commits to: the link, then each event, and the link again for each end."""
        if n == 0:
            decode(envelope.body, Genesis)
            return [envelope]
        link = decode(envelope.body, VaultLink)
        if link.n != n or (n > 1 and link.prev != before):
            raise NotProven("A link does not follow from the one before.")
        signed = [envelope]
        for step in link.operations:
            if isinstance(step, Grant):
                event = await rows.event(self._db, step.gid, step.j)
                if event is None:
                    raise NotFound
                signed.append(stored.envelope(event))
            elif isinstance(step, End):
                signed.append(envelope)
        return signed

    async def _answer(self, digest: bytes, vault: bytes, data: bytes) -> None:
        with _in_words(f"What is kept of an answered request of record {vault.hex()} cannot be read."):
            origin = (await vault_rows.vault(self._db, vault)).head.origin
            shown = decode(data, Disclosure)
        if shown.index < self._logs[origin].minimum:
            return  # gone, and what was kept for ten minutes goes too
        leaf = await self._leaf(origin, shown.index)
        if (shown.part.body, shown.slot_one, shown.slot_two) != (digest, leaf.slot_one, leaf.slot_two):
            raise does_not_fit(
                f"What is kept of an answered request is not what entry {shown.index} of {origin} says."
            )

    async def _unclaimed(self, log: LogRow) -> None:
        """No entry is left that somebody must have: in the directory all are links', in a shard what a scan key finds."""
        claimed = self._claimed[log.origin]
        for start in range(0, log.size, BLOCK):
            leaves = await leaf_rows.numbered_leaves(self._db, log.origin, start, BLOCK)
            left = [
                (index, leaf)
                for index, _, leaf in leaves
                if not claimed[index] and parse_leaf(leaf) is not None
            ]
            if left and log.origin == self._directory:
                raise does_not_fit(f"The link behind entry {left[0][0]} of {log.origin} is gone.")
            column = SlotColumn(b"".join(leaf for _, leaf in left), 1)
            if found := [place for locator in self._keys[log.origin] for place in locator.find(column)]:
                raise _no_opening(left[min(found)][0], log.origin)

    async def _places(self, log: LogRow) -> None:
        """Each place that a shard gave out is a record's, or reserved."""
        taken, reserved = await leaf_rows.slots_taken(self._db, log.origin)
        used = len(self._keys[log.origin]) + reserved
        # Where something was lost, so many were taken from the rest as may have been given out.
        if taken < used or (taken > used and not await losses.of_log(self._db, log.origin)):
            raise does_not_fit(f"{log.origin} says that places were given out: {taken}. In use are {used}.")

    async def _claim(self, origin: str, index: int) -> Leaf:
        """An entry that belongs to one link or one record only."""
        leaf = await self._leaf(origin, index)
        if self._claimed[origin][index]:
            raise does_not_fit(f"Two rows say that entry {index} of {origin} is theirs.")
        self._claimed[origin][index] = 1
        return leaf

    async def _leaf(self, origin: str, index: int) -> Leaf:
        found = await leaf_rows.leaves(self._db, origin, index, 1)
        leaf = parse_leaf(found[0]) if found else None
        if leaf is None:
            raise does_not_fit(f"A row names entry {index} of {origin}, and there is none.")
        return leaf


def _opens(shown: Disclosure, envelope: Envelope, leaf: Leaf) -> bool:
    try:
        return shown.leaf(envelope) == leaf
    except NotProven:
        return False


def _other_link(index: int, origin: str) -> NotProven:
    return does_not_fit(f"The link that is kept for entry {index} of {origin} is not the one it commits to.")


def _no_opening(index: int, origin: str) -> NotProven:
    return does_not_fit(f"The opening of entry {index} of {origin} is gone.")


@contextmanager
def _in_words(sentence: str) -> Iterator[None]:
    """Say ``sentence`` when a row is not there or cannot be read."""
    try:
        yield
    except Refusal:
        raise does_not_fit(sentence) from None
