"""What this server is: its card, its version, its health, its description for machines."""

import json
from http import HTTPStatus

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from crypto.encoding import encode
from crypto.labels import SUITE
from crypto.wire.messages import Health, Version
from vault_server.http_exchange import Answer
from vault_server.media_types import JSON
from vault_server.openapi import document
from vault_server.vault import Vault
from vault_server.version import VERSION


def handlers(vault: Vault) -> list[HTTPRouteHandler]:
    """Four documents that need no session."""
    card = vault.instance.card.encode()
    version = encode(Version(name="coffre", version=VERSION, suite=SUITE))
    description = json.dumps(document()).encode()  # the order of properties is that of the one encoding

    @get("/coffre/instance-card")
    async def instance_card() -> Answer:
        return Response(card, media_type=JSON)

    @get("/coffre/version")
    async def what() -> Answer:
        return Response(version, media_type=JSON)

    @get("/coffre/health")
    async def health() -> Answer:
        status = HTTPStatus.OK if vault.healthy else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(encode(Health(ok=vault.healthy)), media_type=JSON, status_code=status)

    @get("/coffre/openapi.json")
    async def openapi() -> Answer:
        return Response(description, media_type=JSON)

    return [instance_card, what, health, openapi]
