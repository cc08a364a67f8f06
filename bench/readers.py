"""Openings a second by 64 readers at a time, beside one reader's, and what of the processors they took.

A reader opens a document of its own again and again, each time with a request, a receipt, the keeper and the ciphertext.
The readers are shared out over client processes (``bench.reader``), each with the profile of one practitioner. Where 64
readers are not five times as fast as one, the table says whether a core was full: the share of the clock during which
server and keeper, one process each, were at work, and the clients, which stand on the same processors here.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from bench.people import ROOT, enrolled, people, server_process
from crypto.secret_bytes import SecretBytes

SIZE: Final = 64 << 10
READERS: Final = (1, 64)
PROCESSES: Final = 4
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """One row for each number of readers."""
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:
        folder = Path(name)
        with server_process(folder / "data") as card:
            profiles = asyncio.run(_prepare(folder, card))
            rows = [_measure(folder, profiles, readers, 3 if quick else 15) for readers in READERS]
    return [row | {"times_one": row["a_second"] / rows[0]["a_second"]} for row in rows]


async def _prepare(folder: Path, card: Any) -> list[tuple[Path, bytes]]:
    """The profiles of some practitioners, each with a document for each of its readers, and their keys."""
    profiles = []
    async with people(folder, folder / "data", card) as both:
        documents = []
        for number in range(READERS[-1] // PROCESSES):
            source = folder / f"source-{number}"
            source.write_bytes(os.urandom(SIZE))
            documents.append((await both.patient.add(source)).doc)
        for number in range(PROCESSES):
            place, key = folder / f"reader-{number}", SecretBytes.random()
            async with await enrolled(place, folder / "data", card, key, f"demo:{number}") as practitioner:
                await both.patient.authorise(await practitioner.card(), documents)
                await practitioner.sync()
                await practitioner.listing()
            profiles.append((place, key.reveal()))
    return profiles


def _measure(folder: Path, profiles: list[tuple[Path, bytes]], readers: int, openings: int) -> Row:
    """``openings`` by each of ``readers``; alone, one makes as many more as tell something."""
    used = profiles[: min(readers, len(profiles))]
    each = openings if readers > 1 else openings * 10
    with ExitStack() as stack:
        clients = []
        for place, key in used:
            command = [sys.executable, "-m", "bench.reader", str(place), str(readers // len(used)), str(each)]
            client = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(client)
            stack.callback(client.kill)
            _tell(client, key.hex())
            clients.append(client)
        for client in clients:
            _heard(client)  # it is ready
        before = _processor_time(folder)
        for client in clients:
            _tell(client, "go")
        reports = [_heard(client) for client in clients]
        after = _processor_time(folder)
    wall = max(report["seconds"] for report in reports)
    return {
        "readers": readers,
        "processes": len(used),
        "a_second": readers * each / wall,
        "server_share": (after["server"] - before["server"]) / wall,
        "keeper_share": (after["keeper"] - before["keeper"]) / wall,
        "clients_share": sum(report["processor"] for report in reports) / wall,
        "cores": os.cpu_count(),
    }


def _tell(client: "subprocess.Popen[str]", line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(f"{line}\n")
    client.stdin.flush()


def _heard(client: "subprocess.Popen[str]") -> Row:
    assert client.stdout is not None
    line = client.stdout.readline()
    if not line:
        raise SystemExit("A reader ended before it was through.")
    report: Row = json.loads(line)
    return report


def _processor_time(folder: Path) -> dict[str, float]:
    """Seconds of processor time by the server and the keeper whose data lie in ``folder``."""
    found = {"server": 0.0, "keeper": 0.0}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            fields = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:  # it ended just now
            continue
        if any(word.startswith(str(folder)) for word in words):
            for module, who in (("vault_server", "server"), ("vault_server.keeper", "keeper")):
                if module in words:
                    found[who] += (int(fields[11]) + int(fields[12])) / _TICKS
    return found
