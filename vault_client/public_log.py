"""Checking a server's logs from outside, with no account and no keys: what any third person can do.

For each log: its head is signed, cosigned by a quorum of keepers and fresh; the leaves served hash to that head's root;
every tile that proofs are made from holds just the hashes of those leaves; and the log goes on from that head, as it does
from the head that an earlier check kept. Keepers are asked whether there is a log that the server does not show.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from crypto import trust_root, trust_root_chain
from crypto.access_log import LEAF, parse_leaf
from crypto.errors import NotFound, NotProven
from crypto.merkle import EMPTY_ROOT, Frontier, leaf_hash, root_of
from crypto.tiles import WIDTH, Tile, decode_tile, tile_path, tiles_above
from crypto.trust_root import InstanceCard, TrustRoot
from crypto.wire.keeper_api import KeeperApi
from crypto.wire.messages import TrustRootQuery
from crypto.wire.vault_api import VaultApi
from vault_client import trust
from vault_client.hidden_logs import no_keeper_knows
from vault_client.http_keeper import HttpKeeper
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.kept_heads import KeptHeads
from vault_client.log_beginning import believed_beginning
from vault_client.log_reader import LogReader
from vault_client.progress import Progress
from vault_client.trust import BelievedHead


@dataclass(frozen=True)
class PublicLog:
    """A log that was found whole. ``time``: of the newest cosignature on its head.

    ``begins``: the first entry that is there; those before it are over three years old and gone.
    ``note``: that head as it was shown. ``continues``: the size of the head kept earlier. ``seconds``: how long it took.
    """

    origin: str
    begins: int
    size: int
    root: bytes
    time: int
    note: bytes
    continues: int | None
    seconds: float


@dataclass(frozen=True)
class PublicLogs:
    """Every log of a service, the trust root they were judged by, and how many keepers know of no other log."""

    trust_root: TrustRoot
    logs: tuple[PublicLog, ...]
    keepers: int


async def verify_logs(
    url: str,
    card: InstanceCard | None = None,
    *,
    kept: KeptHeads | None = None,
    clock: Callable[[], int] = lambda: int(time.time()),
    progress: Progress | None = None,
) -> PublicLogs:
    """Check the directory and every access log of the server at ``url``; ``card`` pins who it is.

    Each must continue its head in ``kept``, whose place it takes once all were found whole. Raises NotPermitted when the
    trust root is not the card's, NotProven, BadSignature or Stale when a log does not hold, Unreachable when nobody answers.
    """
    async with AsyncExitStack() as stack:
        api = HttpVault(await stack.enter_async_context(HttpTransport(url)))
        root = await _trust_root(api, card, clock())
        keepers = {
            keeper.key_hash: HttpKeeper(await stack.enter_async_context(HttpTransport(keeper.url)))
            for keeper in root.live_keepers
        }
        return await verify_all(api, root, keepers, kept, clock, progress)


async def verify_all(
    api: VaultApi,
    root: TrustRoot,
    keepers: Mapping[bytes, KeeperApi],
    kept: KeptHeads | None,
    clock: Callable[[], int],
    progress: Progress | None = None,
) -> PublicLogs:
    """As ``verify_logs``, of a server whose trust root is believed."""
    check = _Check(api, root, kept, clock, progress)
    logs: list[PublicLog] = []
    while True:
        origin = root.log_origin(len(logs) - 1) if logs else root.directory_origin
        try:
            note = await api.checkpoint(origin)
        except NotFound:
            break
        logs.append(await check.log(origin, note))
    unknown = await no_keeper_knows(root, keepers, origin)
    if kept is not None:
        check.nothing_is_missing(logs)
        kept.keep({log.origin: log.note for log in logs})
    return PublicLogs(trust_root=root, logs=tuple(logs), keepers=unknown)


async def _trust_root(api: VaultApi, card: InstanceCard | None, now: int) -> TrustRoot:
    chain = (await api.trust_roots(TrustRootQuery(since=0))).chain
    if not chain:
        raise NotProven("The server shows no trust root. No log was checked.")
    first = trust_root_chain.first(chain[0], card=card.root if card is not None else None)
    accepted = trust_root_chain.advance(first, chain[1:])
    trust_root.check_expiry(accepted, now)
    trust.check_usable(accepted)
    return accepted.root


class _Check:
    """One walk over the logs of a server."""

    def __init__(
        self,
        api: VaultApi,
        root: TrustRoot,
        kept: KeptHeads | None,
        clock: Callable[[], int],
        progress: Progress | None,
    ) -> None:
        self._api, self._root, self._clock, self._progress = api, root, clock, progress
        self._folder = kept
        self._kept = {} if kept is None else kept.of(root)
        self._places: dict[bytes, int] = {}
        self._twice: list[tuple[int, int]] = []

    async def log(self, origin: str, note: bytes) -> PublicLog:
        """Check the log whose head the server shows by ``note``: to show a head and not what it is of is no answer."""
        try:
            return await self._whole(origin, note)
        except NotFound:
            raise NotProven(
                f"The server signed a head of the log {origin} and does not show what it is of. Keep what you have, and "
                "ask the operator why."
            ) from None

    async def _whole(self, origin: str, note: bytes) -> PublicLog:
        began, kept = time.monotonic(), self._kept.get(origin)
        believed = trust.believe_note(self._root, origin, note, self._clock())
        begins = await self._begins(believed)
        at_kept = await self._check_tiles(believed, begins, 0 if kept is None else kept.size)
        if self._folder is not None and kept is not None and at_kept != kept.root:
            raise self._folder.contradiction(kept, note)
        self._check_places(believed.origin, note)
        later = trust.believe_note(self._root, origin, await self._api.checkpoint(origin), self._clock())
        path = await LogReader(self._api).consistency(origin, believed.head.size, later.head.size)
        trust.advance(believed, later, path)
        return PublicLog(
            origin=origin,
            begins=begins,
            size=believed.head.size,
            root=believed.head.root,
            time=believed.time,
            note=note,
            continues=None if kept is None else kept.size,
            seconds=round(time.monotonic() - began, 3),
        )

    def _take_places(self, leaves: bytes, start: int) -> None:
        """Note the places in the directory that ``leaves`` from ``start`` on stand for, and which are taken twice.

        The first leaf of a place counts, for everybody; that there is a second is no accident.
        """
        for at in range(0, len(leaves), LEAF):
            leaf, index = parse_leaf(leaves[at : at + LEAF]), start + at // LEAF
            if leaf is not None and (first := self._places.setdefault(leaf.slot_one, index)) != index:
                self._twice.append((first, index))

    def _check_places(self, origin: str, note: bytes) -> None:
        """Raises NotProven when the head of ``note``, whose leaves these are, commits to two in one place of the directory."""
        if not self._twice:
            return
        first, second = self._twice[0]
        kept = "" if self._folder is None else f" {self._folder.keep_signed(origin, note)}"
        raise NotProven(
            f"DIR_FORK: the directory of people's keys has two entries, {first} and {second}, for one change of somebody's keys. "
            f"The first of them counts. The head that it signed commits to both, and is evidence: keep it.{kept}"
        )

    def nothing_is_missing(self, logs: Sequence[PublicLog]) -> None:
        """Raises NotProven when a log of which a head is kept was not shown."""
        for origin in sorted(self._kept.keys() - {log.origin for log in logs}):
            raise NotProven(
                f"The log {origin}, of which a head was verified earlier, is not shown any more. Keep what you have, and "
                "ask the operator why."
            )

    async def _begins(self, believed: BelievedHead) -> int:
        """The first entry that is there."""
        try:
            await LogReader(self._api).leaves(believed.origin, 0, min(WIDTH, believed.head.size))
        except NotFound:
            return await believed_beginning(self._api, self._root, believed)
        return 0

    async def _check_tiles(self, believed: BelievedHead, begins: int, prefix: int) -> bytes | None:
        """The leaves give the root, and each tile is the hashes that the leaves give; of those that are gone, the hashes do.

        Returns the root of the first ``prefix`` leaves; nothing when there are not so many.
        """
        api, reader, size, frontier = self._api, LogReader(self._api), believed.head.size, Frontier()
        below: list[bytes] = []
        at_prefix = EMPTY_ROOT if prefix == 0 else None
        for start in range(0, size, WIDTH):
            if start < begins:
                row = decode_tile(await api.tile(believed.origin, tile_path(Tile(0, start // WIDTH))), WIDTH)
            else:
                leaves = await reader.leaves(believed.origin, start, min(start + WIDTH, size))
                if believed.origin == self._root.directory_origin:
                    self._take_places(leaves, start)
                row = [leaf_hash(leaves[at : at + LEAF]) for at in range(0, len(leaves), LEAF)]
                await _check_tile(api, believed.origin, Tile(0, start // WIDTH, len(row)), row)
            for each in row:
                frontier.append(each)
                if frontier.size == prefix:
                    at_prefix = frontier.root()
            below += [root_of(row)] if len(row) == WIDTH else []
            if self._progress is not None:
                self._progress(frontier.size, size)
        if frontier.root() != believed.head.root:
            raise NotProven(
                f"The entries of {believed.origin} are not those that were signed. Keep what you have, and ask why."
            )
        for level, n, row in tiles_above(below):
            await _check_tile(api, believed.origin, Tile(level, n, len(row)), row)
        return at_prefix


async def _check_tile(api: VaultApi, origin: str, tile: Tile, row: list[bytes]) -> None:
    if decode_tile(await api.tile(origin, tile_path(tile)), tile.width) != row:
        raise NotProven(
            f"A tile of {origin} holds other hashes than its entries give. Proofs made from it were not believed."
        )
