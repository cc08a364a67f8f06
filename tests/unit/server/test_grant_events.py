"""What comes beside a grant event, and how much of it goes into a mailbox."""

from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.encoding import encode
from crypto.errors import BadSignature, Malformed, NotPermitted
from crypto.identity_links import Chain, Delegate
from crypto.signing import Envelope, SigningKey, sign
from crypto.wire import messages as m
from crypto.wire.keeper_api import IdentityHead
from tests.contract.grant_story import Granting
from tests.contract.in_process import InProcess
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import Person, World, fresh
from vault_server import mailboxes

replace = msgspec.structs.replace


async def word(world: World, chain: Chain, key: SigningKey, **changes: Any) -> Envelope:
    """What a keeper says of a chain."""
    ref = chain.ref
    said = IdentityHead(
        identity=ref.identity,
        n=ref.n,
        leaf=ref.leaf,
        origin=world.directory,
        head=await world.head(world.directory),
    )
    return sign(labels.IDHEAD, replace(said, **changes), key)


async def test_only_the_signers_chains_are_delivered(world: World, running: InProcess) -> None:
    """Chains of others, cut, changed, or with anything beside them but keepers' words about them are refused."""
    stored, record = Stored.random(), await founded(world)
    await record.add(stored)
    holder, keeper = record.holder, running.keeper.signing
    granting = Granting(record, await world.person(certified=True))
    earlier = await word(world, holder.chain, keeper)
    for _ in range(2):
        step = Delegate(identity=fresh(), purposes=(), until=1)
        await holder.publish(m.PublishLink(envelope=await holder.link(step), parts=()))
    good = await granting.submission(stored)
    (event,) = good.events
    chain = holder.chain
    true = await word(world, chain, keeper)
    salted = replace(chain.links[1], disclosure=replace(chain.links[1].disclosure, salt=fresh()))

    def shown(links: Any, *heads: Envelope) -> m.ShownChain:
        return m.ShownChain(chain=Chain(links=links), heads=heads)

    refused = [
        shown(granting.recipient.chain.links),
        shown(chain.links[:2]),
        shown((*chain.links, chain.links[2])),
        shown((chain.links[0], salted, chain.links[2])),
        shown(chain.links, true, true),
        shown(chain.links, earlier),
        shown(chain.links, await word(world, granting.recipient.chain, keeper)),
        shown(chain.links, await word(world, chain, SigningKey.generate())),
        shown(chain.links, replace(true, body=b"A" * 700_000)),
        shown(
            chain.links,
            await word(world, chain, keeper, head=replace(await world.head(world.directory), size=1)),
        ),
    ]
    for each in refused:
        with pytest.raises((NotPermitted, BadSignature, Malformed)):
            await record.append(replace(good, events=(replace(event, chains=(each,)),)))
    await record.append(replace(good, events=(replace(event, chains=(shown(chain.links, true),)),)))
    box = await (await granting.recipient.api()).mailbox(m.MailboxQuery(after=0))
    assert [delivery.chains for delivery in box.deliveries] == [(shown(chain.links, true),)]


async def test_a_page_of_a_mailbox_is_bounded_by_all_that_is_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains count like rows: a page ends before it is too long, and the rest comes with the next."""
    monkeypatch.setattr(mailboxes, "BYTES", 100_000)
    stored, record = Stored.random(), await founded(world)
    await record.add(stored)
    step = Delegate(identity=fresh(), purposes=("x" * 256,) * 32, until=1)
    for _ in range(4):
        await record.holder.publish(m.PublishLink(envelope=await record.holder.link(step), parts=()))
    recipient: Person = await world.person(certified=True)
    for _ in range(3):
        await Granting(record, recipient).grant(stored)
    api, after, pages = await recipient.api(), 0, []
    while not pages or pages[-1].more:
        pages.append(await api.mailbox(m.MailboxQuery(after=after)))
        after = pages[-1].deliveries[-1].number
    assert [len(page.deliveries) for page in pages] == [1, 1, 1]
    assert all(50_000 < len(encode(page)) < 100_000 for page in pages)
