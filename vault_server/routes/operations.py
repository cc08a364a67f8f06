"""The JSON operations: one handler for each, made from the one table in ``crypto.wire.vault_api``."""

from http import HTTPStatus

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler

from crypto.encoding import decode, encode
from crypto.wire.vault_api import OPERATIONS, PREFIX, Operation
from vault_server.http_exchange import Answer, AnyRequest
from vault_server.media_types import JSON
from vault_server.routes.gate import Gate


def handlers(gate: Gate) -> list[HTTPRouteHandler]:
    """One handler for each operation."""
    return [_handler(gate, operation) for operation in OPERATIONS]


def _handler(gate: Gate, operation: Operation) -> HTTPRouteHandler:
    @post(f"{PREFIX}/{operation.name}", status_code=HTTPStatus.OK)
    async def handler(request: AnyRequest) -> Answer:
        session = await gate.enter(request, session=operation.session, counts=operation.session_counts)
        async with gate.body(request, session, JSON, operation.limit) as body:
            query = decode(body, operation.request, limit=operation.limit)
            return Response(encode(await getattr(session, operation.name)(query)), media_type=JSON)

    return handler
