"""What a program writes about itself: JSON lines with an allow-list of fields.

No id, address, body, token or secret can appear, whoever calls: a field that is not on the list is dropped, and the
values that are allowed are numbers and words from this program. ``note`` writes the vault server's; the keeper's log
is made of the same ``lines`` and counts besides.
"""

import sys
from collections.abc import Collection

import msgspec
import structlog

FIELDS = frozenset({"event", "level", "time", "route", "status", "duration_ms", "bytes", "kind"})

_LOGGER = structlog.get_logger()


def configure() -> None:
    """Send every event of this process through the allow-list to standard error."""
    structlog.configure(
        processors=lines(FIELDS),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line at once, not its end apart
        cache_logger_on_first_use=True,
    )


def note(event: str, **fields: str | int | float) -> None:
    """Write one line. ``event`` is a sentence of this program, never text from outside."""
    _LOGGER.info(event, **fields)


def lines(fields: Collection[str]) -> list[structlog.typing.Processor]:
    """From an event to its line, which has no field but ``fields``."""
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", key="time"),
        only(fields),
        structlog.processors.JSONRenderer(lambda event, **_: msgspec.json.encode(event).decode()),
    ]


def only(fields: Collection[str]) -> structlog.typing.Processor:
    """Drops whatever is not one of ``fields``."""

    def kept(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {name: value for name, value in event.items() if name in fields}

    return kept
