"""From whatever ended a request to its problem document: one table for refusals, one answer for faults."""

import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from crypto.encoding import encode
from crypto.errors import CoffreError
from crypto.wire.problems import MEDIA_TYPE, Problem, problem_bytes
from vault_server.event_log import note

AnyRequest = Request[Any, Any, Any]
Answer = Response[bytes]


def refused(_: AnyRequest, error: CoffreError) -> Answer:
    """A refusal, in its own words."""
    status, body = problem_bytes(error)
    return Response(body, status_code=status, media_type=MEDIA_TYPE)


def unrouted(_: AnyRequest, error: HTTPException) -> Answer:
    """What the framework refuses: unknown addresses and methods."""
    status = HTTPStatus(error.status_code)
    code = "not-found" if status is HTTPStatus.NOT_FOUND else "malformed"
    return _problem(status, code, "This server does not answer that. Nothing was done.")


def fault(_: AnyRequest, error: Exception) -> Answer:
    """A fault of this server: where it happened goes to the log, nothing of it to the client."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    note("a fault", kind=f"{type(error).__name__} at {place}")
    detail = "The server failed. What you sent may or may not have been done: ask before you send it again."
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unavailable", detail)


def _problem(status: HTTPStatus, code: str, detail: str) -> Answer:
    problem = Problem(type=f"coffre:{code}", title=status.phrase, status=status, detail=detail)
    return Response(encode(problem), status_code=status, media_type=MEDIA_TYPE)
