"""Entries into the log: by the store alone, beside one synced write each, and by whole requests over HTTP.

The store alone is the server's own writer and log, with one job for each entry and so many clients that each wait for
theirs before the next; an entry counts once COMMIT has returned. A keeper in this process cosigns meanwhile. Beside it
the same bytes go to a file, each write followed by ``fdatasync``: what durability costs where nothing is done together.

Whole requests are signed access requests of a practitioner: checked, logged, cosigned by a real keeper, and answered
with their receipts, by a server in its own process. They are signed beforehand and sent by another process
(``bench.asking``), over as many connections as there are clients. So many as one account may send at once are sent, and then
its allowance is waited for.
"""

import asyncio
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import uvloop

from bench.people import ROOT, People, people, server_process
from crypto.access_log import LEAF, LEAF_VERSION
from crypto.checkpoint import CosignerKey, LogKey, cosign, open_checkpoint
from crypto.encoding import encode
from crypto.receipt import AddCheckpoint
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey
from crypto.wire.keeper_api import KeeperCard
from crypto.wire.messages import OpenRequest
from vault_client.http_vault import HttpVault
from vault_client.opening import Wanted
from vault_client.practitioner import TREATMENT
from vault_server import instance as instances
from vault_server.cosigning import Behind
from vault_server.keeper_cards import as_keeper
from vault_server.settings import Settings
from vault_server.store.database import Transaction
from vault_server.vault import Vault

CLIENTS: Final = (1, 16, 64)
# How many requests are sent; one account may send 2,000 at once, and so many a second in the long run.
COUNTS: Final = {1: 200, 16: 1000, 64: 1800}
ALLOWANCE: Final = Settings(data=Path()).limits.account.a_second

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """One row for each way and number of clients."""
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:
        folder = Path(name)
        rows = uvloop.run(_store(folder / "store", 0.5 if quick else 3, 3))
        with server_process(folder / "data") as card:
            return rows + asyncio.run(_requests(folder, card, 1 if quick else 3))


@dataclass
class _Cosigning:
    """A keeper in this process, that cosigns whatever goes on from the size it knows."""

    signing: SigningKey = field(default_factory=SigningKey.generate)
    sizes: dict[str, int] = field(default_factory=dict)
    logs: dict[str, LogKey] = field(default_factory=dict)

    @property
    def key(self) -> CosignerKey:
        return CosignerKey("keeper-1", self.signing.public)

    @property
    def card(self) -> KeeperCard:
        return KeeperCard(
            name="keeper-1",
            cosigning_key=self.signing.public.raw,
            sealing_key=UnsealingKey.generate().public,
            url="http://127.0.0.1:1",
            operator="a benchmark",
        )

    async def add_checkpoint(self, body: bytes) -> bytes:
        request = AddCheckpoint.decode(body)
        origin = request.note.partition(b"\n")[0].decode()
        head = open_checkpoint(request.note, self.logs[origin])
        if request.old != self.sizes.get(origin, 0):
            raise Behind(self.sizes.get(origin, 0))
        self.sizes[origin] = head.size
        return cosign(head, "keeper-1", self.signing, int(time.time()))


async def _store(folder: Path, seconds: float, rounds: int) -> list[Row]:
    settings, keeper = Settings(data=folder, cover_leaves_a_day=0), _Cosigning()
    instances.found(settings, [as_keeper(keeper.card)], 8765, int(time.time()))
    own = instances.load(settings, 8765, int(time.time()))
    shard = own.root.log_origin(0)
    for origin in (own.root.directory_origin, shard):
        keeper.logs[origin] = LogKey(origin, own.key_of(origin).public)
    vault = await Vault.start(settings, own, [keeper], time.time)
    try:
        await vault.open_logs()
        found: dict[int, list[_Rate]] = {clients: [] for clients in CLIENTS}
        synced: list[float] = []
        for _ in range(rounds):
            for clients in random.sample(CLIENTS, len(CLIENTS)):
                found[clients].append(await _appended(vault, shard, clients, seconds))
            synced.append(_synced(folder / "synced", seconds))
    finally:
        await vault.close()
    return [
        {
            "way": "the store alone",
            "clients": clients,
            "a_second": median(rate.of_time for rate in rates),
            "a_second_of_processor": median(rate.of_processor for rate in rates),
            "synced_a_second": median(synced),
            "times_synced": median(rate.of_time for rate in rates) / median(synced),
        }
        for clients, rates in found.items()
    ]


