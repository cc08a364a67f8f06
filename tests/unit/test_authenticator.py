"""The client's own passkey: real ceremonies with the real server, cuts, older copies, and a server that asks too much."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.encoding import encode
from crypto.errors import Conflict, NeedsPasskey, NotPermitted, TooMany, Unreachable
from crypto.wire import messages as m
from crypto.wire.passkeys import (
    Confirmed,
    EachSession,
    PasskeyAnswer,
    PasskeyChallenge,
    PasskeyQuery,
    RelyingParty,
)
from crypto.wire.problems import problem_bytes
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.vault_story import Person, World, fresh
from tests.support.lying_vault import LyingVault
from tests.support.passkeys import HandMade
from vault_client.account_passkeys import AccountPasskeys, Credential
from vault_client.authenticator import Passkeys, SoftwareAuthenticator
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
from vault_server.store import passkeys as rows

PARTY = RelyingParty.of("vault.example")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A vault server."""
    async with serving(tmp_path / "data", CosigningKeeper(Clock())) as running:
        yield running


def passkeys_in(store: DeviceStore, clock: Clock, party: RelyingParty = PARTY) -> Passkeys:
    """The passkeys of somebody in ``store``."""
    return Passkeys(SoftwareAuthenticator(store, lambda: int(clock())), party, bytes(32))


class Device:
    """One device of ``person``: its passkeys as the SDK has them, and a vault that can lie to it."""

    def __init__(self, server: InProcess, person: Person, vault: Any, store: DeviceStore) -> None:
        self.vault = LyingVault(vault)
        service: Any = SimpleNamespace(
            api=self.vault,
            root=server.root.root,
            now=server.now,
            use_authenticator=lambda authenticator: None,
            is_offline=False,
        )
        self.passkeys = AccountPasskeys(store, service, SimpleNamespace(identity=person.identity))  # type: ignore[arg-type]
        self.store = store

    async def show(self) -> None:
        """Show the passkey."""
        challenge = await self.vault.begin_assertion(m.Empty())
        await self.vault.finish_assertion(self.passkeys.show(challenge))


@pytest.fixture
async def device(server: InProcess, store: DeviceStore) -> Device:
    """A device that is enrolled, but for its passkey."""
    person = await World(server).person()
    return Device(server, person, await server.api(person), store)


async def test_a_device_registers_its_passkey_and_shows_it(device: Device) -> None:
    """The server takes what python-fido2 made with the software authenticator, again and again, and lists it as ours."""
    await device.passkeys.ensure()
    known = await device.passkeys.known()
    assert [each.credential for each in known.passkeys] == [device.passkeys.own]
    for _ in range(2):
        await device.show()
    await device.passkeys.ensure()
    assert await device.passkeys.known() == known
    assert len(device.vault.asked("begin_passkey")) == 1
    with pytest.raises(Conflict, match="already"):
        await device.passkeys.add()


async def test_an_enrolment_cut_after_the_server_took_it_is_noticed(device: Device) -> None:
    """The answer was lost: at the next opening the passkey is found to be there, and no other is made."""

    async def taken_and_lost(query: Any) -> Any:
        await device.vault.honest.finish_passkey(query)
        raise Unreachable("cut")

    device.vault.forge("finish_passkey", taken_and_lost)
    with pytest.raises(Unreachable):
        await device.passkeys.ensure()
    assert device.passkeys.own is None
    device.vault.be_honest()
    await device.passkeys.ensure()
    known = await device.passkeys.known()
    assert [each.credential for each in known.passkeys] == [device.passkeys.own]
    await device.show()


@pytest.mark.parametrize("operation", ["begin_passkey", "finish_passkey", "passkeys"])
async def test_an_enrolment_cut_before_is_gone_on_with(device: Device, operation: str) -> None:
    """The question was lost: at the next opening a passkey is registered."""
    device.vault.withhold(operation, Unreachable("cut"))
    with pytest.raises(Unreachable):
        await device.passkeys.ensure()
    device.vault.be_honest()
    await device.passkeys.ensure()
    await device.show()
    assert len((await device.passkeys.known()).passkeys) == 1


