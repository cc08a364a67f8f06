"""``python -m tests.wire.soak [--minutes M] [--readers N]``: readers at work without a pause, and the memory of both programs.

Each reader signs a request, has it logged, verifies the proof, takes the ciphertext, and shows its keys to the keeper.
The memory of server and keeper is sampled; to the second half of the time, when what they remember of late is full, a
line is fitted. Ends with 1 where that line rises by more than it may.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from crypto import labels
from crypto.encoding import decode
from crypto.wire import messages as m
from crypto.wire.keeper_api import IdentityHead, IdentityHeadQuery
from tests.contract.grant_story import Granting
from tests.contract.record_story import Record, Stored, everything, founded
from tests.contract.vault_story import World
from tests.crash.programs import Program
from tests.crash.service import Service
from tests.wire.live import live
from vault_client.http_keeper import HttpKeeper
from vault_client.http_transport import HttpTransport

SAMPLES: Final = 60
# MiB by which that line may rise from its first sample to its last.
FLAT: Final = 4.0


class Sample(NamedTuple):
    """What was measured at ``minute``; memory in MiB."""

    minute: float
    server: float
    keeper: float


class Reader:
    """Somebody who reads the same documents over and over."""

    def __init__(self, granting: Granting, documents: Sequence[Stored], keeper: HttpKeeper) -> None:
        self._granting, self._documents, self._keeper = granting, documents, keeper
        self.readings = 0

    async def read_for_ever(self) -> None:
        """Read without a pause. Raises whatever goes wrong."""
        while True:
            stored = self._documents[self.readings % len(self._documents)]
            await self._read(stored)
            self.readings += 1

    async def _read(self, stored: Stored) -> None:
        granting = self._granting
        envelope = await granting.request(stored)
        api = await granting.recipient.api()
        answer = await api.open(m.OpenRequest(request=envelope))
        granting.world.check(answer.logged, envelope, granting.record.origin)
        query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=stored.ver, start=0)
        if await everything(api, query) != stored.data:
            raise RuntimeError("what was read is not what was stored")
        chain = granting.recipient.chain
        shown = (await self._keeper.identity_head(IdentityHeadQuery(chain=chain))).envelope
        if shown.type != labels.IDHEAD or decode(shown.body, IdentityHead).identity != chain.identity:
            raise RuntimeError("the keeper speaks of somebody else")


def memory(program: Program) -> float:
    """The MiB that a program has in memory."""
    if program.process is None or program.ended is not None:
        raise RuntimeError(f"It ended: {program.last_words()}")
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def rise(samples: Sequence[tuple[float, float]]) -> float:
    """By how many MiB the line fitted to (minute, MiB) rises from the first sample to the last."""
    middle = sum(minute for minute, _ in samples) / len(samples)
    level = sum(size for _, size in samples) / len(samples)
    spread = sum((minute - middle) ** 2 for minute, _ in samples)
    slope = sum((minute - middle) * (size - level) for minute, size in samples) / spread
    return slope * (samples[-1][0] - samples[0][0])


async def _readers(
    record: Record, count: int, documents: Sequence[Stored], keeper: HttpKeeper
) -> list[Reader]:
    found = []
    for _ in range(count):
        granting = Granting(record, await record.world.person(certified=True))
        await granting.grant(*documents)
        found.append(Reader(granting, documents, keeper))
    return found


async def soak(service: Service, readers: int, minutes: float) -> tuple[int, list[Sample]]:
    """Readings made, and the memory meanwhile."""
    async with live(service.instance) as running:
        world = World(running)
        keeper = running.root.root.live_keepers[0]
        async with HttpTransport(keeper.url) as transport:
            record, documents = await founded(world), [Stored.random(size) for size in (20_000, 200_000)]
            await record.add(*documents)
            everybody = await _readers(record, readers, documents, HttpKeeper(transport))
            print(f"{readers} readers begin", flush=True)
            at_work = [asyncio.create_task(each.read_for_ever()) for each in everybody]
            try:
                samples = await _watch(service, everybody, at_work, minutes)
            finally:
                for task in at_work:
                    task.cancel()
                await asyncio.gather(*at_work, return_exceptions=True)
    return sum(each.readings for each in everybody), samples


async def _watch(
    service: Service, everybody: Sequence[Reader], at_work: Sequence[asyncio.Task[None]], minutes: float
) -> list[Sample]:
    samples, begun = [], time.monotonic()
    for _ in range(SAMPLES):
        done, _ = await asyncio.wait(
            at_work, timeout=minutes * 60 / SAMPLES, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()
        minute = (time.monotonic() - begun) / 60
        samples.append(Sample(minute, memory(service.server), memory(service.keeper)))
        readings = sum(each.readings for each in everybody)
        print(
            f"{minute:6.2f} min {readings:8} readings   server {samples[-1].server:7.1f} MiB   "
            f"keeper {samples[-1].keeper:7.1f} MiB",
            flush=True,
        )
    return samples


def main() -> int:
    """Soak, and say how the memory went."""
    parser = argparse.ArgumentParser(prog="python -m tests.wire.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--readers", type=int, default=64, help="how many at once (64)")
    options = parser.parse_args()
    if sys.platform != "linux":
        print("The memory of another program can be read on Linux only. Nothing was done.")
        return 2
    with tempfile.TemporaryDirectory(prefix="coffre-soak-") as folder:
        (words := Path(folder) / "words").mkdir()
        service = Service(Path(folder) / "data", words, {})
        try:
            service.found()
            readings, samples = asyncio.run(soak(service, options.readers, options.minutes))
        finally:
            service.server.stop()
            service.keeper.stop()
    settled = samples[len(samples) // 2 :]
    span = settled[-1].minute - settled[0].minute
    rises = {
        "server": rise([(each.minute, each.server) for each in settled]),
        "keeper": rise([(each.minute, each.keeper) for each in settled]),
    }
    for name, most in rises.items():
        verdict = "flat" if most <= FLAT else "it rises"
        print(
            f"{name}: {most:+.1f} MiB in the last {span:.1f} minutes ({60 * most / span:+.1f} an hour): {verdict}"
        )
    print(f"{readings} readings by {options.readers} readers in {options.minutes:g} minutes")
    return int(max(rises.values()) > FLAT)


if __name__ == "__main__":
    sys.exit(main())
