"""How long every command takes to start, and how much memory, beside a Python that does nothing.

Each command is a fresh process that shows its help, and ``coffre patient list`` one that opens a profile and asks a real
server. Commands come in shuffled order, a round at a time. They are started by a small process, since what ``wait4``
tells of a child's memory includes that of whoever started it.
"""

import json
import os
import random
import secrets
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.people import ROOT, served_folder
from vault_client.commands import parser as client_parser
from vault_server.__main__ import _parser as server_parser
from vault_server.keeper.__main__ import _parser as keeper_parser

NOTHING: Final = "python -c pass"
LIST: Final = "coffre patient list"
STARTER: Final = """
import json, os, sys, time
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
begun = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent), 0)
seconds = time.perf_counter() - begun
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""

Row = dict[str, Any]
Costs = dict[str, list[tuple[float, float, float]]]


def run(quick: bool) -> list[Row]:
    """One row for each command."""
    coffre = str(Path(sys.executable).with_name("coffre"))
    commands = {" ".join(words): [coffre, *words[1:], "--help"] for words in _all_words()}
    commands[NOTHING] = [sys.executable, "-c", "pass"]
    with served_folder() as (folder, card):
        (folder / "passphrase").write_text(secrets.token_hex(16))
        home = ["--home", str(folder / "patient"), "--passphrase-fd", "0"]
        enrol = [coffre, "patient", "enrol", "--server", card.url, "--kit", str(folder / "kit"), *home]
        _started(enrol, folder / "passphrase")
        commands[LIST] = [coffre, "patient", "list", *home]
        return _measure(commands, folder / "passphrase", 1 if quick else 7)


def _measure(commands: dict[str, list[str]], typed: Path, rounds: int) -> list[Row]:
    costs: Costs = defaultdict(list)
    for turn in range(rounds + 1):
        for name in random.sample(list(commands), len(commands)):
            cost = _started(commands[name], typed)
            if turn:  # the first also warms the caches
                costs[name].append(cost)
    wall, cpu, memory = (
        {name: median(row[at] for row in rows) for name, rows in costs.items()} for at in range(3)
    )
    return [
        {
            "command": name if name in (NOTHING, LIST) else f"{name} --help",
            "rounds": rounds,
            "wall_s": wall[name],
            "cpu_s": cpu[name],
            "peak_rss_mib": memory[name] / 1024,
            "times_python": wall[name] / wall[NOTHING],
        }
        for name in commands
    ]


def _started(command: list[str], typed: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor, and KiB of a process that is given ``typed``."""
    with typed.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", STARTER, *command],
            stdin=file, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=True,
        )  # fmt: skip
    code, wall, cpu, memory = json.loads(done.stdout)
    if code:
        raise SystemExit(f"{command} ended with {code}: {done.stderr}")
    return wall, cpu, memory


def _all_words() -> Iterator[tuple[str, ...]]:
    """The words of every command, the empty one of the top among them."""
    yield ("coffre",)
    found = [*_words(client_parser(), ("coffre",)), *_words(server_parser(), ("coffre",))]
    found += _words(keeper_parser(), ("coffre", "keeper"))
    yield from dict.fromkeys(found)


def _words(parser: ArgumentParser, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for name, below in action.choices.items():
                yield (*before, name)
                yield from _words(below, (*before, name))