async def test_a_passkey_that_was_removed_is_not_made_again_unasked(device: Device) -> None:
    """Removing this device's own leaves no key behind; ``add`` makes another when it is wanted."""
    await device.passkeys.ensure()
    other = HandMade()
    await device.show()
    await other.register(device.vault)
    own = device.passkeys.own
    assert own is not None
    await device.passkeys.remove(own)
    assert device.store.names("passkey") == []
    await device.passkeys.ensure()
    assert device.passkeys.own is None
    assert [each.credential for each in (await device.passkeys.known()).passkeys] == [other.id]
    with pytest.raises(NotPermitted, match="none here that answers"):
        await device.show()
    await device.passkeys.add()
    await device.show()


async def test_where_others_have_one_a_device_makes_none_unasked(device: Device) -> None:
    """A second device of an account asks nobody for anything by being opened."""
    await HandMade().register(device.vault)
    await device.passkeys.ensure()
    assert device.passkeys.own is None
    assert len(device.vault.asked("begin_passkey")) == 1  # the other one's
    with pytest.raises(NeedsPasskey):
        await device.passkeys.add()


async def test_a_passkey_that_a_restored_server_forgot_is_made_again(
    device: Device, server: InProcess
) -> None:
    """Passkeys are in no log: where the account has none left another is made; one that is known again is used again."""
    await device.passkeys.ensure()
    first = device.passkeys.own
    account: tuple[Any, bytes] = server.vault.passkeys._reader, device.passkeys._identity
    (row,) = await rows.passkeys(*account, PARTY.id)
    await rows.forget(*account)
    for _ in range(2):
        await device.passkeys.ensure()
    second = device.passkeys.own
    assert second not in {None, first}
    assert [each.credential for each in (await device.passkeys.known()).passkeys] == [second]
    await device.show()
    await rows.forget(*account)
    await rows.add(*account, PARTY.id, row)
    await device.passkeys.ensure()
    assert device.passkeys.own == first
    await device.show()


async def test_a_passkey_that_another_device_removed_is_not_made_again(device: Device) -> None:
    """Where the account has others it may have been removed on purpose: nothing is asked for."""
    await device.passkeys.ensure()
    await device.show()
    other = HandMade()
    await other.register(device.vault)
    await device.vault.remove_passkey(PasskeyQuery(credential=device.passkeys.own or b""))
    before = len(device.vault.asked("begin_passkey"))
    await device.passkeys.ensure()
    assert len(device.vault.asked("begin_passkey")) == before
    assert [each.credential for each in (await device.passkeys.known()).passkeys] == [other.id]


@pytest.mark.parametrize("error", [Unreachable("away"), NotPermitted("no"), TooMany("later")])
async def test_nothing_else_waits_for_a_passkey(device: Device, error: Exception) -> None:
    """A server that answers nothing about passkeys, or refuses them, is asked again the next time."""
    device.vault.withhold("passkeys", error)
    await device.passkeys.ensure_if_possible()
    assert not device.passkeys.is_begun
    device.vault.be_honest()
    await device.passkeys.ensure_if_possible()
    assert device.passkeys.is_begun


async def test_an_older_copy_of_a_profile_goes_on(device: Device, server: InProcess) -> None:
    """A passkey that fell behind is ahead again with the time."""
    await device.passkeys.ensure()
    name = f"passkey/{(device.passkeys.own or b'').hex()}"
    older = device.store.get(name, Credential)
    assert older is not None
    for _ in range(3):
        await device.show()
    device.store.put(name, older)
    with pytest.raises(NotPermitted):
        await device.show()
    server.keeper.clock.now += 60
    await device.show()


def test_a_passkey_is_for_one_service(store: DeviceStore) -> None:
    """A credential made for one relying party answers no other's challenge, and none that does not name it."""
    ours, theirs = (passkeys_in(store, Clock(), party) for party in (PARTY, RelyingParty.of("evil.example")))
    made = ours.make(PasskeyChallenge(challenge=fresh(), credentials=()))
    asked = PasskeyChallenge(challenge=fresh(), credentials=(fresh(), made.credential))
    assert ours.show(asked).credential == made.credential
    for wrong, challenge in (
        (theirs, asked),
        (ours, PasskeyChallenge(challenge=fresh(), credentials=(fresh(),))),
        (ours, PasskeyChallenge(challenge=fresh(), credentials=())),
    ):
        with pytest.raises(NotPermitted):
            wrong.show(challenge)


