"""An instance that is killed while it is founded, again and again, and must be founded all the same."""

import json
import random
import time
from pathlib import Path

from tests.crash.programs import Program
from tests.crash.service import free_ports

# A bound against waiting for ever, far above what a busy machine takes.
START_SECONDS = 240
# A founding takes about this long; kills come before, within and after it.
FOUNDING = 2.0


def found_under_fire(folder: Path, seed: int, kills: int) -> list[str]:
    """What does not hold after ``kills`` kills of one first start: it must come to an end, and stop as told."""
    chosen = random.Random(seed)
    (port,) = free_ports(1)
    words = ["vault_server", "serve", "--data", str(folder / "data"), "--port", str(port)]
    server = Program([*words, "--public-host", "vault.example", "--json"], folder / "serve.log")
    for _ in range(kills):
        server.start()
        time.sleep(chosen.random() * FOUNDING)
        server.kill()
    server.output.unlink(missing_ok=True)  # what a run said that is no more
    server.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(server.output):
            if server.ended is not None or time.monotonic() > deadline:
                return [f"it was not founded, and ended with {server.ended}: {server.where()}"]
            time.sleep(0.05)
        code = server.stop()
        return [f"it ended with {code}: {server.last_words()}"] if code else []
    finally:
        server.kill()


def _is_ready(output: Path) -> bool:
    """Whether it said that it is ready."""
    lines = output.read_text().splitlines()
    return any(json.loads(line).get("ready") for line in lines if line.startswith("{"))
