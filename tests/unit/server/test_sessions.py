"""Sessions: fresh nonces, live devices, an hour."""

import pytest

from crypto.errors import Unauthenticated
from crypto.identity_links import RevokeDevice
from crypto.wire import messages as m
from crypto.wire import sessions as s
from tests.contract.in_process import CosigningKeeper, InProcess, log_in
from tests.contract.vault_story import Person, World, fresh


async def test_a_session_is_its_devices_for_an_hour(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """The token names the account until it ends; only its hash is stored."""
    person = await world.person()
    session = await log_in(running, person)
    account = await running.vault.sessions.authenticate(session.token)
    assert account.identity == person.identity
    stored = await running.vault._database.reader.all("SELECT token FROM sessions")
    assert session.token.encode() not in stored[0][0]
    assert session.token not in repr(session)
    keeper.clock.now = session.until
    with pytest.raises(Unauthenticated):
        await running.vault.sessions.authenticate(session.token)


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ("other.example",)},
        {"nonce": fresh()},
        {"minute": 5},
        {"identity": fresh()},
        {"device": fresh()},
    ],
)
async def test_a_statement_that_is_not_for_this_moment_and_place_is_refused(
    running: InProcess, world: World, changes: dict[str, object]
) -> None:
    """Hosts, nonce, minute, account and device must all be right; the refusal does not say which was not."""
    person = await world.person()
    with pytest.raises(Unauthenticated, match="Nobody was logged in"):
        await log_in(running, person, **changes)


async def test_a_nonce_counts_once_and_for_two_minutes(
    running: InProcess, world: World, keeper: CosigningKeeper
) -> None:
    """A statement cannot be sent again, nor kept for later."""
    person = await world.person()
    device = person.device.public.key_id
    query = s.LoginRequest(identity=person.identity, device=device)
    nonce = running.vault.sessions.challenge(query).nonce
    running.vault.sessions._nonces.give(fresh(), query)
    await _log_in_with(running, person, nonce)
    with pytest.raises(Unauthenticated):
        await _log_in_with(running, person, nonce)
    late = running.vault.sessions.challenge(query).nonce
    keeper.clock.now += 121
    with pytest.raises(Unauthenticated):
        await _log_in_with(running, person, late)


async def _log_in_with(running: InProcess, person: Person, nonce: bytes) -> None:
    await log_in(running, person, nonce=nonce)


async def test_strangers_and_other_keys_get_nothing(running: InProcess, world: World) -> None:
    """A device that is not the identity's, and an identity that is not there, are refused alike."""
    person, other = await world.person(), await world.person()
    nobody = Person(world)
    with pytest.raises(Unauthenticated):
        await log_in(running, nobody)
    person.device = other.device
    with pytest.raises(Unauthenticated):
        await log_in(running, person)
    for token in ("", "x", "é" * 40):
        with pytest.raises(Unauthenticated):
            await running.vault.sessions.authenticate(token)


async def test_a_session_ends_with_its_device(running: InProcess, world: World) -> None:
    """Revoking the device ends what it began."""
    person = await world.person()
    token = (await log_in(running, person)).token
    envelope = await person.link(RevokeDevice(device=person.device.public.key_id))
    await person.publish(m.PublishLink(envelope=envelope, parts=()))
    with pytest.raises(Unauthenticated):
        await running.vault.sessions.authenticate(token)
