"""What every implementation of ``VaultApi`` does: the instance, and identities."""

import asyncio

import msgspec
import pytest

from crypto.errors import (
    BadSignature,
    Conflict,
    NotFound,
    NotPermitted,
    Stale,
    Unauthenticated,
)
from crypto.identity_links import IdentityLink, Keyring
from crypto.signing import SigningKey
from crypto.statements import Head, part_hash
from crypto.wire import messages as m
from tests.contract.record_story import everything
from tests.contract.vault_story import World, body_of, fresh, leaves, resigned


async def test_the_instance_says_what_it_is(world: World) -> None:
    """Version and trust roots are told to anybody."""
    api = await world.service.api()
    assert (await api.version(m.Empty())).suite == "coffre-1"
    chain = (await api.trust_roots(m.TrustRootQuery(since=0))).chain
    assert chain[-1].digest == world.service.root.ref.digest
    assert (await api.trust_roots(m.TrustRootQuery(since=len(chain)))).chain == ()


async def test_a_chain_grows_by_links_that_are_proven(world: World) -> None:
    """Each link gets a leaf in the directory, and the whole chain folds from what is answered."""
    person = await world.person()
    keyring = fresh(100)
    envelope = await person.link(Keyring(keyring=part_hash(keyring)))
    await person.publish(m.PublishLink(envelope=envelope, parts=(keyring,)))
    chain = await (await person.api()).identity_chain(m.IdentityQuery(identity=person.identity))
    assert chain == person.chain
    assert person.known(await world.view(world.directory)).ref == chain.ref


async def test_a_link_sent_again_gets_its_proof_again(world: World) -> None:
    """Sending the same link twice adds nothing."""
    person = await world.person()
    size = await leaves(world, world.directory)
    again = await (await world.service.api()).publish_link(person.first)
    assert again.disclosure == person.links[0].disclosure
    assert await leaves(world, world.directory) == size


async def test_of_two_links_with_one_number_the_second_conflicts(world: World) -> None:
    """A chain moves by compare-and-swap."""
    person = await world.person()
    one, two = fresh(100), fresh(100)
    first = await person.link(Keyring(keyring=part_hash(one)))
    second = await person.link(Keyring(keyring=part_hash(two)))
    await person.publish(m.PublishLink(envelope=first, parts=(one,)))
    with pytest.raises(Conflict):
        await person.publish(m.PublishLink(envelope=second, parts=(two,)))


async def test_of_many_links_sent_at_once_one_is_taken(world: World) -> None:
    """The race has one winner, and the rest are told."""
    person = await world.person()
    api = await world.service.api()
    queries = []
    for _ in range(8):
        part = fresh(50)
        envelope = await person.link(Keyring(keyring=part_hash(part)))
        queries.append(m.PublishLink(envelope=envelope, parts=(part,)))
    results = await asyncio.gather(*map(api.publish_link, queries), return_exceptions=True)
    assert sum(isinstance(result, m.Logged) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_a_link_by_nobody_is_refused(world: World) -> None:
    """Only live devices, the root and registrars lengthen a chain."""
    person = await world.person()
    part = fresh(50)
    envelope = await person.link(Keyring(keyring=part_hash(part)), by=[SigningKey.generate()])
    with pytest.raises(BadSignature):
        await person.publish(m.PublishLink(envelope=envelope, parts=(part,)))


async def test_a_link_without_its_parts_is_refused(world: World) -> None:
    """The parts a link names come with it, and nothing else does."""
    person = await world.person()
    part = fresh(50)
    envelope = await person.link(Keyring(keyring=part_hash(part)))
    for parts in ((), (part, fresh(10)), (fresh(50),)):
        with pytest.raises(NotPermitted):
            await person.publish(m.PublishLink(envelope=envelope, parts=parts))


async def test_a_link_signed_in_another_view_is_refused(world: World) -> None:
    """The directory's head and the trust root in a signed body must be this server's."""
    person = await world.person()
    part = fresh(50)
    body = body_of(await person.link(Keyring(keyring=part_hash(part))), IdentityLink)
    forged = Head(size=body.view.dir.size, root=fresh())
    ahead = Head(size=body.view.dir.size + 1, root=fresh())
    for head in (forged, ahead):
        view = msgspec.structs.replace(body.view, dir=head, seen=head)
        wrong = msgspec.structs.replace(body, view=view)
        envelope = resigned(person.first.envelope, wrong, person.device)
        with pytest.raises(Stale):
            await person.publish(m.PublishLink(envelope=envelope, parts=(part,)))


async def test_a_strangers_chain_is_not_shown(world: World) -> None:
    """A chain is shown to its owner, or when it is certified; a patient's to nobody else."""
    patient, other = await world.person(), await world.person()
    practitioner = await world.person(certified=True)
    api = await other.api()
    shown = await api.identity_chain(m.IdentityQuery(identity=practitioner.identity))
    assert shown == practitioner.chain
    for identity in (patient.identity, fresh()):
        with pytest.raises(NotFound):
            await api.identity_chain(m.IdentityQuery(identity=identity))


async def test_parts_are_given_to_their_owner_only(world: World) -> None:
    """One's own parts by hash; what is not there is absent; others' parts are absent too."""
    person, other = await world.person(), await world.person()
    name = part_hash(person.keyring)
    query = m.PartQuery(vault=None, hashes=(fresh(), name))
    assert (await (await person.api()).parts(query)).parts == (None, person.keyring)
    assert (await (await other.api()).parts(query)).parts == (None, None)


async def test_nothing_private_is_answered_without_a_session(world: World) -> None:
    """Every operation of an account refuses nobody."""
    api = await world.service.api()
    with pytest.raises(Unauthenticated):
        await api.reserve(m.Empty())
    with pytest.raises(Unauthenticated):
        await api.mailbox(m.MailboxQuery(after=0))
    with pytest.raises(Unauthenticated):
        await everything(api, m.CiphertextQuery(vault=fresh(), request=None, ver=fresh(16), start=0))
