"""Fifty documents opened under one request, beside one document, and beside fetching and decrypting the same fifty.

All over HTTP on loopback, against a real server and keeper. What fifty cost beyond one should be their bytes and not fifty
requests: the third way, the owner's, fetches and decrypts as many at a time without a log or a keeper, and is taken off.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.bare import fetch_and_decrypt
from bench.people import people, served_folder
from vault_client.reading import AT_ONCE

SIZE: Final = 64 << 10
MANY: Final = 50
WARM_UP: Final = 2

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """One row: the medians of shuffled rounds. Keepers release 2,048 documents of a grant an hour, which bounds them."""
    with served_folder() as (folder, card):
        return [asyncio.run(_measure(folder, card, 5 if quick else 20))]


async def _measure(folder: Path, card: Any, rounds: int) -> Row:
    out = folder / "out"
    out.mkdir()
    contents: dict[bytes, bytes] = {}
    async with people(folder, folder / "data", card) as both:
        patient, practitioner = both.patient, both.practitioner
        for number in range(MANY):
            source = folder / f"source-{number}"
            source.write_bytes(os.urandom(SIZE))
            contents[(await patient.add(source)).doc] = source.read_bytes()
        await patient.authorise(await practitioner.card(), list(contents))
        await practitioner.sync()
        granted = [(each, out / each.document.doc.hex()) for each in await practitioner.listing()]

        async def many() -> None:
            if await practitioner.read_all(granted):
                raise SystemExit("A document was kept back.")

        async def one() -> None:
            await practitioner.read(*granted[0])

        async def fetched() -> None:
            room = asyncio.Semaphore(AT_ONCE)

            async def fetch(doc: bytes, destination: Path) -> None:
                async with room:
                    await fetch_and_decrypt(patient, doc, destination)

            await asyncio.gather(*[fetch(each.document.doc, destination) for each, destination in granted])

        ways: dict[str, Callable[[], Awaitable[None]]] = {"many": many, "one": one, "fetched": fetched}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(-WARM_UP, rounds):
            for name in random.sample(list(ways), len(ways)):
                begun = time.perf_counter()
                await ways[name]()
                if turn >= 0:
                    times[name].append(time.perf_counter() - begun)
                for path in out.iterdir():
                    if path.read_bytes() != contents[bytes.fromhex(path.name)]:
                        raise SystemExit("A document did not come back.")
                    path.unlink()
    found = {name: median(taken) for name, taken in times.items()}
    return {
        "documents": MANY,
        "bytes": SIZE,
        "rounds": rounds,
        "many_s": found["many"],
        "one_s": found["one"],
        "fetched_s": found["fetched"],
        "times_one": found["many"] / found["one"],
        "times_one_beyond_bytes": max(0.0, found["many"] - found["fetched"]) / found["one"],
    }
