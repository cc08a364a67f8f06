"""A thief of a device's keys at an honest server, and who would get in with a defence of the second gate taken away.

Each attack is refused; the same attack, with the one defence gone, succeeds. The control is the owner, who gets in.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import webauthn

from crypto import labels
from crypto.errors import NeedsPasskey, NotPermitted, Unreachable
from crypto.identity_links import AddDevice, IdentityLink
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey, sign
from crypto.wire import messages as m
from crypto.wire.passkeys import EachSession, PasskeyQuery
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, log_in, serving
from tests.contract.vault_story import Person, World
from tests.support.instance import Instance
from tests.support.passkeys import PRESENT, HandMade
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
from vault_client.patient import Patient
from vault_server import passkeys, second_gate
from vault_server.vault import VaultSession

FOREIGN = {"said": {"origin": "https://evil.example"}}
UNVERIFIED = {"flags": PRESENT}
WITH_RESULT = {"said": {"prf": {"results": {"first": "c2VjcmV0"}}}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[InProcess]:
    """An honest server."""
    async with serving(tmp_path / "data", CosigningKeeper(Clock())) as running:
        yield running


@pytest.fixture
async def owner(server: InProcess) -> tuple[Person, HandMade]:
    """The owner of an account with a passkey."""
    person, passkey = await World(server).person(), HandMade()
    await passkey.register(await server.api(person))
    return person, passkey


async def thief(server: InProcess, person: Person) -> VaultSession:
    """A session of whoever has the device's keys, and no passkey."""
    token = (await log_in(server, person)).token
    return server.vault.for_session(await server.vault.sessions.authenticate(token))


async def new_device(person: Person) -> m.PublishLink:
    """A link that adds a device, signed by the device that is there."""
    signing = SigningKey.generate()
    step = AddDevice(signing=signing.public.raw, sealing=UnsealingKey.generate().public)
    return m.PublishLink(envelope=await person.link(step, by=[person.device, signing]), parts=())


