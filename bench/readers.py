"""Openings a second by 64 readers at a time, beside one reader's, and what of the processors they took.

A reader opens a document of its own again and again, each time with a request, a receipt, the keeper and the ciphertext.
The readers are shared out over client processes (``bench.reader``), each with the profile of one practitioner, and stand
on the same processors as server and keeper. All that is counted lies between two moments at which every reader is at
work. Where 64 readers are not five times as fast as one, the figures say what was full: the first thread of the server or
of the keeper, or every core of the machine, and of the latter how much of it this bench took.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from bench.at_work import AtWork
from bench.people import ROOT, enrolled, people, served_folder
from crypto.secret_bytes import SecretBytes

SIZE: Final = 64 << 10
READERS: Final = (1, 64)
PROCESSES: Final = 4
WARMING: Final = 1.0

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """One row for each number of readers: the run of median speed, of several in turns."""
    with served_folder() as (folder, card):
        profiles = asyncio.run(_prepare(folder, card))
        found: dict[int, list[Row]] = {readers: [] for readers in READERS}
        for _ in range(1 if quick else 3):
            for readers in random.sample(READERS, len(READERS)):
                found[readers].append(_measure(folder, profiles, readers, 4 if quick else 7))
    rows = [sorted(each, key=lambda row: row["a_second"])[len(each) // 2] for each in found.values()]
    return [row | {"times_one": row["a_second"] / rows[0]["a_second"]} for row in rows]


async def _prepare(folder: Path, card: Any) -> list[tuple[Path, bytes]]:
    """The profiles of some practitioners, each with a document for each of its readers, and their keys.

    The first is for one reader alone: keepers open 2,048 documents of a grant an hour, and all runs are within one.
    """
    profiles = []
    async with people(folder, folder / "data", card) as both:
        documents = []
        for number in range(READERS[-1] // PROCESSES):
            source = folder / f"source-{number}"
            source.write_bytes(os.urandom(SIZE))
            documents.append((await both.patient.add(source)).doc)
        for number in range(1 + PROCESSES):
            place, key = folder / f"reader-{number}", SecretBytes.random()
            async with await enrolled(place, folder / "data", card, key, f"demo:{number}") as practitioner:
                await both.patient.authorise(await practitioner.card(), documents)
                await practitioner.sync()
                await practitioner.listing()
            profiles.append((place, key.reveal()))
    return profiles


def _measure(folder: Path, profiles: list[tuple[Path, bytes]], readers: int, seconds: float) -> Row:
    """What so many readers opened within ``seconds``."""
    used = profiles[:1] if readers == 1 else profiles[1:]
    with ExitStack() as stack:
        clients = []
        for place, key in used:
            command = [sys.executable, "-m", "bench.reader", str(place), str(readers // len(used))]
            client = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(client)
            stack.callback(client.kill)
            _tell(client, key.hex())
            clients.append(client)
        for client in clients:
            _heard(client)  # it is ready
        numbers = _servers(folder) | {f"client {place}": each.pid for place, each in enumerate(clients)}
        for client in clients:
            _tell(client, "go")
        time.sleep(WARMING)
        before = AtWork.now(numbers)
        time.sleep(seconds)
        after = AtWork.now(numbers)
        for client in clients:
            _tell(client, "enough")
        moments = [moment for client in clients for moment in _heard(client)]
    return {"readers": readers, "processes": len(used)} | _row(before, after, moments)


def _row(before: AtWork, after: AtWork, moments: Sequence[float]) -> Row:
    """What was opened and done between two moments, as shares of a core unless named otherwise."""
    wall = after.time - before.time
    opened = sum(before.time <= moment < after.time for moment in moments)
    whole = {name: (after.processes[name].process - each.process) for name, each in before.processes.items()}
    first = {
        name: (after.processes[name].first_thread - each.first_thread)
        for name, each in before.processes.items()
    }
    clients = [seconds for name, seconds in whole.items() if name.startswith("client")]
    cores = [
        tuple(now - then for now, then in zip(later, earlier, strict=True))
        for later, earlier in zip(after.cores, before.cores, strict=True)
    ]
    granted = sum(busy + idle for busy, _, idle in cores)
    return {
        "a_second": opened / wall,
        "server_s": whole["server"] / opened,
        "keeper_s": whole["keeper"] / opened,
        "client_s": sum(clients) / opened,
        "server_share": whole["server"] / wall,
        "server_first_share": first["server"] / wall,
        "keeper_share": whole["keeper"] / wall,
        "keeper_first_share": first["keeper"] / wall,
        "clients_share": sum(clients) / wall,
        "busiest_client_share": max(clients) / wall,
        "core_shares": [1 - idle / (busy + stolen + idle) for busy, stolen, idle in cores],
        "own_share": sum(whole.values()) / granted,
        "stolen_share": sum(stolen for _, stolen, _ in cores) / wall / len(cores),
    }


def _tell(client: "subprocess.Popen[str]", line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(f"{line}\n")
    client.stdin.flush()


def _heard(client: "subprocess.Popen[str]") -> Any:
    assert client.stdout is not None
    line = client.stdout.readline()
    if not line:
        raise SystemExit("A reader ended before it was through.")
    return json.loads(line)


def _servers(folder: Path) -> dict[str, int]:
    """The numbers of the server and the keeper whose data lie in ``folder``."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended just now
            continue
        if any(word.startswith(str(folder)) for word in words):
            for module, who in (("vault_server", "server"), ("vault_server.keeper", "keeper")):
                if module in words:
                    found[who] = int(process.name)
    return found
