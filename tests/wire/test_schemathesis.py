"""The server that is started by ``coffre serve``, against its own description: schemathesis, with every check it has.

What it sends is made from the served OpenAPI document. Where that says ``base64`` or leaves text open, it is told here
what a client would send: any bytes, among them ids, bodies and envelopes that are there; the JSON of a valid message is
sent in the one accepted encoding.
"""

import asyncio
import base64
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.schemas import BaseSchema

from crypto.encoding import acceptable, encode
from crypto.wire import messages as m
from crypto.wire.vault_api import OPERATIONS, PREFIX
from tests.contract.grant_story import granted
from tests.contract.record_story import Stored
from tests.contract.vault_story import World, fresh
from tests.support.instance import Instance, running
from tests.wire.effort import EFFORT
from tests.wire.live import live

COUNT = "requests that schemathesis sent"
EXAMPLES = 8
REQUESTS = {f"{PREFIX}/{each.name}": each.request for each in OPERATIONS} | {
    f"{PREFIX}/ciphertext": m.CiphertextQuery
}
# Their requests hold signed bodies, of which a description says only that they are bytes.
SIGNED = (
    *("publish_link", "create_vault", "append_link", "erase", "open", "login", "root_login"),
    *("show_identity_link", "show_link", "show_openings"),
    *("finish_passkey", "finish_assertion"),
)
SUBMISSIONS = ("create_vault", "append_link", "show_link", "show_openings")
# Of their lists one entry is made: more of them are too long to make.
LONG = ("LinkSubmission", "EventSubmission", "ShownChain")
REFUSALS = ["400", "401", "403", "404", "405", "409", "412", "413", "422", "429"]


class Stock(NamedTuple):
    """What there is on the server, for requests that mean something."""

    url: str
    token: str
    known: tuple[bytes, ...]
    queries: tuple[str, ...]
    parts: tuple[bytes, ...]


async def _stocked(instance: Instance) -> Stock:
    async with live(instance) as service:
        world, stored = World(service), Stored.random()
        granting = await granted(world, stored)
        record = granting.record
        request = await granting.request(stored)
        await (await granting.recipient.api()).open(m.OpenRequest(request=request))
        submission = await granting.submission(stored, rekey=True)
        ids = (
            record.id,
            record.holder.identity,
            record.holder.device.public.key_id,
            granting.gid,
            request.digest,
        )
        bodies = [record.genesis, request.body, submission.envelope.body, submission.events[0].envelope.body]
        uploads = [
            m.PartUpload(vault=record.id, ver=ver, length=length, number=0)
            for ver, length in ((stored.ver, len(stored.data)), (fresh(16), 500), (fresh(16), 1 << 40))
        ]
        return Stock(
            url=instance.url,
            token=await service.token(record.holder),
            known=(*ids, stored.doc, stored.ver, *stored.parts, *bodies, *map(encode, submission.events)),
            queries=tuple(base64.urlsafe_b64encode(encode(each)).decode().rstrip("=") for each in uploads),
            parts=(stored.data, fresh(500)),
        )


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """A server with a record, a grant and a reading on it."""
    with running(tmp_path_factory.mktemp("served") / "data") as instance:
        yield asyncio.run(_stocked(instance))


