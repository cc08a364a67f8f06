"""Identity chains as the server lengthens them."""

import pytest

from crypto.encoding import encode
from crypto.errors import TooLarge
from crypto.identity_chain import known_at
from crypto.identity_links import Delegate, Keyring, Withdraw
from crypto.signing import SigningKey
from crypto.statements import part_hash
from crypto.wire import messages as m
from crypto.wire.vault_api import OPERATIONS
from tests.contract.in_process import InProcess
from tests.contract.vault_story import Person, World, fresh
from vault_server import identities
from vault_server.identities import DISCLOSURE


async def test_a_clock_set_back_does_not_break_a_chain(running: InProcess, world: World) -> None:
    """A link that comes when the server's clock is behind its last link gets the time of that link."""
    person = await world.person()
    first = person.links[0].disclosure.part.time
    for moved, expected in ((-30, first), (5, first + 5)):
        running.clock.now = first + moved
        part = fresh(50)
        envelope = await person.link(Keyring(keyring=part_hash(part)))
        await person.publish(m.PublishLink(envelope=envelope, parts=(part,)))
        assert person.links[-1].disclosure.part.time == expected
    assert known_at(person.chain, 1 << 40, world.directory, world.root.registrar_keys())


async def test_a_link_comes_with_a_large_keyring(world: World) -> None:
    """A keyring with a box for each of a team's members makes a larger question than others are."""
    person = await world.person()
    (operation,) = (each for each in OPERATIONS if each.name == "publish_link")
    part = fresh(4 << 20)
    envelope = await person.link(Keyring(keyring=part_hash(part)))
    query = m.PublishLink(envelope=envelope, parts=(part,))
    assert m.MAX_MESSAGE < len(encode(query)) < operation.limit == 8 << 20
    await person.publish(query)


async def fill(person: Person, *by: SigningKey) -> None:
    """Lengthen a chain by ever smaller links until it takes none of them any more."""

    async def lengthen(purposes: int) -> None:
        step = Delegate(identity=person.identity, purposes=("x" * 256,) * purposes, until=1)
        while True:
            envelope = await person.link(step, by=[person.device, *by])
            await person.publish(m.PublishLink(envelope=envelope, parts=()))

    for purposes in (32, 4, 0):
        with pytest.raises(TooLarge, match="Nothing was published"):
            await lengthen(purposes)


async def test_a_chain_fits_the_questions_to_keepers(
    world: World, running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full chain takes no more links of a device, then none of the root, and always some of a registrar."""
    monkeypatch.setattr(identities, "MAX_CHAIN", 100_000)
    monkeypatch.setattr(identities, "LEFT_FREE", 10_000)
    person = await world.person(certified=True)
    await fill(person)
    lengths = [len(encode(person.chain))]
    await fill(person, person.root)
    lengths.append(len(encode(person.chain)))
    envelope = await person.link(Withdraw(link=1), by=[world.service.registrar])
    running.vault.identities._folded.clear()
    await person.publish(m.PublishLink(envelope=envelope, parts=()))
    assert 70_000 < lengths[0] < 80_000 < lengths[1] < 90_000
    for link in person.links:
        assert len(encode(link)) <= len(encode(link.envelope)) + DISCLOSURE
