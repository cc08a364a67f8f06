"""HTTP: bytes in, strict decode, one call, bytes out; every refusal a problem document, nothing personal in a log."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from crypto.encoding import decode, encode
from crypto.errors import NotFound, Unauthenticated
from crypto.wire import messages as m
from crypto.wire import sessions as s
from crypto.wire.problems import MEDIA_TYPE, Problem, error_of
from crypto.wire.vault_api import OPERATIONS, PREFIX
from tests.contract.grant_story import granted
from tests.contract.in_process import InProcess, log_in
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import Person, World, fresh
from vault_server.app import make_app
from vault_server.event_log import FIELDS, only
from vault_server.settings import Rate

JSON = {"content-type": "application/json"}


@pytest.fixture
async def http(running: InProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without sockets."""
    transport = httpx.ASGITransport(app=make_app(running.vault), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault.example") as client:
        yield client


async def bearer(running: InProcess, person: Person) -> dict[str, str]:
    """The header of a session."""
    return {"authorization": f"Bearer {(await log_in(running, person)).token}"}


def problem(answer: httpx.Response) -> Problem:
    """The problem document of a refusal."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    found = decode(answer.content, Problem)
    assert found.status == answer.status_code
    return found


async def ask(client: httpx.AsyncClient, name: str, query: Any, **headers: str) -> httpx.Response:
    """One JSON operation."""
    return await client.post(f"{PREFIX}/{name}", content=encode(query), headers=JSON | headers)


async def test_every_operation_is_served_and_refuses_rubbish(http: httpx.AsyncClient) -> None:
    """No session, no JSON, an unknown field, other spaces: a problem document each, never a fault."""
    for operation in OPERATIONS:
        path = f"{PREFIX}/{operation.name}"
        for content in (b"", b"{", b"[]", b'{"unknown":1}', b"{ }", b"\xff", b"[" * 5000):
            answer = await http.post(path, content=content, headers=JSON)
            if operation.session:
                assert isinstance(error_of(problem(answer)), Unauthenticated)
            else:
                assert problem(answer).type == "coffre:malformed"
        assert (await http.get(path)).status_code == 405
    assert (await http.get("/nowhere")).status_code == 404


async def test_bodies_are_held_to_their_kind_and_size(http: httpx.AsyncClient) -> None:
    """Another content type, a compressed body, too many bytes, declared or not."""
    path, body = f"{PREFIX}/version", encode(m.Empty())
    assert (await http.post(path, content=body, headers=JSON)).status_code == 200
    answer = await http.post(path, content=body, headers={"content-type": "text/plain"})
    assert problem(answer).type == "coffre:malformed"
    answer = await http.post(path, content=body, headers=JSON | {"content-encoding": "gzip"})
    assert problem(answer).type == "coffre:malformed"
    answer = await http.post(path, content=b"x" * (m.MAX_MESSAGE + 1), headers=JSON)
    assert problem(answer).type == "coffre:too-large"
    for length, kind in (("0" * 5000 + "2", "malformed"), ("9" * 19, "too-large"), ("\u0662", "malformed")):
        answer = await http.post(path, content=body, headers=JSON | {"content-length": length.encode()})  # type: ignore[dict-item]
        assert problem(answer).type == f"coffre:{kind}"
    link = f"{PREFIX}/publish_link"
    for length, kind in ((m.MAX_LINK_MESSAGE, "malformed"), (m.MAX_LINK_MESSAGE + 1, "too-large")):
        assert problem(await http.post(link, content=b"x" * length, headers=JSON)).type == f"coffre:{kind}"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    answer = await http.post(path, content=endless(), headers=JSON)
    assert problem(answer).type == "coffre:too-large"


async def test_a_body_that_does_not_come_is_not_waited_for(
    http: httpx.AsyncClient, running: InProcess
) -> None:
    """A sender that stalls is cut off in words."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    object.__setattr__(running.vault.settings.limits, "body_seconds", 0.05)
    transport = httpx.ASGITransport(app=make_app(running.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault.example") as client:
        answer = await client.post(
            f"{PREFIX}/version", content=stalled(), headers=JSON | {"content-length": "100"}
        )
    assert "in time" in problem(answer).detail


async def test_the_whole_way_over_http(http: httpx.AsyncClient, running: InProcess, world: World) -> None:
    """Part in, link, request, ciphertext out, by the framed queries of the wire."""
    stored = Stored.random(600_000)  # three chunks of the store
    record = await founded(world)
    holder = await bearer(running, record.holder)
    query = m.PartUpload(vault=record.id, ver=stored.ver, length=len(stored.data), number=0)
    text = base64.urlsafe_b64encode(encode(query)).decode().rstrip("=")
    headers = holder | {"coffre-query": text, "content-type": "application/octet-stream"}
    assert (await http.put(f"{PREFIX}/part", content=stored.data, headers=headers)).status_code == 204
    answer = await http.put(f"{PREFIX}/part", content=stored.data[::-1], headers=headers)
    assert problem(answer).type == "coffre:conflict"
    for wrong in (text + "=", "%%%", "", base64.urlsafe_b64encode(b"{}").decode()):
        answer = await http.put(f"{PREFIX}/part", content=b"", headers=headers | {"coffre-query": wrong})
        assert problem(answer).type == "coffre:malformed"
    submission = await record.submission(stored.step(), parts=stored.parts)
    answer = await ask(http, "append_link", submission, **holder)
    record.check(decode(answer.content, m.LinkAccepted), submission)
    for start in (7, 300_000, 599_000, len(stored.data)):  # in as many chunks as are left, and in none
        asked = m.CiphertextQuery(vault=record.id, request=None, ver=stored.ver, start=start)
        answer = await http.post(f"{PREFIX}/ciphertext", content=encode(asked), headers=JSON | holder)
        assert answer.content == stored.data[start:]
    asked = msgspec.structs.replace(asked, ver=fresh(16))
    answer = await http.post(f"{PREFIX}/ciphertext", content=encode(asked), headers=JSON | holder)
    assert isinstance(error_of(problem(answer)), NotFound)


async def test_a_session_that_counts_must_be_in_force(
    http: httpx.AsyncClient, running: InProcess, world: World
) -> None:
    """A link is published without a session, and in one; a token that is none is not passed over."""
    person = await world.person()
    for headers in ({}, await bearer(running, person)):
        assert (await ask(http, "publish_link", person.first, **headers)).status_code == 200
    answer = await ask(http, "publish_link", person.first, authorization="Bearer x")
    assert problem(answer).type == "coffre:unauthenticated"


async def test_refusals_of_a_request_are_the_same_bytes(
    http: httpx.AsyncClient, running: InProcess, world: World
) -> None:
    """An unknown grant and a revoked one cannot be told apart by the answer."""
    stored = Stored.random()
    granting = await granted(world, stored)
    headers = await bearer(running, granting.recipient)
    unknown = await granting.request(stored, gid=fresh())
    await granting.end()
    revoked = await granting.request(stored)
    answers = [await ask(http, "open", m.OpenRequest(request=each), **headers) for each in (unknown, revoked)]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers


async def test_logs_are_served_as_files(http: httpx.AsyncClient, world: World) -> None:
    """Checkpoints and tiles under their C2SP names, with the caching each allows."""
    record = await founded(world)
    for base, origin in (("/coffre/directory", world.directory), ("/coffre/log/0", record.origin)):
        note = await http.get(f"{base}/checkpoint")
        assert note.headers["cache-control"] == "no-cache"
        size = world.believe(note.content, origin).size
        bundle = await http.get(f"{base}/tile/entries/000.p/{size}")
        assert len(bundle.content) == size * 99
        assert "immutable" not in bundle.headers["cache-control"]
        assert (await http.get(f"{base}/tile/0/000.p/{size}")).status_code == 200
        assert problem(await http.get(f"{base}/tile/0/000.p/{size + 1}")).type == "coffre:not-found"
        assert problem(await http.get(f"{base}/tile/0/00")).type == "coffre:malformed"
        assert problem(await http.get(f"{base}/tile/x/../../coffre.db")).status in {400, 404}
    assert problem(await http.get("/coffre/log/9/checkpoint")).type == "coffre:not-found"
    assert problem(await http.get("/coffre/log/00/checkpoint")).type == "coffre:not-found"


async def test_the_instance_describes_itself(http: httpx.AsyncClient, running: InProcess) -> None:
    """Card, version, health, and an OpenAPI document that forbids unknown fields and names every problem."""
    assert (await http.get("/coffre/instance-card")).text == running.vault.instance.card
    assert decode((await http.get("/coffre/version")).content, m.Version).suite == "coffre-1"
    assert decode((await http.get("/coffre/health")).content, m.Health).ok
    document = json.loads((await http.get("/coffre/openapi.json")).content)
    assert document["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        described = document["paths"][f"{PREFIX}/{operation.name}"]["post"]
        for status, answer in described["responses"].items():
            assert list(answer["content"]) == ["application/json" if status == "200" else MEDIA_TYPE]
    schemas = document["components"]["schemas"]
    assert all(each["additionalProperties"] is False for each in schemas.values() if each.get("properties"))
    named = set(json.dumps(document).split('"#/components/schemas/')[1:])
    assert all(each.split('"')[0] in schemas for each in named)


async def test_a_fault_says_nothing(
    http: httpx.AsyncClient, running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the server is a problem document without details, and a line without values."""

    async def broken(_: s.LoginRequest) -> s.Challenge:
        raise RuntimeError("a secret value")

    monkeypatch.setattr(running.vault.sessions, "challenge", broken)
    monkeypatch.setattr("vault_server.vault.VaultSession.challenge", lambda _, query: broken(query))
    with structlog.testing.capture_logs() as lines:
        answer = await ask(http, "challenge", s.LoginRequest(identity=fresh(), device=fresh()))
    assert problem(answer).status == 500
    assert "secret value" not in answer.text + str(lines)
    assert [line["kind"].startswith("RuntimeError at ") for line in lines if line["event"] == "a fault"] == [
        True
    ]


async def test_no_line_of_the_log_names_anybody(
    http: httpx.AsyncClient, running: InProcess, world: World
) -> None:
    """Requests leave method, route, status, time and size; nothing else gets through, whoever writes it."""
    person = await world.person()
    headers = await bearer(running, person)
    with structlog.testing.capture_logs() as lines:
        await ask(http, "identity_chain", m.IdentityQuery(identity=person.identity), **headers)
        await http.get("/coffre/log/77/tile/0/000")
        await http.get(f"/somebody/{person.identity.hex()}")
    assert all(set(line) <= FIELDS | {"log_level"} for line in lines)
    routes = [line["route"] for line in lines]
    assert routes == [f"POST {PREFIX}/identity_chain", "GET /coffre/log/…", "GET other"]
    kept = only(FIELDS)(None, "info", {"event": "x", "identity": "y", "token": "z", "status": 1})
    assert kept == {"event": "x", "status": 1}


async def test_a_flood_is_refused_before_any_work(running: InProcess) -> None:
    """One address has an allowance; beyond it the answer says so, even to rubbish."""
    object.__setattr__(running.vault.settings.limits, "address", Rate(1, 3))
    transport = httpx.ASGITransport(app=make_app(running.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault.example") as client:
        answers = [await client.post(f"{PREFIX}/version", content=b"{", headers=JSON) for _ in range(4)]
    types = [problem(answer).type for answer in answers]
    assert types == ["coffre:malformed"] * 3 + ["coffre:too-many"]
