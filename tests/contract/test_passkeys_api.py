"""What every implementation of ``VaultApi`` does with passkeys: ceremonies, and what needs one."""

from typing import Any

import msgspec
import pytest

from crypto.encoding import decode, encode
from crypto.errors import Conflict, Malformed, NeedsPasskey, NotFound, NotPermitted, Unauthenticated
from crypto.es256 import Es256Key
from crypto.identity_links import (
    AddDevice,
    Complete,
    Keyring,
    Recover,
    RemoveUnlockKey,
    RevokeDevice,
    RotateRoot,
    Stop,
    UnlockKey,
    UseRoot,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from crypto.signing import SigningKey
from crypto.statements import part_hash
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from tests.contract.in_process import InProcess, log_in
from tests.contract.vault_story import Person, World, fresh
from tests.support.passkeys import (
    ATTESTED,
    EXTENDED,
    PRESENT,
    PRF_RESULT,
    VERIFIED,
    HandMade,
)
from vault_server.store.database import Transaction

WEEK = 7 * 24 * 3600

# What a ceremony may not say, and both kinds of it refuse.
WRONG: dict[str, dict[str, Any]] = {
    "another origin": {"said": {"origin": "https://evil.example"}},
    "a frame of another page": {"said": {"crossOrigin": True}},
    "the other ceremony": {"said": {"type": "payment.get"}},
    "another challenge": {"said": {"challenge": "AAAA"}},
    "a result beside the four fields": {"said": {"prf": {"results": {"first": "AAAA"}}}},
    "another relying party": {"party": "evil.example"},
    "nobody verified": {"flags": PRESENT},
    "nobody present": {"flags": VERIFIED},
    "an extension announced": {"flags": PRESENT | VERIFIED | EXTENDED},
    "copies kept that may not be": {"flags": PRESENT | VERIFIED | 0x10},
}


async def gated(world: World) -> tuple[Person, HandMade]:
    """Somebody with a passkey, which was not shown since."""
    person, passkey = await world.person(), HandMade()
    await passkey.register(await person.api())
    return person, passkey


async def test_a_passkey_is_registered_and_shown(world: World) -> None:
    """The first needs a session alone; it is listed, and answers."""
    person, passkey = await gated(world)
    api = await person.api()
    known = await api.passkeys(m.Empty())
    assert [(each.credential, each.synced) for each in known.passkeys] == [(passkey.id, False)]
    assert not known.each_session
    challenge = await api.begin_assertion(m.Empty())
    assert challenge.credentials == (passkey.id,)
    confirmed = await api.finish_assertion(passkey.answer(challenge))
    assert confirmed.until == world.service.now() + 300


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_a_ceremony_that_does_not_fit_is_refused(world: World, changes: dict[str, Any]) -> None:
    """Origin, relying party, flags, fields: each refused in the same words, at registration and afterwards."""
    person, passkey = await gated(world)
    stranger = await world.person()
    said = set()
    with pytest.raises(NotPermitted) as refused:
        await passkey.show(await person.api(), **changes)
    said.add(str(refused.value))
    with pytest.raises(NotPermitted) as refused:
        await HandMade().register(await stranger.api(), **changes)
    said.add(str(refused.value))
    with pytest.raises(NotPermitted) as refused:
        await passkey.show(await person.api(), credential=fresh())
    said.add(str(refused.value))
    assert len(said) == 1
    assert (await (await stranger.api()).passkeys(m.Empty())).passkeys == ()
    with pytest.raises(NeedsPasskey):
        await (await person.api()).begin_passkey(m.Empty())


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": PRESENT | VERIFIED | EXTENDED, "extension": PRF_RESULT},
        {"extension": PRF_RESULT},
        {"cose": b""},
        {"cose": Es256Key.generate().cose + b"\x00"},
        {"cose": bytes.fromhex("a401010327200621582080") + bytes(31)},
        {"cose": b"\x81" * 1800},
        {"cose": bytes.fromhex("a5010203262001215820") + bytes(32) + bytes.fromhex("225820") + bytes(32)},
    ],
    ids=[
        "PRF result",
        "unannounced PRF result",
        "no key",
        "more than a key",
        "a key of another algorithm",
        "nesting",
        "no point of the curve",
    ],
)
async def test_what_else_a_registration_may_not_hold(world: World, changes: dict[str, Any]) -> None:
    """No result of an extension, and no key that is none."""
    person = await world.person()
    with pytest.raises(NotPermitted, match="does not fit"):
        await HandMade().register(await person.api(), **changes)
    assert (await (await person.api()).passkeys(m.Empty())).passkeys == ()


