"""Ciphertext in and out: raw bytes, one part a request on the way in, a stream on the way out."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from litestar import Response, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from crypto.encoding import decode
from crypto.pieces import HEADER, PART, PIECE
from crypto.wire.messages import CiphertextQuery, PartUpload
from crypto.wire.vault_api import PREFIX
from vault_server.http_exchange import Answer, AnyRequest
from vault_server.media_types import BYTES, JSON
from vault_server.routes.gate import Gate, query_header

MAX_PART = HEADER + PART * PIECE
MAX_QUERY = 4096


def handlers(gate: Gate) -> list[HTTPRouteHandler]:
    """``PUT part`` and ``POST ciphertext``."""

    @put(f"{PREFIX}/part", status_code=HTTPStatus.NO_CONTENT)
    async def part(request: AnyRequest) -> None:
        session = await gate.enter(request, session=True)
        query = query_header(request, PartUpload)
        await session.may_put(query)
        async with gate.body(request, session, BYTES, MAX_PART) as body:
            await session.put_part(query, body)

    @post(f"{PREFIX}/ciphertext", status_code=HTTPStatus.OK)
    async def ciphertext(request: AnyRequest) -> Stream | Answer:
        session = await gate.enter(request, session=True)
        async with gate.body(request, session, JSON, MAX_QUERY) as body:
            chunks = session.ciphertext(decode(body, CiphertextQuery, limit=MAX_QUERY))
        # What comes now decides whether there is an answer at all; later chunks can only be cut off. Most documents come
        # in one, and are answered without what a stream costs.
        first, second = await anext(chunks, b""), await anext(chunks, b"")
        if not second:
            return Response(first, media_type=BYTES)
        return Stream(_whole(first, second, chunks), media_type=BYTES)

    return [part, ciphertext]


async def _whole(first: bytes, second: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    yield second
    async for chunk in chunks:
        yield chunk
