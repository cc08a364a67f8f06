"""What a keeper writes to its log: that it started, stopped or could not do something, and how often it did what.

JSON lines with a closed list of fields. Nothing of a request gets there: no id, address or body. ``file`` names a file of
evidence by the hash of a log's name.
"""

from dataclasses import asdict, dataclass, fields
from typing import TextIO

import structlog

from vault_server.event_log import lines


@dataclass(slots=True)
class Counters:
    """How often since the start."""

    cosigned: int = 0
    identity_heads: int = 0
    released: int = 0
    ended: int = 0
    refused: int = 0


FIELDS = frozenset({"event", "level", "time", "problem", "file", *(each.name for each in fields(Counters))})


class EventLog:
    """The log of one process."""

    def __init__(self, output: TextIO) -> None:
        self.counters = Counters()
        self._logger = structlog.wrap_logger(structlog.PrintLogger(output), processors=lines(FIELDS))

    def write(self, event: str, **fields: str | int) -> None:
        """One line. Fields that are not on the list are left out."""
        self._logger.info(event, **fields)

    def write_counters(self) -> None:
        """One line with all counters."""
        self.write("counters", **asdict(self.counters))
