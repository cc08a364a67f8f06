"""The answer to a request that a fault of this server ended."""

import traceback
from http import HTTPStatus
from pathlib import Path

from vault_server.event_log import note
from vault_server.http_exchange import Answer, AnyRequest, problem


def fault(_: AnyRequest, error: Exception) -> Answer:
    """A fault of this server: where it happened goes to the log, nothing of it to the client."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    note("a fault", kind=f"{type(error).__name__} at {place}")
    detail = "The server failed. What you sent may or may not have been done: ask before you send it again."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unavailable", detail)