def _bytes_format(known: tuple[bytes, ...], schema: dict[str, Any]) -> str:
    """A format of base64 as the lengths of ``schema`` allow it, now and then of something that is there."""
    low, high = (schema.get(name) for name in ("minLength", "maxLength"))
    least, most = (low or 0) // 4 * 3, 300 if high is None else high // 4 * 3
    exact = {24: 16, 44: 32, 64: 48, 88: 64}.get(high or 0) if low == high else None
    least, most = (least, min(most, least + 200)) if exact is None else (exact, exact)
    fitting = [each for each in known if least <= len(each) <= most]
    raw = st.tuples(st.binary(min_size=1, max_size=8), st.integers(least, most)).map(
        lambda made: (made[0] * (made[1] // len(made[0]) + 1))[: made[1]]
    )
    name = f"bytes-{low}-{high}"
    encoded = (st.sampled_from(fitting) | raw if fitting else raw).map(
        lambda data: base64.b64encode(data).decode()
    )
    schemathesis.openapi.format(name, encoded)
    return name


def _text_format(schema: dict[str, Any]) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 40)
    name = f"text-{low}-{high}"
    text = st.text(max_size=20).map(acceptable).map(lambda said: said[:high].ljust(low, "x"))
    schemathesis.openapi.format(name, text)
    return name


def _made_precise(node: Any, known: tuple[bytes, ...]) -> None:
    """Say of every open string in the document what is sent for it."""
    if isinstance(node, dict):
        if node.get("contentEncoding") == "base64":
            node["format"] = _bytes_format(known, node)
        elif node.get("type") == "string" and not {"enum", "const", "pattern", "contentEncoding"} & set(node):
            node["format"] = _text_format(node)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _made_precise(child, known)


def _with_whole_numbers(value: Any) -> Any:
    """``value`` with 27 for 27.0, which a description takes for the same."""
    match value:
        case dict():
            return {name: _with_whole_numbers(each) for name, each in value.items()}
        case list():
            return [_with_whole_numbers(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


@schemathesis.serializer("application/json")
def _canonical(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A valid message in the one accepted encoding; anything else as it is."""
    plain = json.dumps(_with_whole_numbers(value), separators=(",", ":"), ensure_ascii=False, default=repr)
    kind = REQUESTS.get(context.case.operation.path)
    if kind is not None:
        with suppress(msgspec.DecodeError, UnicodeEncodeError):
            return msgspec.json.encode(msgspec.json.decode(plain.encode(), type=kind))
    return plain.encode("utf-8", "surrogatepass")


def _particular(name: str) -> dict[str, Any]:
    """What is particular to an operation: what it may refuse of what fits its description, a part its length too."""
    found: dict[str, Any] = {
        "include-path": f"{PREFIX}/{name}",
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", *REFUSALS]}},
    }
    if name in SUBMISSIONS and EFFORT == 1:  # a thousand cases that all fail at the signature
        found["phases"] = {"coverage": {"enabled": False}}
    return found


def _config(token: str) -> SchemathesisConfig:
    """Every check; what a signed body may be refused for is more than a description can say."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "auth": {"openapi": {"session": {"bearer": token}}},
            "generation": {
                "max-examples": EXAMPLES * EFFORT,
                "deterministic": EFFORT == 1,
                "no-shrink": EFFORT == 1,
            },
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
            "operations": [*map(_particular, (*SIGNED, "part"))],
        }
    )


@pytest.fixture(scope="module")
def api(stock: Stock) -> BaseSchema:
    """The served description."""
    with urllib.request.urlopen(f"{stock.url}/coffre/openapi.json") as answer:  # noqa: S310 - our own server
        document = json.load(answer)
    # An answer that lasts a quarter of an hour cannot be waited for: test_notices.py asks for it in every wrong way.
    del document["paths"][f"{PREFIX}/notices"]
    _made_precise(document, stock.known)
    for name in LONG:
        for each in document["components"]["schemas"][name]["properties"].values():
            if each.get("type") == "array":
                each["maxItems"] = 1
    parts = st.sampled_from(stock.parts) | st.binary(max_size=600)
    schemathesis.openapi.media_type("application/octet-stream", parts)
    schemathesis.openapi.format("query", st.sampled_from(stock.queries))
    header = document["paths"][f"{PREFIX}/part"]["put"]["parameters"][0]
    header["schema"] = {"type": "string", "format": "query"}
    schema = schemathesis.openapi.from_dict(document, config=_config(stock.token))
    schema.config.update(base_url=stock.url)
    return schema


def test_the_server_is_as_it_describes_itself(
    api: BaseSchema, record_property: Callable[[str, object], None]
) -> None:
    """Nothing makes it fail, what is not described is refused as described, and so is who has no session."""
    sent, broken, answers = 0, set(), Counter[tuple[str, int]]()
    for event in engine.from_schema(api).execute():
        match event:
            case ScenarioFinished(recorder=recorder):
                sent += len(recorder.interactions)
                for id_, interaction in recorder.interactions.items():
                    status = 0 if interaction.response is None else interaction.response.status_code
                    answers[recorder.label, status] += 1
                    broken |= {
                        f"{recorder.label}: {failure.failure} ({status}) for {interaction.request.body!r:.500}"
                        for check in recorder.checks.get(id_, ())
                        if (failure := check.failure_info) is not None
                    }
            case NonFatalError(value=error) | FatalError(exception=error):
                broken.add(repr(error))
    record_property(COUNT, sent)
    assert not broken, "\n\n".join(sorted(broken))
    # What is sent gets past the first door: every operation but these, which need a signature, was done at least once.
    done = {label for label, status in answers if status < HTTPStatus.MULTIPLE_CHOICES}
    asked = {label for label, _ in answers}
    assert asked - done <= {f"POST {PREFIX}/{name}" for name in SIGNED}, answers