def test_nothing_more_is_sent_than_a_ceremony_needs(store: DeviceStore) -> None:
    """A registration holds a verified user, our key and no extension; looking for a credential signs for nobody."""
    passkeys = passkeys_in(store, Clock())
    made = passkeys.make(PasskeyChallenge(challenge=fresh(), credentials=()))
    data = made.registration.authenticator_data
    assert data[32] == 0x45
    assert len(data) == 37 + 16 + 2 + 32 + 77
    answer = passkeys.show(PasskeyChallenge(challenge=fresh(), credentials=(made.credential,)))
    assert answer.authenticator_data[32] == 0x05
    assert len(answer.authenticator_data) == 37
    assert int.from_bytes(answer.authenticator_data[33:], "big") == int.from_bytes(data[33:37], "big") + 1


class Asking:
    """A transport to a server that asks for a passkey at the operations ``asks`` names, in turn; and who shows one."""

    def __init__(self, asks: tuple[str, ...]) -> None:
        self.passkey, self.asks = HandMade(), list(asks)
        self.heard: list[str] = []

    def show(self, challenge: PasskeyChallenge) -> PasskeyAnswer:
        """As an authenticator does."""
        return self.passkey.answer(challenge)

    async def call(self, method: str, path: str, **_: Any) -> bytes:
        """Answer, or ask."""
        name = path.rpartition("/")[2]
        self.heard.append(name)
        if self.asks[:1] == [name]:
            del self.asks[0]
            raise NeedsPasskey("asked")
        if name == "begin_assertion":
            return encode(PasskeyChallenge(challenge=fresh(), credentials=()))
        return encode(Confirmed(until=1) if name == "finish_assertion" else m.Empty())


SET, BEGIN, FINISH = "set_each_session", "begin_assertion", "finish_assertion"


@pytest.mark.parametrize(
    ("asks", "heard", "is_done"),
    [
        ((), [SET], True),
        ((SET,), [SET, BEGIN, FINISH, SET], True),
        ((SET, SET), [SET, BEGIN, FINISH, SET], False),
        ((SET, BEGIN), [SET, BEGIN], False),
        ((SET, FINISH), [SET, BEGIN, FINISH], False),
    ],
)
async def test_a_passkey_is_shown_once_for_an_operation(
    asks: tuple[str, ...], heard: list[str], is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that asks again, or asks for one to show one, is not shown another; where none is, nothing is tried."""

    async def authorised(_: HttpVault) -> dict[str, str]:
        return {}

    monkeypatch.setattr(HttpVault, "_authorization", authorised)
    for has_one in (True, False):
        server = Asking(asks)
        api: Any = HttpVault(server)  # type: ignore[arg-type]
        api.authenticator = server if has_one else None
        with nullcontext() if is_done and (has_one or not asks) else pytest.raises(NeedsPasskey):
            await api.set_each_session(EachSession(required=True))
        assert server.heard == (heard if has_one else [SET])


async def test_operations_at_once_show_one_passkey(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two operations that are both asked share what is shown: a second ceremony would end the first's challenge."""

    async def authorised(_: HttpVault) -> dict[str, str]:
        await asyncio.sleep(0)
        return {}

    monkeypatch.setattr(HttpVault, "_authorization", authorised)
    server = Asking((SET, SET))
    api: Any = HttpVault(server)  # type: ignore[arg-type]
    api.authenticator = server
    query = EachSession(required=True)
    await asyncio.gather(api.set_each_session(query), api.set_each_session(query))
    assert sorted(server.heard) == sorted([SET, SET, BEGIN, FINISH, SET, SET])


def test_being_asked_for_a_passkey_is_no_other_refusal() -> None:
    """On the wire it has a code of its own."""
    assert b"coffre:needs-passkey" in problem_bytes(NeedsPasskey("x"))[1]