async def test_a_thief_of_device_keys_adds_no_device(
    server: InProcess, owner: tuple[Person, HandMade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner adds a device with the passkey; whoever has the keys alone does not, in whatever session."""
    person, passkey = owner
    stolen = await thief(server, person)
    with pytest.raises(NeedsPasskey):
        await stolen.publish_link(await new_device(person))
    await passkey.show(await person.api())
    with pytest.raises(NeedsPasskey):  # the owner's raised session is not the thief's
        await stolen.publish_link(await new_device(person))
    await person.publish_as_oneself(await new_device(person))
    # Without the gate the thief's device is in.
    monkeypatch.setattr(second_gate, "changes_access", lambda *_: False)
    await stolen.publish_link(await new_device(person))


async def test_a_thief_does_not_make_a_passkey_of_their_own(
    server: InProcess, owner: tuple[Person, HandMade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither registering, removing nor the setting is done without a passkey that is there."""
    person, passkey = owner
    stolen = await thief(server, person)
    for change in (
        lambda: stolen.begin_passkey(m.Empty()),
        lambda: stolen.remove_passkey(PasskeyQuery(credential=passkey.id)),
        lambda: stolen.set_each_session(EachSession(required=False)),
    ):
        with pytest.raises(NeedsPasskey):
            await change()
    monkeypatch.setattr(second_gate.SecondGate, "is_raised", lambda *_: True)
    await HandMade().register(stolen)


@pytest.mark.parametrize(
    ("changes", "defence"),
    [
        (FOREIGN, {"expected_origin": ["https://evil.example", "https://vault.example"]}),
        (UNVERIFIED, {"require_user_verification": False}),
        ({"party": "evil.example"}, {"expected_rp_id": "evil.example"}),
        ({"count": 5}, {"credential_current_sign_count": 0}),
    ],
    ids=["a page elsewhere", "nobody verified", "another service", "a copy that fell behind"],
)
async def test_an_answer_made_for_something_else_is_refused(
    server: InProcess,
    owner: tuple[Person, HandMade],
    changes: dict[str, Any],
    defence: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer phished elsewhere, made without its user, or by an older copy opens nothing."""
    person, passkey = owner
    api = await person.api()
    await passkey.show(api, count=7)
    with pytest.raises(NotPermitted):
        await passkey.show(api, **changes)
    honest = webauthn.verify_authentication_response
    monkeypatch.setattr(
        passkeys, "verify_authentication_response", lambda **checks: honest(**(checks | defence))
    )
    await passkey.show(api, **({"count": 8} | changes))


async def test_a_secret_of_an_authenticator_is_not_taken(
    server: InProcess, owner: tuple[Person, HandMade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A careless client that sends what its authenticator derived is refused, so no server learns to ask for it."""
    person, passkey = owner
    api = await person.api()
    with pytest.raises(NotPermitted):
        await passkey.show(api, **WITH_RESULT)
    loose = msgspec.defstruct("loose", [])
    monkeypatch.setattr(passkeys, "_ClientData", loose)
    await passkey.show(api, **WITH_RESULT)


async def test_an_answer_replayed_is_refused(
    server: InProcess, owner: tuple[Person, HandMade], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was shown once is not shown again by whoever saw it, be it by a passkey that does not count."""
    person, passkey = owner
    api = await person.api()
    answer = passkey.answer(await api.begin_assertion(m.Empty()), count=0)
    await api.finish_assertion(answer)
    with pytest.raises(NotPermitted):
        await api.finish_assertion(answer)
    challenge = await api.begin_assertion(m.Empty())
    kept = passkey.answer(challenge, count=0)
    monkeypatch.setattr(passkeys.AccountPasskeys, "_taken", lambda *_: challenge.challenge)
    await api.finish_assertion(kept)
    await api.finish_assertion(kept)


async def adding(patient: Patient) -> m.PublishLink:
    """A link that adds a device to ``patient``, signed on their own."""
    signing, chain = SigningKey.generate(), patient.own.profile.chain
    body = IdentityLink(
        suite=labels.SUITE,
        identity=patient.own.identity,
        n=len(chain.links),
        prev=chain.links[-1].envelope.digest,
        operations=(AddDevice(signing=signing.public.raw, sealing=UnsealingKey.generate().public),),
        view=await patient.service.view(patient.service.root.directory_origin),
    )
    envelope = sign(labels.IDENTITY_LINK, body, patient.own.device, signing)
    return m.PublishLink(envelope=envelope, parts=())


async def test_an_unfinished_enrolment_opens_on_a_half_dead_server(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server says nothing of passkeys the record opens all the same; one is made when it does."""
    key, folder = SecretBytes.random(), tmp_path / "patient"

    async def silent(*_: object) -> None:
        raise Unreachable("No answer.")

    for operation in ("passkeys", "begin_passkey", "finish_passkey"):
        with monkeypatch.context() as half_dead:
            half_dead.setattr(HttpVault, operation, silent)
            if not folder.exists():
                store = DeviceStore.create_with_key(folder, key)
                with pytest.raises(Unreachable):
                    await Patient.begin(store, folder, card=instance.card, keep_kit=lambda kit: None)
            async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
                assert (await patient.sync(), patient.passkeys.is_begun) == (0, False)
    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
        assert [each.credential for each in (await patient.passkeys.known()).passkeys] == [
            patient.passkeys.own
        ]


async def test_a_profile_without_its_passkey_does_nothing_that_needs_one(
    instance: Instance, tmp_path: Path
) -> None:
    """Over HTTP: a device is added, and each session begun, with the passkey answering by itself; without it, neither."""
    key, folder = SecretBytes.random(), tmp_path / "patient"
    store = DeviceStore.create_with_key(folder, key)
    async with await Patient.begin(store, folder, card=instance.card, keep_kit=lambda kit: None) as patient:
        own = patient.passkeys.own
        assert [each.credential for each in (await patient.passkeys.known()).passkeys] == [own]
        await patient.service.api.publish_link(await adding(patient))
        await patient.own.refresh(patient.service, store)
        await patient.passkeys.set_each_session(required=True)
    source = tmp_path / "a.txt"
    source.write_bytes(b"a" * 70_000)
    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
        document = await patient.add(source)
    async with await Patient.resume(DeviceStore.open_with_key(folder, key), folder) as patient:
        await patient.get(document.doc, tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == source.read_bytes()
    store = DeviceStore.open_with_key(folder, key)
    (name,) = store.names("passkey")
    store.delete(name)
    async with await Patient.resume(store, folder) as patient:
        with pytest.raises(NotPermitted, match="none here that answers"):
            await patient.add(source)
        link = await adding(patient)
        with pytest.raises(NotPermitted, match="none here that answers"):
            await patient.service.api.publish_link(link)
