"""What a person at work tried and what was acknowledged: one line each, on disk before anything else is done.

A file and not a pipe: a pipe that nobody empties would stop the load, and the test would pass for nothing.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What was done; every other line is an attempt, or a problem.
ACKNOWLEDGED = ("added", "deleted", "authorised", "extended", "revoked", "got", "read")


class Ledger:
    """The lines of one person, over all the processes they ran."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **what: Any) -> None:
        """Add one line; it is on disk when this returns."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps({"event": event, **what}).encode() + b"\n")
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

    def acknowledged(self) -> int:
        """How many lines say that something was done."""
        return sum(1 for _ in self.read(*ACKNOWLEDGED))
