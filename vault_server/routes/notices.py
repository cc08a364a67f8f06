"""The stream of notices: server-sent events, for as long as the stream lasts or somebody reads it."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from crypto.encoding import decode
from crypto.wire.messages import Empty
from crypto.wire.notices import MEDIA_TYPE, write_notice
from crypto.wire.vault_api import PREFIX
from vault_server.http_exchange import AnyRequest
from vault_server.media_types import JSON
from vault_server.routes.gate import Gate

MAX_QUERY = 4096
# No cache keeps it, and no proxy gathers it.
PASSED_ON = {"cache-control": "no-store", "x-accel-buffering": "no"}


def handlers(gate: Gate) -> list[HTTPRouteHandler]:
    """``POST notices``."""

    @post(f"{PREFIX}/notices", status_code=HTTPStatus.OK)
    async def notices(request: AnyRequest) -> Stream:
        session = await gate.enter(request, session=True)
        async with gate.body(request, session, JSON, MAX_QUERY) as body:
            stream = session.notices(decode(body, Empty, limit=MAX_QUERY))
        # The first event decides whether there is an answer at all.
        first = await anext(stream)
        return Stream(_events(first, stream), media_type=MEDIA_TYPE, headers=PASSED_ON)

    return [notices]


async def _events(first: bool, stream: AsyncGenerator[bool, None]) -> AsyncIterator[bytes]:
    async with aclosing(stream):
        yield write_notice(news=first)
        async for news in stream:
            yield write_notice(news=news)
