"""A practitioner's software that was changed: it signs what it likes, and asks whom it likes."""

import secrets
from typing import Any

import msgspec

from crypto import labels
from crypto.encoding import decode
from crypto.grants import Act
from crypto.requests import AccessRequest
from crypto.signing import Envelope, SigningKey, sign
from crypto.wire.keeper_api import ReleaseQuery
from crypto.wire.messages import Logged, OpenRequest
from tests.adversary.story import Story
from vault_client.opening import LoggedRequest, Wanted
from vault_client.practitioner import TREATMENT


def wanted(story: Story, number: int = 0) -> Wanted:
    """A granted document, as its row has it."""
    row = story.reader.grants.row(story.grant.entry.gid, story.documents[number].doc)
    return Wanted(doc=row.doc, ver=row.ver, ct_root=row.ct_root, wrap=row.wrap)


async def request(
    story: Story, *, act: Act = "release", number: int = 0, key: SigningKey | None = None, **changes: Any
) -> Envelope:
    """A request for a granted document, as the real software makes it, but for ``changes``."""
    grant = story.reader.grants.get(story.grant.entry.gid)
    honest = await story.reader._opener.sign(grant, [wanted(story, number)], act, TREATMENT)
    body = msgspec.structs.replace(decode(honest.body, AccessRequest), **changes)
    return sign(labels.ACCESS_REQUEST, body, key or story.reader.own.device)


async def logged(story: Story, envelope: Envelope) -> Logged:
    """Have the honest server log a request."""
    return (await story.reader_vault.honest.open(OpenRequest(request=envelope))).logged


async def ask_keeper(story: Story, envelope: Envelope, proof: Logged, **changes: Any) -> Any:
    """Ask the honest keeper for its half, whatever the proof is worth."""
    query = ReleaseQuery(
        request=envelope,
        logged=proof,
        blob=story.grant.blobs[0],
        reader=story.reader.own.profile.chain,
        team=None,
    )
    return await story.reader_keeper.release(msgspec.structs.replace(query, **changes))


async def opened(story: Story, envelope: Envelope, proof: Logged, *asked: Wanted) -> list[bytes]:
    """What the keeper's answer opens: document keys. Raises as the real software does."""
    grant = story.reader.grants.get(story.grant.entry.gid)
    blobs = {blob.keeper: blob for blob in story.grant.blobs}
    made = LoggedRequest(grant, asked, envelope, proof, blobs)
    return [key.reveal() for key in await story.reader._opener.release(made)]


def fresh(size: int = 32) -> bytes:
    """Random bytes."""
    return secrets.token_bytes(size)
