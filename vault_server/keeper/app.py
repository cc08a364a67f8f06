"""The keeper over HTTP: bytes in, strict decode, one call, bytes out. Every refusal is a problem document."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from crypto.encoding import decode, encode
from crypto.errors import CoffreError, Malformed, TooLarge
from crypto.labels import SUITE
from crypto.receipt import MAX_TEXT
from crypto.wire.keeper_api import MAX_QUESTION, OPERATIONS, PREFIX, KeeperOperation
from crypto.wire.messages import Health, Version
from crypto.wire.problems import MEDIA_TYPE, Problem, problem_bytes
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.witness import OtherHead

JSON = "application/json"
TEXT = "text/plain"
TREE_SIZE = "text/x.tlog.size"

# A question has this many seconds to arrive.
PATIENCE = 10

AnyRequest = Request[Any, Any, Any]
Answer = Response[bytes]


def make_app(keeper: Keeper, events: EventLog) -> Litestar:
    """The ASGI application around an open keeper."""

    def bug(_: AnyRequest, error: Exception) -> Answer:
        events.write("unexpected", problem=type(error).__name__)
        return _problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, "unavailable", "The keeper failed. Nothing was done."
        )

    return Litestar(
        route_handlers=[
            *(_operation(keeper, operation) for operation in OPERATIONS),
            _add_checkpoint(keeper),
            _cosigned_checkpoint(keeper),
            _health(keeper),
            _version(),
        ],
        exception_handlers={
            OtherHead: _other_head,
            CoffreError: _refused,
            HTTPException: _unrouted,
            Exception: bug,
        },
        openapi_config=None,
        logging_config=None,
    )


def _operation(keeper: Keeper, operation: KeeperOperation) -> HTTPRouteHandler:
    call: Callable[[Any], Awaitable[Any]] = getattr(keeper, operation.name)

    @post(f"{PREFIX}/{operation.name}", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
            raise Malformed(f"A question was refused: it is not {JSON}.")
        question = decode(await _body(request, MAX_QUESTION), operation.request, limit=MAX_QUESTION)
        return Response(encode(await call(question)), media_type=JSON)

    return handler


def _add_checkpoint(keeper: Keeper) -> HTTPRouteHandler:
    @post("/add-checkpoint", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        return Response(await keeper.add_checkpoint(await _body(request, MAX_TEXT)), media_type=TEXT)

    return handler


def _cosigned_checkpoint(keeper: Keeper) -> HTTPRouteHandler:
    @get("/{name:str}/checkpoint")
    async def handler(request: AnyRequest) -> Answer:
        return Response(keeper.cosigned_checkpoint(request.path_params["name"]), media_type=TEXT)

    return handler


def _health(keeper: Keeper) -> HTTPRouteHandler:
    @get("/coffre/health")
    async def handler() -> Answer:
        return Response(encode(Health(ok=keeper.ready)), media_type=JSON)

    return handler


def _version() -> HTTPRouteHandler:
    answer = encode(Version(name="coffre keeper", version=version("coffre"), suite=SUITE))

    @get("/coffre/version")
    async def handler() -> Answer:
        return Response(answer, media_type=JSON)

    return handler


async def _body(request: AnyRequest, limit: int) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Malformed("A question was refused: it is compressed.")
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(f"A question was refused: at most {limit} bytes are read here.")
    except TimeoutError:
        raise Malformed("A question was refused: it did not arrive in time.") from None
    return bytes(body)


def _refused(_: AnyRequest, error: CoffreError) -> Answer:
    status, body = problem_bytes(error)
    return Response(body, status_code=status, media_type=MEDIA_TYPE)


def _other_head(_: AnyRequest, error: OtherHead) -> Answer:
    # As a header, since the framework adds a charset to the media type of text.
    return Response(
        b"%d\n" % error.size, status_code=HTTPStatus.CONFLICT, headers={"content-type": TREE_SIZE}
    )


def _unrouted(_: AnyRequest, error: HTTPException) -> Answer:
    status = HTTPStatus(error.status_code)
    code = "not-found" if status is HTTPStatus.NOT_FOUND else "malformed"
    return _problem(status, code, "A keeper does not answer this. Nothing was done.")


def _problem(status: HTTPStatus, code: str, detail: str) -> Answer:
    problem = Problem(type=f"coffre:{code}", title=status.phrase, status=status, detail=detail)
    return Response(encode(problem), status_code=status, media_type=MEDIA_TYPE)