async def test_an_assertion_has_no_place_for_more(world: World) -> None:
    """A key or an extension's result behind the 37 bytes is refused; the message has no room for them at all."""
    person, passkey = await gated(world)
    api = await person.api()
    for flags in (PRESENT | VERIFIED | ATTESTED, PRESENT | VERIFIED | EXTENDED):
        with pytest.raises(NotPermitted):
            await passkey.show(api, flags=flags)
    longer = passkey.answer(await api.begin_assertion(m.Empty()))
    longer = msgspec.structs.replace(longer, authenticator_data=longer.authenticator_data + PRF_RESULT)
    with pytest.raises(Malformed):
        decode(encode(longer), p.PasskeyAnswer)


async def test_an_answer_counts_once_and_for_two_minutes(world: World, service: InProcess) -> None:
    """Neither a used challenge, nor an old one, nor one that a newer has replaced, nor one for the other purpose."""
    person, passkey = await gated(world)
    api = await person.api()
    answer = passkey.answer(await api.begin_assertion(m.Empty()))
    await api.finish_assertion(answer)
    with pytest.raises(NotPermitted):
        await api.finish_assertion(answer)
    replaced = await api.begin_assertion(m.Empty())
    await api.begin_assertion(m.Empty())
    with pytest.raises(NotPermitted):
        await api.finish_assertion(passkey.answer(replaced))
    other = await api.begin_passkey(m.Empty())
    with pytest.raises(NotPermitted):
        await api.finish_assertion(passkey.answer(other))
    late = await api.begin_assertion(m.Empty())
    service.clock.now += 120
    with pytest.raises(NotPermitted):
        await api.finish_assertion(passkey.answer(late))


async def test_a_challenge_is_of_one_session(world: World, service: InProcess) -> None:
    """What was begun in one session of an account is not finished in another, and what is shown there counts there."""
    person, passkey = await gated(world)
    first = await person.api()
    token = (await log_in(service, person)).token
    second = service.vault.for_session(await service.vault.sessions.authenticate(token))
    challenge = await first.begin_assertion(m.Empty())
    with pytest.raises(NotPermitted):
        await second.finish_assertion(passkey.answer(challenge))
    await first.finish_assertion(passkey.answer(challenge))
    await first.begin_passkey(m.Empty())
    with pytest.raises(NeedsPasskey):
        await second.begin_passkey(m.Empty())


async def test_a_passkey_opens_its_own_account_only(world: World) -> None:
    """Another account's passkey, and another key under this one's id, are refused."""
    person, passkey = await gated(world)
    other, theirs = await gated(world)
    with pytest.raises(NotPermitted):
        await theirs.show(await person.api())
    with pytest.raises(NotPermitted):
        await passkey.show(await person.api(), by=theirs)
    await theirs.show(await other.api())


async def test_a_count_that_goes_back_is_refused(world: World) -> None:
    """A copy of a passkey that fell behind opens nothing; one that never counts is taken as it is."""
    person, passkey = await gated(world)
    await passkey.show(await person.api(), count=7)
    for count in (7, 6, 0):
        with pytest.raises(NotPermitted):
            await passkey.show(await person.api(), count=count)
    await passkey.show(await person.api(), count=8)
    uncounted, silent = await gated(world)
    await silent.show(await uncounted.api(), count=0)
    await silent.show(await uncounted.api(), count=0)


