"""Errors on the wire: RFC 9457 problem documents, from one table.

A problem's ``type`` is ``coffre:<code>``; its code names one class of ``crypto.errors``. What opens something answers
``not-found`` for every cause. An unknown code is read as a plain refusal: a server cannot invent a meaning.
"""

from http import HTTPStatus

from crypto import errors
from crypto.encoding import Body, Natural, ShortText, acceptable, encode

MEDIA_TYPE = "application/problem+json"
UNAVAILABLE = "coffre:unavailable"

TABLE: tuple[tuple[str, type[errors.CoffreError], HTTPStatus], ...] = (
    ("malformed", errors.Malformed, HTTPStatus.BAD_REQUEST),
    ("too-large", errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ("bad-signature", errors.BadSignature, HTTPStatus.FORBIDDEN),
    ("cannot-open", errors.CannotOpen, HTTPStatus.FORBIDDEN),
    ("broken-chain", errors.BrokenChain, HTTPStatus.CONFLICT),
    ("not-permitted", errors.NotPermitted, HTTPStatus.FORBIDDEN),
    ("needs-passkey", errors.NeedsPasskey, HTTPStatus.FORBIDDEN),
    ("not-proven", errors.NotProven, HTTPStatus.UNPROCESSABLE_ENTITY),
    ("stale", errors.Stale, HTTPStatus.PRECONDITION_FAILED),
    ("conflict", errors.Conflict, HTTPStatus.CONFLICT),
    ("lacking", errors.Lacking, HTTPStatus.CONFLICT),
    ("not-found", errors.NotFound, HTTPStatus.NOT_FOUND),
    ("unreachable", errors.Unreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    ("full", errors.Full, HTTPStatus.INSUFFICIENT_STORAGE),
    ("unauthenticated", errors.Unauthenticated, HTTPStatus.UNAUTHORIZED),
    ("too-many", errors.TooMany, HTTPStatus.TOO_MANY_REQUESTS),
)


class Problem(Body, frozen=True):
    """One problem document."""

    type: ShortText
    title: ShortText
    status: Natural
    detail: str


def problem_of(error: errors.CoffreError) -> Problem:
    """The document for ``error``."""
    for code, kind, status in TABLE:
        if isinstance(error, kind):
            return Problem(
                type=f"coffre:{code}", title=status.phrase, status=status, detail=acceptable(str(error))
            )
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(type=UNAVAILABLE, title=status.phrase, status=status, detail=acceptable(str(error)))


def error_of(problem: Problem) -> errors.CoffreError:
    """The error that ``problem`` stands for, with its own words."""
    for code, kind, _ in TABLE:
        if problem.type == f"coffre:{code}":
            error = kind.__new__(kind)
            error.args = (problem.detail,)
            return error
    kind = errors.Unavailable if problem.type == UNAVAILABLE else errors.Refusal
    return kind(problem.detail)


def problem_bytes(error: errors.CoffreError) -> tuple[int, bytes]:
    """Status and body of the answer to a request that ended in ``error``."""
    problem = problem_of(error)
    return problem.status, encode(problem)