class _Rate(NamedTuple):
    """Entries a second, and for each second of a processor that this process had."""

    of_time: float
    of_processor: float


async def _appended(vault: Vault, origin: str, clients: int, seconds: float) -> _Rate:
    """Entries a second that so many clients made durable."""
    until, count = time.perf_counter() + seconds, 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            leaf = bytes([LEAF_VERSION]) + random.randbytes(LEAF - 1)

            async def job(transaction: Transaction) -> int:
                return vault.log.stage_bytes(transaction, origin, leaf)  # noqa: B023

            await vault.writer.run(job)
            count += 1

    before, begun, worked = vault.log._logs[origin].durable.size, time.perf_counter(), time.process_time()
    await asyncio.gather(*[client() for _ in range(clients)])
    taken, worked = time.perf_counter() - begun, time.process_time() - worked
    if vault.log._logs[origin].durable.size != before + count:
        raise SystemExit("Entries were lost.")
    return _Rate(count / taken, count / worked)


def _synced(path: Path, seconds: float) -> float:
    """Writes of an entry's size a second, each synced by itself."""
    count, begun = 0, time.perf_counter()
    with path.open("wb", buffering=0) as file:
        while time.perf_counter() < begun + seconds:
            file.write(secrets.token_bytes(LEAF))
            os.fdatasync(file.fileno())
            count += 1
    return count / (time.perf_counter() - begun)


async def _requests(folder: Path, card: Any, rounds: int) -> list[Row]:
    source = folder / "source"
    source.write_bytes(os.urandom(4096))
    async with people(folder, folder / "data", card) as both:
        document = await both.patient.add(source)
        await both.authorise(document.doc)
        found: dict[int, list[Row]] = {clients: [] for clients in CLIENTS}
        for _ in range(rounds):
            for clients in random.sample(CLIENTS, len(CLIENTS)):
                asked = await _signed(both, document.doc, COUNTS[clients])
                before = await _size(both)
                found[clients].append(await asyncio.to_thread(_ask, folder, card.url, clients, asked))
                if await _size(both) != before + len(asked.bodies):
                    raise SystemExit("There is not one entry for each request.")
                await asyncio.sleep(COUNTS[clients] / ALLOWANCE)
    return [
        {
            "way": "whole requests",
            "clients": clients,
            "a_second": median(row["a_second"] for row in said),
            "median_s": median(row["median_s"] for row in said),
            "worst_s": max(row["worst_s"] for row in said),
        }
        for clients, said in found.items()
    ]


class _Asked(NamedTuple):
    """Requests that were signed, and the header of the session in which they are sent."""

    bodies: list[bytes]
    authorization: str


async def _signed(both: People, doc: bytes, count: int) -> _Asked:
    practitioner = both.practitioner
    (grant,) = practitioner.grants.all()
    row = practitioner.grants.row(grant.gid, doc)
    wanted = [Wanted(doc=row.doc, ver=row.ver, ct_root=row.ct_root, wrap=row.wrap)]
    envelopes = [await practitioner._opener.sign(grant, wanted, "release", TREATMENT) for _ in range(count)]
    api = practitioner.service.api
    assert isinstance(api, HttpVault)
    token = (await api.log_in()).token
    return _Asked([encode(OpenRequest(request=each)) for each in envelopes], f"Bearer {token}")


async def _size(both: People) -> int:
    return (await both.patient.service.refresh(both.patient.replica.origin)).head.size


def _ask(folder: Path, url: str, clients: int, asked: _Asked) -> Row:
    (folder / "asked").write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in asked.bodies))
    command = [sys.executable, "-m", "bench.asking", url, str(folder / "asked"), str(clients)]
    done = subprocess.run(
        command, check=True, capture_output=True, cwd=ROOT, input=asked.authorization.encode()
    )
    row: Row = json.loads(done.stdout)
    return row
