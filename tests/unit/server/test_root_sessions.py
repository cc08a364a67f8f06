"""Sessions from a recovery kit: short, for one's own chain, and for its keyring once that is shown to all devices."""

from pathlib import Path
from typing import Any

import pytest

from crypto import labels
from crypto.errors import NotFound, NotPermitted, Unauthenticated
from crypto.identity_links import FETCH_KEYRING, RotateRoot, UseRoot, root_use
from crypto.signing import SigningKey, sign
from crypto.statements import part_hash
from crypto.wire import messages as m
from crypto.wire import sessions as s
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.record_story import founded
from tests.contract.vault_story import Person, World, fresh
from vault_server.sessions import ROOT_SESSION_SECONDS
from vault_server.vault import VaultSession


async def session(running: InProcess, root: SigningKey, /, **changes: Any) -> s.RootSession:
    """Log in with a root, by a statement that a test may change."""
    api, name = running.vault.for_session(None), root.public.key_id
    nonce = (await api.root_challenge(s.RootLoginRequest(root=name))).nonce
    fields: dict[str, Any] = {
        "hosts": running.root.root.hosts,
        "root": name,
        "nonce": nonce,
        "minute": running.now() // 60,
    }
    label, key = changes.pop("label", labels.ROOT_LOGIN), changes.pop("key", root)
    return await api.root_login(
        s.RootLogin(statement=sign(label, s.RootLoginStatement(**(fields | changes)), key))
    )


async def logged_in(running: InProcess, person: Person) -> VaultSession:
    """The operations, by the session of a person's root."""
    token = (await session(running, person.root)).token
    return running.vault.for_session(await running.vault.sessions.authenticate(token))


async def use_root(person: Person, purpose: str = FETCH_KEYRING) -> None:
    """Show a use of the root in the directory."""
    envelope = await person.link(UseRoot(purpose=purpose), by=[person.root])
    assert root_use(envelope) == purpose
    await person.publish(m.PublishLink(envelope=envelope, parts=()))


async def test_the_root_finds_its_identity(running: InProcess, world: World) -> None:
    """The root alone says whose session it is; it lasts a quarter of an hour, over any restart."""
    person = await world.person()
    begun = await session(running, person.root)
    assert begun.identity == person.identity
    assert begun.token not in repr(begun)
    running.vault.sessions._accounts.clear()
    account = await running.vault.sessions.authenticate(begun.token)
    assert account.by_root
    running.clock.now += ROOT_SESSION_SECONDS
    with pytest.raises(Unauthenticated):
        await running.vault.sessions.authenticate(begun.token)


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ("other.example",)},
        {"nonce": fresh()},
        {"minute": 5},
        {"root": fresh()},
        {"key": SigningKey.generate()},
        {"label": labels.LOGIN},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_statement_for_another_moment_place_or_purpose_is_refused(
    running: InProcess, world: World, changes: dict[str, Any]
) -> None:
    """Hosts, nonce, minute, root, signature and label must be right; the refusal does not say which was not."""
    person = await world.person()
    with pytest.raises(Unauthenticated, match="not signed by the kit in force"):
        await session(running, person.root, **changes)


async def test_nobody_logs_in_with_a_key_that_is_no_root(running: InProcess, world: World) -> None:
    """An unknown root, a device's key, a nonce used twice or asked for with another key: refused alike."""
    person, other = await world.person(), await world.person()
    for key in (SigningKey.generate(), person.device):
        with pytest.raises(Unauthenticated, match="not signed by the kit in force"):
            await session(running, key)
    name = other.root.public.key_id
    nonce = running.vault.sessions.challenge(s.RootLoginRequest(root=name)).nonce
    with pytest.raises(Unauthenticated):
        await session(running, person.root, nonce=nonce)
    nonce = running.vault.sessions.challenge(
        s.LoginRequest(identity=person.identity, device=person.root.public.key_id)
    ).nonce
    with pytest.raises(Unauthenticated):
        await session(running, person.root, nonce=nonce)


