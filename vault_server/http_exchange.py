"""One request and its answer, as the vault server and the keeper take and give them.

A body is held to its kind, its size and its time before anything looks at it; every refusal is a problem document.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from crypto.encoding import encode
from crypto.errors import CoffreError, Malformed, TooLarge
from crypto.wire.problems import MEDIA_TYPE, Problem, problem_bytes
from vault_server.limits import Room, address_class

AnyRequest = Request[Any, Any, Any]
Answer = Response[bytes]

# Python reads no number of thousands of digits.
_LENGTH = re.compile("[0-9]{1,19}")


async def _unbounded(_: int) -> None:
    """Room for a body that is small."""


def sender(request: AnyRequest) -> str:
    """The class of addresses that a request comes from."""
    return address_class(request.client.host if request.client else "")


def check_kind(request: AnyRequest, kind: str) -> None:
    """Raises Malformed unless the body is said to be ``kind``."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != kind:
        raise Malformed(f"A request was refused: its body is not {kind}.")


def length_of(request: AnyRequest, limit: int) -> int:
    """How long the body is said to be, or ``limit`` where that is not said.

    Raises TooLarge when it is above it, Malformed when it is no number, or one with more digits than a length has.
    """
    declared = request.headers.get("content-length", str(limit))
    if _LENGTH.fullmatch(declared) is None:
        raise Malformed("A request was refused: the length of its body is not a number of at most 19 digits.")
    length = int(declared)
    if length > limit:
        raise TooLarge(f"A request was refused: at most {limit} bytes are read here.")
    return length


async def read_body(request: AnyRequest, limit: int, seconds: float, room: Room = _unbounded) -> bytes:
    """The whole body. Raises Malformed when it is compressed or comes too slowly, TooLarge, and what ``room`` raises.

    ``room`` is asked before bytes that arrived are kept; while it waits, the sender's time stands still.
    """
    if "content-encoding" in request.headers:
        raise Malformed("A request was refused: compressed bodies are not taken.")
    body, loop = bytearray(), asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds) as due:
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise TooLarge(f"A request was refused: at most {limit} bytes are read here.")
                left = (due.when() or 0) - loop.time()
                due.reschedule(None)
                await room(len(chunk))
                due.reschedule(loop.time() + left)
                body += chunk
    except TimeoutError:
        raise Malformed("A request was refused: its body did not arrive in time.") from None
    return bytes(body)


def refused(_: AnyRequest, error: CoffreError) -> Answer:
    """A refusal, in its own words."""
    status, body = problem_bytes(error)
    return Response(body, status_code=status, media_type=MEDIA_TYPE)


def unrouted(_: AnyRequest, error: HTTPException) -> Answer:
    """What the framework refuses: unknown addresses and methods."""
    status = HTTPStatus(error.status_code)
    code = "not-found" if status is HTTPStatus.NOT_FOUND else "malformed"
    answer = problem(status, code, "This server does not answer that. Nothing was done.")
    answer.headers.update(error.headers or {})  # which methods are
    return answer


def problem(status: HTTPStatus, code: str, detail: str) -> Answer:
    """A problem document that stands for no class of ``crypto.errors``."""
    body = encode(Problem(type=f"coffre:{code}", title=status.phrase, status=status, detail=detail))
    return Response(body, status_code=status, media_type=MEDIA_TYPE)
