"""What a person at work tried and what was acknowledged: one line each, on disk before anything else is done.

A file and not a pipe: a pipe that nobody empties would stop the load, and the test would pass for nothing.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What was done, or kept on the device to be done; every other line is an attempt, or a problem.
ACKNOWLEDGED = ("added", "deleted", "authorised", "extended", "revoked", "got", "read", "queued")


class Ledger:
    """The lines of one person, over all the processes they ran."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **what: Any) -> None:
        """Add one line, with the time on the clock that all processes share; it is on disk when this returns."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps({"event": event, "at": time.monotonic(), **what}).encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, *events: str) -> Iterator[dict[str, Any]]:
        """The lines of these events, oldest first."""
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                said = json.loads(line)
                if said["event"] in events:
                    yield said

    def length(self) -> int:
        """How many lines there are."""
        return len(self._path.read_bytes().splitlines()) if self._path.exists() else 0

    def acknowledged(self) -> int:
        """How many lines say that something was done."""
        return sum(1 for _ in self.read(*ACKNOWLEDGED))