async def test_passkeys_are_changed_with_one_of_them_only(world: World, service: InProcess) -> None:
    """Adding, removing and the setting need one shown within five minutes; the last stays; at most eight."""
    person, passkey = await gated(world)
    api, second = await person.api(), HandMade()
    for change in (
        lambda: api.begin_passkey(m.Empty()),
        lambda: api.remove_passkey(p.PasskeyQuery(credential=passkey.id)),
        lambda: api.set_each_session(p.EachSession(required=True)),
    ):
        with pytest.raises(NeedsPasskey):
            await change()
    await passkey.show(api)
    with pytest.raises(NotPermitted, match="only passkey"):
        await api.remove_passkey(p.PasskeyQuery(credential=passkey.id))
    with pytest.raises(NotFound):
        await api.remove_passkey(p.PasskeyQuery(credential=fresh()))
    await second.register(api)
    with pytest.raises(Conflict):
        await second.register(api)
    await api.remove_passkey(p.PasskeyQuery(credential=passkey.id))
    with pytest.raises(NotPermitted):
        await passkey.show(api)
    service.clock.now += 300
    with pytest.raises(NeedsPasskey):
        await api.begin_passkey(m.Empty())
    await second.show(api)
    for _ in range(p.MAX_PASSKEYS - 1):
        await HandMade().register(api)
    with pytest.raises(NotPermitted, match="at most 8"):
        await api.begin_passkey(m.Empty())


async def test_of_two_first_passkeys_the_second_needs_the_first(world: World) -> None:
    """Two registrations begun by an account without passkeys do not both come through unshown."""
    person = await world.person()
    api, first, second = await person.api(), HandMade(), HandMade()
    challenge = await api.begin_passkey(m.Empty())
    made = first.registration(challenge)
    await api.finish_passkey(made)
    with pytest.raises(NotPermitted):
        await api.finish_passkey(second.registration(challenge))
    with pytest.raises(NeedsPasskey):
        await api.begin_passkey(m.Empty())


async def test_an_account_may_want_a_passkey_at_each_session(world: World, service: InProcess) -> None:
    """With the setting a new session does nothing but show a passkey; shown once, it does everything until its end."""
    person, passkey = await gated(world)
    with pytest.raises(NotPermitted):
        await (await (await world.person()).api()).set_each_session(p.EachSession(required=True))
    api = await person.api()
    await passkey.show(api)
    await api.set_each_session(p.EachSession(required=True))
    assert (await api.passkeys(m.Empty())).each_session
    token = (await log_in(service, person)).token

    async def fresh_session() -> Any:
        return service.vault.for_session(await service.vault.sessions.authenticate(token))

    for asked in ("reserve", "passkeys"):
        with pytest.raises(NeedsPasskey):
            await getattr(await fresh_session(), asked)(m.Empty())
    with pytest.raises(NeedsPasskey):
        await (await fresh_session()).mailbox(m.MailboxQuery(after=0))
    await passkey.show(await fresh_session())
    await (await fresh_session()).mailbox(m.MailboxQuery(after=0))
    await (await fresh_session()).set_each_session(p.EachSession(required=False))
    token = (await log_in(service, person)).token
    await (await fresh_session()).mailbox(m.MailboxQuery(after=0))


async def test_under_another_name_accounts_begin_again(world: World, service: InProcess) -> None:
    """Passkeys for an earlier name of the service count no more, nor does the wish that no session could then fulfil."""
    person, passkey = await gated(world)
    api = await person.api()
    await passkey.show(api)
    await api.set_each_session(p.EachSession(required=True))

    async def rename(transaction: Transaction) -> None:
        await transaction.all("UPDATE passkeys SET party = $1", "earlier.example")

    await service.vault.writer.run(rename)
    service.vault.second_gate._each.clear()  # it starts anew with the name
    api = await person.api()
    assert await api.passkeys(m.Empty()) == p.Passkeys(passkeys=(), each_session=False)
    await HandMade().register(api)
    service.vault.second_gate._each.clear()
    shown = await (await person.api()).passkeys(m.Empty())
    assert (len(shown.passkeys), shown.each_session) == (1, False)


async def test_nobody_has_no_passkeys(world: World) -> None:
    """Without a session there is no ceremony."""
    api = await world.service.api()
    for asked in (api.begin_passkey, api.begin_assertion, api.passkeys):
        with pytest.raises(Unauthenticated):
            await asked(m.Empty())


def device_steps() -> tuple[AddDevice, SigningKey]:
    """A new device, and its key."""
    signing = SigningKey.generate()
    return AddDevice(signing=signing.public.raw, sealing=UnsealingKey.generate().public), signing