async def test_a_session_ends_with_its_root(running: InProcess, world: World) -> None:
    """A kit that was replaced logs in no more, and what it began is over; the new one finds the identity."""
    person, new = await world.person(), SigningKey.generate()
    token = (await session(running, person.root)).token
    envelope = await person.link(RotateRoot(key=new.public.raw), by=[person.root, new])
    await person.publish(m.PublishLink(envelope=envelope, parts=()))
    with pytest.raises(Unauthenticated):
        await running.vault.sessions.authenticate(token)
    with pytest.raises(Unauthenticated):
        await session(running, person.root)
    assert (await session(running, new)).identity == person.identity


async def test_the_keyring_is_sent_once_its_use_is_shown(running: InProcess, world: World) -> None:
    """Without the link, with one for another purpose, or a quarter of an hour after it, the keyring is not sent."""
    person = await world.person()
    query = m.PartQuery(vault=None, hashes=(part_hash(person.keyring),))
    api = await logged_in(running, person)
    with pytest.raises(NotPermitted, match="does not show yet"):
        await api.parts(query)
    await use_root(person, "something else")
    with pytest.raises(NotPermitted, match="does not show yet"):
        await api.parts(query)
    await use_root(person)
    assert (await api.parts(query)).parts == (person.keyring,)
    running.clock.now += ROOT_SESSION_SECONDS + 1
    late = await logged_in(running, person)
    with pytest.raises(NotPermitted, match="does not show yet"):
        await late.parts(query)


async def test_the_root_is_for_getting_the_identity_back_and_nothing_else(
    running: InProcess, world: World
) -> None:
    """One's own chain is shown; a certified stranger's, a vault's parts, and every other operation are not."""
    record, other = await founded(world), await world.person(certified=True)
    person = record.holder
    await use_root(person)
    api = await logged_in(running, person)
    assert await api.identity_chain(m.IdentityQuery(identity=person.identity)) == person.chain
    vault, some = record.id, fresh()
    for refused in (
        api.identity_chain(m.IdentityQuery(identity=other.identity)),
        api.parts(m.PartQuery(vault=vault, hashes=(part_hash(record.epoch.keyring),))),
        api.held_vaults(m.Empty()),
        api.links(m.LinkQuery(vault=vault, since=0)),
        api.openings(m.OpeningQuery(vault=vault, since=0)),
        api.grant_event(m.GrantEventQuery(vault=vault, gid=some, j=0)),
        api.reserve(m.Empty()),
        api.append_link(await record.submission()),
        api.upload_status(m.UploadQuery(vault=vault, ver=some[:16])),
        api.mailbox(m.MailboxQuery(after=0)),
        anext(api.ciphertext(m.CiphertextQuery(vault=vault, request=None, ver=some[:16], start=0))),
    ):
        with pytest.raises(NotPermitted, match="for nothing else"):
            await refused


async def test_holders_are_told_what_they_hold(world: World) -> None:
    """One's own vaults and their grants' events are shown to one, and to nobody else."""
    record, stranger = await founded(world), await world.person()
    mine, theirs = await record.holder.api(), await stranger.api()
    assert (await mine.held_vaults(m.Empty())).vaults == (record.id,)
    assert (await theirs.held_vaults(m.Empty())).vaults == ()
    for api in (mine, theirs):
        with pytest.raises(NotFound):
            await api.grant_event(m.GrantEventQuery(vault=record.id, gid=fresh(), j=0))


async def test_a_store_from_before_is_carried_over(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """Identities of a store that could not find them by their root yet are found after the next start."""
    async with serving(tmp_path, keeper) as service:
        person = await World(service).person()

        async def forget(transaction: Any) -> None:
            await transaction.all("DROP TABLE roots")
            await transaction.all("DELETE FROM migrations WHERE version = 2")

        await service.vault.writer.run(forget)
    async with serving(tmp_path, keeper) as service:
        assert (await session(service, person.root)).identity == person.identity
