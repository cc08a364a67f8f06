"""The OpenAPI 3.1 description of the server, made from the table of operations and the messages themselves."""

from http import HTTPStatus
from typing import Any

import msgspec

from crypto.wire.messages import CiphertextQuery, Empty, Health, PartUpload
from crypto.wire.messages import Version as VersionMessage
from crypto.wire.notices import MEDIA_TYPE as EVENTS
from crypto.wire.problems import MEDIA_TYPE, TABLE, Problem
from crypto.wire.vault_api import OPERATIONS, PREFIX, Operation
from vault_server.media_types import BYTES, JSON, TEXT
from vault_server.version import VERSION

# A log's number, and a tile's place in it, as C2SP tlog-tiles writes them.
SHARD = "^(0|[1-9][0-9]{0,8})$"
PLACE = "^(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/){0,6}[0-9]{3}([.]p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$"
REFERENCE = "#/components/schemas/{name}"
STATUSES = sorted({int(status) for _, _, status in TABLE} | {405, 500})


def document() -> dict[str, Any]:
    """The whole description."""
    messages = {kind for operation in OPERATIONS for kind in (operation.request, operation.answer)}
    messages |= {Problem, PartUpload, CiphertextQuery, Health, VersionMessage}
    kinds = sorted(messages, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    paths: dict[str, Any] = {f"{PREFIX}/{each.name}": {"post": _operation(each)} for each in OPERATIONS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Coffre", "version": VERSION},
        "paths": paths | _others() | _documents() | _logs(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.name,
        "requestBody": _body(JSON, _reference(operation.request)),
        "responses": _answers("200", JSON, _reference(operation.answer)),
        "security": _security(operation),
    }


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.session:
        return [{"session": []}]
    return [{}, {"session": []}] if operation.session_counts else []


def _others() -> dict[str, Any]:
    header = {
        "name": "Coffre-Query",
        "in": "header",
        "required": True,
        "description": "base64url without padding of the canonical JSON of a PartUpload",
        "schema": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]+$",
            "contentEncoding": "base64url",
            "contentMediaType": JSON,
            "contentSchema": _reference(PartUpload),
        },
    }
    return {
        f"{PREFIX}/part": {
            "put": {
                "operationId": "put_part",
                "parameters": [header],
                "requestBody": _body(BYTES, {}),
                "responses": {"204": {"description": "Stored."}} | _problems(),
                "security": [{"session": []}],
            }
        },
        f"{PREFIX}/ciphertext": {
            "post": {
                "operationId": "ciphertext",
                "requestBody": _body(JSON, _reference(CiphertextQuery)),
                "responses": _answers("200", BYTES, {}),
                "security": [{"session": []}],
            }
        },
        f"{PREFIX}/notices": {
            "post": {
                "operationId": "notices",
                "requestBody": _body(JSON, _reference(Empty)),
                "responses": _answers("200", EVENTS, {"type": "string"}),
                "security": [{"session": []}],
            }
        },
    }


def _documents() -> dict[str, Any]:
    found = {}
    for path, schema in (
        ("/coffre/version", _reference(VersionMessage)),
        ("/coffre/health", _reference(Health)),
        ("/coffre/instance-card", {"type": "object"}),
        ("/coffre/openapi.json", {"type": "object"}),
    ):
        answers = _answers("200", JSON, schema)
        if path == "/coffre/health":
            answers["503"] = _content("Cannot store or sign.", JSON, schema)
        found[path] = {"get": {"responses": answers, "security": []}}
    return found


def _logs() -> dict[str, Any]:
    shard, place = _parameter("shard", SHARD), _parameter("place", PLACE)
    text = {"type": "string"}
    return {
        "/coffre/directory/checkpoint": _get([], TEXT, text),
        "/coffre/directory/tile/{place}": _get([place], BYTES, {}),
        "/coffre/log/{shard}/checkpoint": _get([shard], TEXT, text),
        "/coffre/log/{shard}/tile/{place}": _get([shard, place], BYTES, {}),
    }


def _get(parameters: list[Any], kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"parameters": parameters, "responses": _answers("200", kind, schema), "security": []}}


def _parameter(name: str, pattern: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}


def _answers(status: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {status: _content("The answer.", kind, schema)} | _problems()


def _problems() -> dict[str, Any]:
    return {
        str(status): _content(HTTPStatus(status).phrase, MEDIA_TYPE, _reference(Problem))
        for status in STATUSES
    }


def _content(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _body(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema}}}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
