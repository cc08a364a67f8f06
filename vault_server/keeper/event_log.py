"""What a keeper writes to its log: that it started, stopped or could not do something, and how often it did what.

JSON lines with a closed list of fields. Nothing of a request gets there: no id, address or body.
"""

from dataclasses import asdict, dataclass
from typing import TextIO

import structlog

_FIELDS = frozenset(
    {
        "event",
        "level",
        "time",
        "problem",
        "version",
        "cosigned",
        "identity_heads",
        "released",
        "ended",
        "refused",
    }
)


@dataclass(slots=True)
class Counters:
    """How often since the start."""

    cosigned: int = 0
    identity_heads: int = 0
    released: int = 0
    ended: int = 0
    refused: int = 0


class EventLog:
    """The log of one process."""

    def __init__(self, output: TextIO) -> None:
        self.counters = Counters()
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(output),
            processors=[
                _only_known_fields,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                structlog.processors.JSONRenderer(separators=(",", ":")),
            ],
        )

    def write(self, event: str, **fields: str | int) -> None:
        """One line. Fields that are not on the list are left out."""
        self._logger.info(event, **fields)

    def write_counters(self) -> None:
        """One line with all counters."""
        self.write("counters", **asdict(self.counters))


def _only_known_fields(
    _logger: object, _method: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: value for name, value in fields.items() if name in _FIELDS}
