"""Checking a server's logs from outside, with no account and no keys: what any third person can do.

For each log: its head is signed, cosigned by a quorum of keepers and fresh; the leaves served hash to that head's root;
every tile that proofs are made from holds just the hashes of those leaves; and the log goes on from that head.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from crypto import trust_root
from crypto.access_log import LEAF
from crypto.errors import NotFound, NotProven
from crypto.merkle import Frontier, leaf_hash, root_of
from crypto.tiles import WIDTH, Tile, decode_tile, tile_path
from crypto.trust_root import InstanceCard, TrustRoot
from crypto.wire.messages import TrustRootQuery
from crypto.wire.vault_api import VaultApi
from vault_client import trust
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.log_reader import LogReader
from vault_client.progress import Progress
from vault_client.trust import BelievedHead
from vault_client.version import VERSION


@dataclass(frozen=True)
class PublicLog:
    """A log that was found whole. ``time``: of the newest cosignature on its head."""

    origin: str
    size: int
    root: bytes
    time: int


@dataclass(frozen=True)
class PublicLogs:
    """Every log of a service, and the trust root they were judged by."""

    trust_root: TrustRoot
    logs: tuple[PublicLog, ...]


async def verify_logs(
    url: str,
    card: InstanceCard | None = None,
    *,
    clock: Callable[[], int] = lambda: int(time.time()),
    progress: Progress | None = None,
) -> PublicLogs:
    """Check the directory and every access log of the server at ``url``; ``card`` pins who it is.

    Raises NotPermitted when the trust root is not the card's, NotProven, BadSignature or Stale when a log does not
    hold, Unreachable when nobody answers.
    """
    async with HttpTransport(url) as transport:
        api = HttpVault(transport)
        root = await _trust_root(api, card, clock())
        logs = [await _verify(api, root, root.directory_origin, clock, progress)]
        shard = 0
        while True:
            origin = root.log_origin(shard)
            try:
                logs.append(await _verify(api, root, origin, clock, progress))
            except NotFound:
                return PublicLogs(trust_root=root, logs=tuple(logs))
            shard += 1


async def _trust_root(api: VaultApi, card: InstanceCard | None, now: int) -> TrustRoot:
    chain = (await api.trust_roots(TrustRootQuery(since=0))).chain
    if not chain:
        raise NotProven("The server shows no trust root. No log was checked.")
    first = trust_root.first(chain[0], card=card.root if card is not None else None)
    accepted = trust_root.advance(first, chain[1:])
    trust_root.check_expiry(accepted, now)
    trust_root.check_client(accepted, VERSION)
    return accepted.root


async def _verify(
    api: VaultApi, root: TrustRoot, origin: str, clock: Callable[[], int], progress: Progress | None
) -> PublicLog:
    head = trust.believe_note(root, origin, await api.checkpoint(origin), clock())
    await _check_tiles(api, head, progress)
    later = trust.believe_note(root, origin, await api.checkpoint(origin), clock())
    path = await LogReader(api).consistency(origin, head.head.size, later.head.size)
    trust.advance(head, later, path)
    return PublicLog(origin=origin, size=head.head.size, root=head.head.root, time=head.time)


async def _check_tiles(api: VaultApi, believed: BelievedHead, progress: Progress | None) -> None:
    """The leaves give the root, and each tile is the hashes that the leaves give."""
    reader, size, frontier = LogReader(api), believed.head.size, Frontier()
    below: list[bytes] = []
    for start in range(0, size, WIDTH):
        leaves = await reader.leaves(believed.origin, start, min(start + WIDTH, size))
        row = [leaf_hash(leaves[at : at + LEAF]) for at in range(0, len(leaves), LEAF)]
        await _check_tile(api, believed.origin, Tile(0, start // WIDTH, len(row)), row)
        for each in row:
            frontier.append(each)
        below += [root_of(row)] if len(row) == WIDTH else []
        if progress is not None:
            progress(frontier.size, size)
    if frontier.root() != believed.head.root:
        raise NotProven(
            f"The entries of {believed.origin} are not those that were signed. Keep what you have, and ask why."
        )
    level = 1
    while below:
        rows = [below[start : start + WIDTH] for start in range(0, len(below), WIDTH)]
        for n, row in enumerate(rows):
            await _check_tile(api, believed.origin, Tile(level, n, len(row)), row)
        below = [root_of(row) for row in rows if len(row) == WIDTH]
        level += 1


async def _check_tile(api: VaultApi, origin: str, tile: Tile, row: list[bytes]) -> None:
    if decode_tile(await api.tile(origin, tile_path(tile)), tile.width) != row:
        raise NotProven(
            f"A tile of {origin} holds other hashes than its entries give. Proofs made from it were not believed."
        )
