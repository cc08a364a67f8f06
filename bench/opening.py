"""One whole opening of 1 MiB over HTTP on loopback, beside fetching and decrypting the same ciphertext.

The opening signs a request, has it logged and cosigned, asks the keepers, fetches, verifies and decrypts: a real server
and real keepers, each its own process; one keeper beside the server, and four of which three must sign. The other way is
the same client code fetching the same ciphertext from the same server and decrypting it with a key it has, as the owner
does: no log, no keeper. Both end with a file on disk, which is compared with what was added.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.bare import fetch_and_decrypt
from bench.people import people
from tests.support.instance import Instance, running

SIZE: Final = 1 << 20
WARM_UP: Final = 5
POLICIES: Final = {"1/1": 1, "3/4": 4}

Row = dict[str, Any]
Ways = dict[str, Callable[[], Awaitable[Any]]]


def run(quick: bool) -> list[Row]:
    """One row for each policy: the medians of shuffled pairs, and how many fetches an opening takes."""
    rows = []
    for policy, keepers in POLICIES.items():
        with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:
            folder = Path(name)
            with running(folder / "data", keepers=keepers) as instance:
                rows.append(
                    {"keepers": policy} | asyncio.run(_measure(folder, instance, 30 if quick else 100))
                )
    return rows


async def _measure(folder: Path, instance: Instance, pairs: int) -> Row:
    source, opened = folder / "source", folder / "opened"
    source.write_bytes(os.urandom(SIZE))
    async with people(folder, instance.data, instance.card) as both:
        document = await both.patient.add(source)
        granted = await both.authorise(document.doc)
        ways: Ways = {
            "opening": lambda: both.practitioner.read(granted, opened),
            "fetch": lambda: fetch_and_decrypt(both.patient, document.doc, opened),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(-WARM_UP, pairs):
            for name in random.sample(list(ways), len(ways)):
                begun = time.perf_counter()
                await ways[name]()
                if turn >= 0:
                    times[name].append(time.perf_counter() - begun)
                if opened.read_bytes() != source.read_bytes():
                    raise SystemExit("A document did not come back.")
                opened.unlink()
    opening, fetched = median(times["opening"]), median(times["fetch"])
    return {
        "bytes": SIZE,
        "pairs": pairs,
        "opening_s": opening,
        "fetch_and_decrypt_s": fetched,
        "times_a_fetch": opening / fetched,
    }