async def test_a_device_alone_does_not_change_who_gets_at_the_account(world: World) -> None:
    """Each step that changes access needs a passkey of just this account; what does not change it needs none."""
    person, passkey = await gated(world)
    other, theirs = await gated(world)
    await theirs.show(await other.api())
    adding, new_device = device_steps()
    root = SigningKey.generate()
    unlock = UnlockKey(kind="passkey", key=UnsealingKey.generate().public, recovery=None)
    own = RemoveUnlockKey(key=key_hash(person.unsealing.public))
    for steps, by in (
        ((adding,), [person.device, new_device]),
        ((unlock,), [person.device]),
        ((own,), [person.device]),
        ((RotateRoot(key=root.public.raw),), [person.device, root]),
    ):
        query = m.PublishLink(envelope=await person.link(*steps, by=by), parts=())
        for api in (await world.service.api(), await person.api(), await other.api()):
            with pytest.raises(NeedsPasskey):
                await api.publish_link(query)
    keyring = fresh(60)
    plain = await person.link(Keyring(keyring=part_hash(keyring)))
    await person.publish(m.PublishLink(envelope=plain, parts=(keyring,)))
    await passkey.show(await person.api())
    envelope = await person.link(adding, by=[person.device, new_device])
    await person.publish_as_oneself(m.PublishLink(envelope=envelope, parts=()))
    revoking = await person.link(RevokeDevice(device=new_device.public.key_id))
    await person.publish(m.PublishLink(envelope=revoking, parts=()))


async def test_without_passkeys_a_device_is_enough(world: World) -> None:
    """An account that has none yet is not shut out."""
    person = await world.person()
    adding, new_device = device_steps()
    envelope = await person.link(adding, by=[person.device, new_device])
    await person.publish(m.PublishLink(envelope=envelope, parts=()))


async def test_the_root_is_a_gate_of_its_own(world: World) -> None:
    """What the kit signs needs no passkey: it waits seven days in the chain, where a device can stop it."""
    person, _ = await gated(world)
    adding, new_device = device_steps()
    await person.publish(
        m.PublishLink(envelope=await person.link(UseRoot(purpose="looking"), by=[person.root]), parts=())
    )
    asked = await person.link(adding, by=[person.root, new_device])
    await person.publish(m.PublishLink(envelope=asked, parts=()))
    number = len(person.links) - 1
    done = await person.link(Complete(link=number), by=[person.root])
    with pytest.raises(NotPermitted, match="seven days"):
        await person.publish(m.PublishLink(envelope=done, parts=()))
    stopping = await person.link(Stop(link=number))
    await person.publish(m.PublishLink(envelope=stopping, parts=()))


async def test_what_waited_at_a_devices_wish_needs_a_passkey_again(world: World, service: InProcess) -> None:
    """A device that asked for another root with a passkey needs one seven days later too."""
    person, passkey = await gated(world)
    root = SigningKey.generate()
    await passkey.show(await person.api())
    asked = await person.link(RotateRoot(key=root.public.raw), by=[person.device, root])
    await person.publish_as_oneself(m.PublishLink(envelope=asked, parts=()))
    number = len(person.links) - 1
    service.clock.now += WEEK
    await service.vault.open_logs()
    done = m.PublishLink(envelope=await person.link(Complete(link=number)), parts=())
    with pytest.raises(NeedsPasskey):
        await person.publish(done)


async def test_a_recovery_ends_the_passkeys_with_the_devices(world: World) -> None:
    """After ``recover`` by the kit the lost devices' passkeys count no more, and the new device registers the first."""
    person, passkey = await gated(world)
    api = await person.api()
    await passkey.show(api)
    await api.set_each_session(p.EachSession(required=True))
    adding, new_device = device_steps()
    recovery = await person.link(Recover(), adding, by=[person.root, new_device])
    await person.publish(m.PublishLink(envelope=recovery, parts=()))
    person.device = new_device
    assert await (await person.api()).passkeys(m.Empty()) == p.Passkeys(passkeys=(), each_session=False)
    await HandMade().register(await person.api())
