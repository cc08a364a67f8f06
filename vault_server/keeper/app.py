"""The keeper over HTTP: bytes in, strict decode, one call, bytes out. Every refusal is a problem document."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from crypto.encoding import decode, encode
from crypto.errors import CoffreError
from crypto.labels import SUITE
from crypto.receipt import MAX_TEXT
from crypto.wire.keeper_api import MAX_CHAIN_QUESTION, MAX_QUESTION, OPERATIONS, PREFIX, KeeperOperation
from crypto.wire.messages import Health, Version
from vault_server.http_exchange import (
    Answer,
    AnyRequest,
    check_kind,
    length_of,
    problem,
    read_body,
    refused,
    sender,
    unrouted,
)
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.witness import OtherHead
from vault_server.limits import Budget
from vault_server.media_types import JSON, TEXT, TREE_SIZE
from vault_server.version import VERSION

# A question has this many seconds to arrive; one that shows long chains the second number, and all of those together
# have so many bytes of memory.
PATIENCE = 10
LONG_PATIENCE = 60
LONG_BYTES = 1 << 26


def make_app(keeper: Keeper, events: EventLog) -> Litestar:
    """The ASGI application around an open keeper."""

    # Not the server's ``fault``: a keeper's log is its own, and tells the kind of an error and no place.
    def bug(_: AnyRequest, error: Exception) -> Answer:
        events.write("unexpected", problem=type(error).__name__)
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, "unavailable", "The keeper failed. Nothing was done."
        )

    long = Budget(LONG_BYTES, MAX_CHAIN_QUESTION, PATIENCE)
    return Litestar(
        route_handlers=[
            *(_operation(keeper, operation, long) for operation in OPERATIONS),
            _add_checkpoint(keeper),
            _cosigned_checkpoint(keeper),
            _health(keeper),
            _version(),
        ],
        exception_handlers={
            OtherHead: _other_head,
            CoffreError: refused,
            HTTPException: unrouted,
            Exception: bug,
        },
        openapi_config=None,
        logging_config=None,
    )


def _operation(keeper: Keeper, operation: KeeperOperation, long: Budget) -> HTTPRouteHandler:
    call: Callable[[Any], Awaitable[Any]] = getattr(keeper, operation.name)

    async def answer(body: bytes) -> Answer:
        question = decode(body, operation.request, limit=operation.limit)
        return Response(encode(await call(question)), media_type=JSON)

    @post(f"{PREFIX}/{operation.name}", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        check_kind(request, JSON)
        length = length_of(request, operation.limit)
        if length <= MAX_QUESTION:
            return await answer(await read_body(request, length, PATIENCE))
        with long.body(sender(request)) as room:
            return await answer(await read_body(request, length, LONG_PATIENCE, room))

    return handler


def _add_checkpoint(keeper: Keeper) -> HTTPRouteHandler:
    @post("/add-checkpoint", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        body = await read_body(request, MAX_TEXT, PATIENCE)
        return Response(await keeper.add_checkpoint(body), media_type=TEXT)

    return handler


def _cosigned_checkpoint(keeper: Keeper) -> HTTPRouteHandler:
    @get("/{name:str}/checkpoint")
    async def handler(request: AnyRequest) -> Answer:
        return Response(keeper.cosigned_checkpoint(request.path_params["name"]), media_type=TEXT)

    return handler


def _health(keeper: Keeper) -> HTTPRouteHandler:
    @get("/coffre/health")
    async def handler() -> Answer:
        status = HTTPStatus.OK if keeper.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(encode(Health(ok=keeper.ready)), media_type=JSON, status_code=status)

    return handler


def _version() -> HTTPRouteHandler:
    answer = encode(Version(name="coffre keeper", version=VERSION, suite=SUITE))

    @get("/coffre/version")
    async def handler() -> Answer:
        return Response(answer, media_type=JSON)

    return handler


def _other_head(_: AnyRequest, error: OtherHead) -> Answer:
    # As a header, since the framework adds a charset to the media type of text.
    return Response(
        b"%d\n" % error.size, status_code=HTTPStatus.CONFLICT, headers={"content-type": TREE_SIZE}
    )
