"""Many small files added to a record by one process over HTTP, beside writing and syncing as many copies of them.

Each is encrypted, sent, signed as a link of its own, logged, cosigned and proved before the next begins: a real server
and a real keeper, each its own process. The copies are what a folder on this disk would take that survives a power cut
after each file. In the end as many documents are in the record, and some are opened and compared.
"""

import asyncio
import os
import random
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.one_file import peak_kib
from bench.people import people, served_folder

SIZE: Final = 4096
COMPARED: Final = 10

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """One row."""
    with served_folder() as (folder, card):
        return asyncio.run(_measure(folder, card, 100 if quick else 1000))


async def _measure(folder: Path, card: Any, count: int) -> list[Row]:
    sources, copies = folder / "sources", folder / "copies"
    sources.mkdir()
    copies.mkdir()
    files = [sources / f"{number}.bin" for number in range(count)]
    for file in files:
        file.write_bytes(os.urandom(SIZE))
    async with people(folder, folder / "data", card) as both:
        docs, each = [], []
        before, begun = peak_kib(), time.perf_counter()
        for file in files:
            at = time.perf_counter()
            docs.append((await both.patient.add(file)).doc)
            each.append(time.perf_counter() - at)
        taken, above = time.perf_counter() - begun, (peak_kib() - before) / 1024
        if len(both.patient.documents()) != count:
            raise SystemExit("Documents are missing in the record.")
        for number in random.sample(range(count), COMPARED):
            opened = folder / "opened"
            await both.patient.get(docs[number], opened)
            if opened.read_bytes() != files[number].read_bytes():
                raise SystemExit("A document did not come back.")
            opened.unlink()
    begun = time.perf_counter()
    for file in files:
        with (copies / file.name).open("wb") as copy:
            copy.write(file.read_bytes())
            copy.flush()
            os.fsync(copy.fileno())
    copied = time.perf_counter() - begun
    return [
        {
            "files": count,
            "bytes": SIZE,
            "added_s": taken,
            "median_s": median(each),
            "last_tenth_s": median(each[-count // 10 :]),
            "above_start_mib": above,
            "copied_s": copied,
            "times_copied": taken / copied,
        }
    ]
