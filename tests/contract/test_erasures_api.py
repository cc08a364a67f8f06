"""What every implementation of ``VaultApi`` does: readings erased at their holder's request."""

from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.access_log import Opening, opening_info
from crypto.erasures import Erasure
from crypto.errors import BadSignature, Malformed, NotFound, NotPermitted
from crypto.signing import Envelope, SigningKey, sign
from crypto.wire import messages as m
from tests.contract.grant_story import Granting, granted
from tests.contract.record_story import Record, Stored, founded
from tests.contract.vault_story import World, leaves


async def erasure(record: Record, *entries: int, key: SigningKey | None = None, **changes: Any) -> Envelope:
    """A request to erase, by the holder's device unless another is given."""
    view = await record.world.view(record.origin)
    body = Erasure(
        suite=labels.SUITE,
        vault=record.id,
        origin=record.origin,
        entries=entries,
        signers=(record.holder.known(view).ref,),
        view=view,
    )
    return sign(labels.ERASURE, msgspec.structs.replace(body, **changes), key or record.holder.device)


async def indexes(record: Record) -> list[int]:
    """The entries of a record that have an opening."""
    api = await record.holder.api()
    shown = await api.openings(m.OpeningQuery(vault=record.id, since=0))
    return [opening.index for opening in shown.openings]


async def read(world: World) -> tuple[Granting, int, int]:
    """A record of which two readings are logged; where."""
    document = Stored.random()
    granting = await granted(world, document)
    first = (await granting.open(document)).logged.disclosure.index
    second = (await granting.open(document)).logged.disclosure.index
    return granting, first, second


async def test_an_erased_reading_has_no_opening(world: World) -> None:
    """It is gone, the other is there; the erasure is an entry with an opening; every leaf stays; asked again it is answered alike."""
    granting, first, second = await read(world)
    record = granting.record
    before, statement = await indexes(record), await erasure(record, first)
    api = await record.holder.api()
    logged = await api.erase(m.EraseRequest(erasure=statement))
    world.check(logged, statement, record.origin)
    at = logged.disclosure.index
    assert await indexes(record) == [index for index in before if index != first] + [at]
    assert second in await indexes(record)
    assert await leaves(world, record.origin) == at + 1
    assert (await api.erase(m.EraseRequest(erasure=statement))).disclosure == logged.disclosure
    shown = await api.openings(m.OpeningQuery(vault=record.id, since=at))
    info = opening_info(record.origin, logged.disclosure.leaf(statement).commitment)
    opened = Opening.from_record(record.epoch.log_key.open(info, shown.openings[0].box))
    assert (opened.envelope, opened.part.outcome) == (statement, "accepted")


async def test_only_readings_are_erased(world: World) -> None:
    """A change, an event, an erasure, what was erased, an entry of nobody's: one of them refuses the whole."""
    granting, first, second = await read(world)
    record = granting.record
    api = await record.holder.api()
    at = (await api.erase(m.EraseRequest(erasure=await erasure(record, first)))).disclosure.index
    before = await indexes(record)
    foreign = await leaves(world, record.origin)
    await founded(world)
    for other in [*(index for index in before if index != second), first, at, foreign]:
        with pytest.raises((NotPermitted, Malformed)):
            await api.erase(m.EraseRequest(erasure=await erasure(record, *sorted({second, other}))))
    assert await indexes(record) == before


async def test_only_a_holder_erases(world: World) -> None:
    """A stranger learns nothing, another key's signature is refused, and so is a statement for another record or log."""
    granting, first, _ = await read(world)
    record, before = granting.record, await indexes(granting.record)
    api, reader = await record.holder.api(), await granting.recipient.api()
    with pytest.raises(NotFound):
        await reader.erase(m.EraseRequest(erasure=await erasure(record, first)))
    forged = await erasure(record, first, key=granting.recipient.device)
    with pytest.raises(BadSignature):
        await api.erase(m.EraseRequest(erasure=forged))
    other = await founded(world)
    for changes in ({"vault": other.id}, {"origin": f"{record.origin}0"}):
        with pytest.raises((NotFound, NotPermitted)):
            await api.erase(m.EraseRequest(erasure=await erasure(record, first, **changes)))
    assert await indexes(record) == before


async def test_entries_are_named_in_order_below_the_head_seen(world: World) -> None:
    """Twice the same, out of order, or an entry that its signer cannot have seen: refused."""
    granting, first, second = await read(world)
    api = await granting.record.holder.api()
    for entries in ((first, first), (second, first), (first, 1 << 30)):
        with pytest.raises(Malformed):
            await api.erase(m.EraseRequest(erasure=await erasure(granting.record, *entries)))
