"""Who is answered: the server asks of reader and team what the keepers ask, so that it logs no reading they refuse."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crypto.errors import NotFound
from crypto.identity_links import Delegate
from crypto.requests import AccessRequest
from crypto.signing import Envelope
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import DAY, Person, World, body_of, resigned
from vault_server import instance as instances


@pytest.fixture
async def running(
    tmp_path: Path, keeper: CosigningKeeper, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[InProcess]:
    """A vault whose registrar also certifies those who may never receive a grant."""
    monkeypatch.setattr(instances, "SCHEMES", (*instances.SCHEMES, "insurer"))
    async with serving(tmp_path, keeper) as service:
        yield service


async def as_delegate(granting: Granting, reader: Person, stored: Stored) -> Envelope:
    """A request by ``reader``, for the recipient of the grant."""
    envelope = await granting.request(
        stored,
        identity=reader.identity,
        device=reader.device.public.key_id,
        team=granting.recipient.identity,
    )
    return resigned(envelope, body_of(envelope, AccessRequest), reader.device)


async def test_who_may_never_receive_is_not_answered(world: World) -> None:
    """A reader who has become an insurer since the grant reads nothing, whatever else certifies them."""
    stored = Stored.random()
    granting = await granted(world, stored)
    await granting.open(stored)
    await granting.recipient.certify(subject="insurer:7")
    with pytest.raises(NotFound):
        await granting.open(stored)


async def test_a_team_that_may_not_receive_is_not_answered(world: World, keeper: CosigningKeeper) -> None:
    """Whoever acts for a team reads while both are certified, and not when the team is no more."""
    stored, record = Stored.random(), await founded(world)
    await record.add(stored)
    team, reader = await world.person(), await world.person(certified=True)
    await team.certify(until=world.service.now() + 60)
    step = Delegate(identity=reader.identity, purposes=(), until=world.service.now() + DAY)
    await team.publish(m.PublishLink(envelope=await team.link(step), parts=()))
    granting = Granting(record, team)
    await granting.grant(stored)
    api = await reader.api()
    await api.open(m.OpenRequest(request=await as_delegate(granting, reader, stored)))
    keeper.clock.now += 60
    with pytest.raises(NotFound):
        await api.open(m.OpenRequest(request=await as_delegate(granting, reader, stored)))


async def test_who_was_granted_something_sees_the_keys_of_who_granted_it(world: World) -> None:
    """A practitioner may ask for the chain of a patient with a grant to them in force; nobody else, and not after its end."""
    stored = Stored.random()
    granting = await granted(world, stored)
    holder = granting.record.holder.identity
    asked = m.IdentityQuery(identity=holder)
    stranger = await world.person(certified=True)
    with pytest.raises(NotFound):
        await (await stranger.api()).identity_chain(asked)
    reader = await granting.recipient.api()
    assert (await reader.identity_chain(asked)).identity == holder
    await granting.end()
    with pytest.raises(NotFound):
        await reader.identity_chain(asked)
