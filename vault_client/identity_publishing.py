"""Publishing a link of one's own identity, proved to stand in the directory where everybody looks for it."""

from collections.abc import Sequence

from crypto.errors import NotProven
from crypto.identity_links import DisclosedLink
from crypto.locators import directory_slot
from crypto.signing import Envelope
from crypto.wire.messages import PublishLink
from vault_client.service import Service


async def publish(
    service: Service, identity: bytes, n: int, envelope: Envelope, parts: Sequence[bytes]
) -> DisclosedLink:
    """Publish ``envelope``, link ``n`` of ``identity``. Raises NotProven when it is not proved to be in its place."""
    origin = service.root.directory_origin
    logged = await service.api.publish_link(PublishLink(envelope=envelope, parts=tuple(parts)))
    leaf = await service.believe_logged(origin, logged, envelope, "accepted")
    if leaf.slot_one != directory_slot(origin, identity, n):
        raise NotProven(
            "The server logged a link of the identity where nobody finds it. Nothing more was done. Ask its operator."
        )
    service.forget_directory()
    return DisclosedLink(envelope=envelope, disclosure=logged.disclosure)
