"""What the server writes about itself: JSON lines on standard error, with an allow-list of fields.

No id, address, body, token or secret can appear, whoever calls: a field that is not on the list is dropped, and the
values that are allowed are numbers and words from this program.
"""

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = frozenset({"event", "level", "time", "route", "status", "duration_ms", "bytes", "count", "kind"})


def configure() -> None:
    """Send every event of this process through the allow-list to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            only_allowed,
            structlog.processors.JSONRenderer(separators=(",", ":")),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def only_allowed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list."""
    return {name: value for name, value in event.items() if name in FIELDS}


def note(event: str, **fields: str | int | float) -> None:
    """Write one line. ``event`` is a sentence of this program, never text from outside."""
    structlog.get_logger().info(event, **fields)
