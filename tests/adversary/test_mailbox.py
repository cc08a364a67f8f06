"""A server that delivers grants which their patient did not make, or not so."""

import secrets
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from crypto import grants, labels, vault_chain
from crypto.encoding import encode
from crypto.errors import CannotOpen, NotFound, NotPermitted, NotProven
from crypto.grants import ROW, Row, Rows, read_event, rows_root
from crypto.sealed.wrapping import seal_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.wire.messages import Delivery, Mailbox, MailboxQuery
from tests.adversary.modified_sdk import fresh
from tests.adversary.story import TEXTS, Story
from tests.support.instance import Instance
from vault_client import granting, practitioner, received_grants, trust
from vault_client.commands import granted_list, practitioner_reading, profiles
from vault_client.commands import practitioner as commands
from vault_client.commands.output import Screen, Usage
from vault_client.received_grants import MailboxPlace


async def delivered(story: Story) -> Delivery:
    """The true delivery of the grant."""
    return (await story.reader_vault.honest.mailbox(MailboxQuery(after=0))).deliveries[0]


async def deliver(story: Story, *deliveries: Delivery, more: bool = False) -> list[str]:
    """What the practitioner says to ``deliveries``."""
    place = story.reader._store.get("mailbox", MailboxPlace)
    after = place.after if place is not None else 0
    numbered = tuple(
        msgspec.structs.replace(each, number=after + 1 + number) for number, each in enumerate(deliveries)
    )
    story.reader_vault.replay("mailbox", Mailbox(deliveries=numbered, more=more))
    return await story.reader.sync()


async def not_taken_in(story: Story, delivery: Delivery) -> None:
    """A delivery is refused, and everything believed before is as it was."""
    before = story.trusted()
    listed = story.reader.documents()
    refusals = await deliver(story, delivery)
    assert len(refusals) == 1
    assert "not" in refusals[0].lower()
    assert (story.trusted(), story.reader.documents()) == (before, listed)


async def is_taken_in(story: Story, delivery: Delivery) -> None:
    """What happens to a twin."""
    before = story.trusted()
    assert await deliver(story, delivery) == []
    assert story.trusted() != before


async def made_by_the_server(story: Story) -> tuple[Any, bytes]:
    """A grant event complete with keys and rows, all chosen by the server: only the signature is missing."""
    event = read_event((await delivered(story)).envelope)
    share_a, grant_key = SecretBytes.random(), SecretBytes.random()
    row = Row(doc=fresh(16), ver=fresh(16), ct_root=fresh(), wrap=fresh(48)).to_bytes()
    event = msgspec.structs.replace(event, gid=fresh(), rows=Rows(root=rows_root([row]), count=1))
    reading_key = story.reader.own.reading_key(event.reading_key).public
    return msgspec.structs.replace(event, a_box=seal_a_box(reading_key, event, share_a, grant_key)), row


async def test_wraps_count_only_in_a_signed_event(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A14: an event sealed to the practitioner's key, sound but for the patient's signature, is not taken in."""
    true, (event, row) = await delivered(story), await made_by_the_server(story)
    for key in (SigningKey.generate(), story.reader.own.device):
        forged = sign(labels.GRANT_EVENT, event, key)
        await not_taken_in(story, msgspec.structs.replace(true, envelope=forged, rows=row))

    with monkeypatch.context() as twin:
        twin.setattr(grants, "check_signers", lambda *_: None)
        await is_taken_in(story, msgspec.structs.replace(true, envelope=forged, rows=row))


async def test_a_signature_for_something_else_grants_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A16: bytes that the patient's device signed as a login, were they ever so much an event, are no event."""
    true, (event, row) = await delivered(story), await made_by_the_server(story)
    as_login = sign_encoded(labels.LOGIN, encode(event), story.patient.own.device)
    as_event = msgspec.structs.replace(as_login, type=labels.GRANT_EVENT)
    for envelope in (as_login, as_event):
        await not_taken_in(story, msgspec.structs.replace(true, envelope=envelope, rows=row))

    real = vault_chain.verify
    with monkeypatch.context() as twin:
        twin.setattr(
            vault_chain,
            "verify",
            lambda envelope, label, keys: real(
                msgspec.structs.replace(envelope, type=labels.LOGIN), labels.LOGIN, keys
            ),
        )
        await is_taken_in(story, msgspec.structs.replace(true, envelope=as_event, rows=row))


async def test_a_grant_under_another_trust_root_is_refused(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A31: an event that the patient signed under another trust root of the same number is not taken in, and kept; the control is."""
    true, (event, row) = await delivered(story), await made_by_the_server(story)
    other = msgspec.structs.replace(event.view.trust_root, digest=fresh())
    split = msgspec.structs.replace(event, view=msgspec.structs.replace(event.view, trust_root=other))
    forged = msgspec.structs.replace(
        true, envelope=sign(labels.GRANT_EVENT, split, story.patient.own.device), rows=row
    )
    await not_taken_in(story, forged)
    kept = [each for _, each in story.reader._store.scan("refused", received_grants.RefusedDelivery)]
    assert [each.delivery.envelope for each in kept] == [forged.envelope]
    with monkeypatch.context() as twin:

        async def not_compared(*_: object) -> None:
            return

        twin.setattr(received_grants.ReceivedGrants, "_check_root", not_compared)
        await is_taken_in(story, forged)
    again, row = await made_by_the_server(story)
    control = sign(labels.GRANT_EVENT, again, story.patient.own.device)
    await is_taken_in(story, msgspec.structs.replace(true, envelope=control, rows=row))


async def test_rows_cannot_be_exchanged(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A13, A47: wraps in each other's place, rows left out, doubled, or of another grant are not taken in."""
    true, document = await delivered(story), story.listed()
    gid = story.grant.entry.gid
    story.reader._store.delete(f"received/{gid.hex()}")  # so that event 0 is new again
    one, two = true.rows[:ROW], true.rows[ROW:]
    wraps_swapped = one[:64] + two[64:] + two[:64] + one[64:]
    for rows in (wraps_swapped, two + one, one, one + one, b""):
        await not_taken_in(story, msgspec.structs.replace(true, rows=rows))

    def any_rows(data: bytes, rows: Rows) -> Any:
        signed = Rows(root=rows_root([data[:ROW], data[ROW:]]), count=2)
        return grants.split_rows(data, signed)

    with monkeypatch.context() as twin:
        twin.setattr(received_grants, "split_rows", any_rows)
        await is_taken_in(story, msgspec.structs.replace(true, rows=wraps_swapped))
    with story.refused(CannotOpen):  # and still the key of one document does not open as another's
        await story.reader.read(document, story.destination)


SCOPE: dict[str, Callable[[Any], Any]] = {
    "expiry": lambda event: event.expiry + 1,
    "acts": lambda event: ("list",),
    "gid": lambda event: fresh(),
    "origin": lambda event: event.origin + "0",
    "recipient": lambda event: msgspec.structs.replace(event.recipient, n=0),
    "listing": lambda event: msgspec.structs.replace(event.listing, doc=fresh(16)),
    "log_key": lambda event: event.log_key[::-1],
}


async def test_the_scope_of_a_grant_is_signed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A35, A47: no field of a grant can be changed or carried over from another."""
    true = await delivered(story)
    event = read_event(true.envelope)
    story.reader._store.delete(f"received/{event.gid.hex()}")
    for field, change in SCOPE.items():
        body = encode(msgspec.structs.replace(event, **{field: change(event)}))
        forged = msgspec.structs.replace(true.envelope, body=body)
        await not_taken_in(story, msgspec.structs.replace(true, envelope=forged))

    body = encode(msgspec.structs.replace(event, expiry=event.expiry + 1))
    with monkeypatch.context() as twin:
        twin.setattr(grants, "check_signers", lambda *_: None)
        forged = msgspec.structs.replace(true.envelope, body=body)
        await is_taken_in(story, msgspec.structs.replace(true, envelope=forged))


async def test_an_old_event_is_not_taken_for_the_newest(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A45: replaying a grant's first event, after a later one or after its end, changes nothing."""
    true = await delivered(story)
    await not_taken_in(story, true)
    extra = await story.add(b"a third document", "third.txt")
    await story.patient.extend(story.grant.entry.gid, [extra.doc])
    story.reader_vault.be_honest()
    assert await story.reader.sync() == []
    await not_taken_in(story, true)

    end = msgspec.structs.replace(true, envelope=None, rows=b"", chains=(), ended=story.grant.entry.gid)
    assert await deliver(story, end) == []
    assert story.reader.documents() == []
    await not_taken_in(story, true)

    real = received_grants.accept
    with monkeypatch.context() as twin:
        twin.setattr(received_grants, "accept", lambda previous, *rest: real(None, *rest))
        await is_taken_in(story, true)


async def test_a_grant_of_another_record_is_refused(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A37: nobody can grant in another patient's name: the founding shown must be that record's, and its holder sign."""
    true = await delivered(story)
    event = read_event(true.envelope)
    story.reader._store.delete(f"received/{event.gid.hex()}")
    async with await instance.patient(story.folder / "other") as other:
        local = other.replica.local
        claims = {
            "the other's founding": {"vault": local.head.vault, "genesis": local.genesis.body},
            "its own founding": {"vault": local.head.vault},
            "no founding": {"genesis": None},
        }
        for claim in claims.values():
            body = msgspec.structs.replace(event, **claim)
            forged = sign(labels.GRANT_EVENT, body, story.patient.own.device)
            await not_taken_in(story, msgspec.structs.replace(true, envelope=forged))

        with monkeypatch.context() as twin:
            twin.setattr(grants, "vault_id", lambda genesis: local.head.vault)
            twin.setattr(
                received_grants, "open_a_box", lambda *_: (SecretBytes.random(), SecretBytes.random())
            )
            body = msgspec.structs.replace(event, vault=local.head.vault)
            forged = sign(labels.GRANT_EVENT, body, story.patient.own.device)
            await is_taken_in(story, msgspec.structs.replace(true, envelope=forged))


async def test_the_patients_keys_need_the_keepers_word(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A20, A23, A30: a chain without a keeper's word, with somebody else's, or with a forged one is not believed."""
    true = await delivered(story)
    story.reader._store.delete(f"received/{story.grant.entry.gid.hex()}")
    (shown,) = true.chains
    own = await story.reader.service.prove_chain(story.reader.own.profile.chain)
    forged = sign_encoded(labels.IDHEAD, shown.heads[0].body, SigningKey.generate())
    chains = {
        "no word": msgspec.structs.replace(shown, heads=()),
        "a word about somebody else": msgspec.structs.replace(shown, heads=own.heads),
        "a word of nobody's": msgspec.structs.replace(shown, heads=(forged,)),
        "somebody else's chain": own,
    }
    for chain in chains.values():
        await not_taken_in(story, msgspec.structs.replace(true, chains=(chain,)))
    await not_taken_in(story, msgspec.structs.replace(true, chains=()))

    def without_keepers(root: Any, shown: Any, at: Any) -> Any:
        return trust.known_at(shown.chain, at.size, root.directory_origin, root.registrar_keys())

    with monkeypatch.context() as twin:
        twin.setattr(trust, "believe_chain", without_keepers)
        await is_taken_in(story, msgspec.structs.replace(true, chains=(chains["no word"],)))


async def test_a_mailbox_cannot_hold_its_owner_up(story: Story) -> None:
    """A55: endless, repeated, empty and enormous deliveries are refused, and the next one is taken in."""
    true = await delivered(story)
    with story.refused(NotProven):
        await deliver(story, more=True)
    story.reader_vault.replay("mailbox", Mailbox(deliveries=(true,), more=False))
    with story.refused(NotPermitted):
        await story.reader.sync()
    empty = msgspec.structs.replace(true, envelope=None)
    await not_taken_in(story, empty)
    await not_taken_in(story, msgspec.structs.replace(true, rows=bytes(13 << 20)))
    (shown,) = true.chains
    junk = msgspec.structs.replace(shown.heads[0], body=bytes(1 << 19))
    bloated = msgspec.structs.replace(shown, heads=(*shown.heads, *[junk] * 31))
    await not_taken_in(story, msgspec.structs.replace(true, chains=(bloated,)))
    long = msgspec.structs.replace(true.envelope, body=b'"' + b" " * (13 << 20))
    assert len(await deliver(story, msgspec.structs.replace(true, envelope=long))) == 1
    story.reader_vault.be_honest()
    assert await story.reader.sync() == []
    assert await story.read() == TEXTS[0]


async def test_one_record_does_not_close_the_others(story: Story, instance: Instance) -> None:
    """A41: a list that the server withholds is an error, and the lists of other grants are opened all the same."""
    async with await instance.patient(story.folder / "other") as other:
        source = story.folder / "other.txt"
        source.write_bytes(b"another record")
        document = await other.add(source)
        await story.patient.authorise(await story.reader.card(), [story.documents[0].doc])
        await other.authorise(await story.reader.card(), [document.doc])
    assert await story.reader.sync() == []
    honest, first = story.reader_vault.honest, story.patient.replica.vault

    async def answer(query: Any) -> Any:
        gid = msgspec.json.decode(query.request.body)["gid"]
        grant = next(each for each in story.reader.grants.all() if encode_base64(each.gid) == gid)
        if grant.state.vault == first:
            raise NotFound("A grant")
        return await honest.open(query)

    story.reader_vault.forge("open", answer)
    before = len(story.reader.documents())
    assert len(await story.reader.listing()) == before + 1
    assert [type(why) for why in story.reader.set_aside().values()] == [NotFound]
    story.reader_vault.be_honest()  # and what was withheld once is not lost
    assert len(await story.reader.listing()) == before + 2
    assert story.reader.set_aside() == {}


async def test_a_list_that_cannot_be_opened_hides_no_other(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A41: whatever a patient's software makes of its own list, those of other records are opened, at each listing."""
    real = granting._listing

    def unopenable(*made: Any) -> Any:
        listing, sealed = real(*made)
        return msgspec.structs.replace(listing, wrap=fresh(48)), sealed

    async with await instance.patient(story.folder / "hostile") as hostile:
        source = story.folder / "hostile.txt"
        source.write_bytes(b"hostile")
        document = await hostile.add(source)
        with monkeypatch.context() as changed:
            changed.setattr(granting, "_listing", unopenable)
            made = await hostile.authorise(await story.reader.card(), [document.doc])
    await story.patient.authorise(await story.reader.card(), [story.documents[0].doc])
    assert await story.reader.sync() == []
    before = len(story.reader.documents())
    for _ in range(2):
        assert len(await story.reader.listing()) == before + 1
        assert [(gid, type(why)) for gid, why in story.reader.set_aside().items()] == [
            (made.entry.gid, CannotOpen)
        ]
    with monkeypatch.context() as twin:  # as it was: the first refusal ends the listing
        twin.setattr(practitioner, "Refusal", NotFound)
        with pytest.raises(CannotOpen):
            await story.reader.listing()


async def test_a_false_number_leaves_nothing_out(story: Story) -> None:
    """A41: a delivery under any number but the next is refused, and what an honest server delivers later is seen."""
    number = (1 << 53) - 1
    lie = Delivery(number=number, envelope=None, rows=b"", chains=(), ended=fresh())
    story.reader_vault.replay("mailbox", Mailbox(deliveries=(lie,), more=False))
    with story.refused(NotPermitted):
        await story.reader.sync()
    story.reader_vault.be_honest()
    place = story.reader._store.get("mailbox", MailboxPlace)
    story.reader._store.put("mailbox", MailboxPlace(after=number))  # the twin, which went along
    await story.patient.authorise(await story.reader.card(), [story.documents[0].doc])
    assert await story.reader.sync() == []
    assert len(list(story.reader.grants.all())) == 1
    story.reader._store.put("mailbox", place)
    assert await story.reader.sync() == []
    assert len(list(story.reader.grants.all())) == 2


async def test_a_document_is_named_with_its_record(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A37: a document under an id that another record uses is listed beside the other, and never opened for it."""
    doc = story.documents[0].doc
    async with await instance.patient(story.folder / "hostile") as hostile:
        source = story.folder / "hostile.txt"
        source.write_bytes(b"no allergies")
        ids, real = [doc], secrets.token_bytes
        with monkeypatch.context() as changed:
            changed.setattr(secrets, "token_bytes", lambda size: ids.pop() if ids else real(size))
            copied = await hostile.add(source)
        assert copied.doc == doc
        theirs = hostile.replica.vault.hex()
        await hostile.authorise(await story.reader.card(), [doc])

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[Any]:
        yield story.reader, story.reader._store

    async def read(word: str) -> str:
        screen = Screen(as_json=True)
        words = Namespace(documents=[word], all=None, output=story.destination, to=None)
        await practitioner_reading.read(words, screen)
        story.destination.unlink()
        return str(screen.result["record"])

    monkeypatch.setattr(profiles, "practitioner", opened)
    screen = Screen(as_json=True)
    await commands.list_documents(Namespace(), screen)
    records = [each["record"] for each in screen.result["documents"] if each["id"] == doc.hex()]
    assert sorted(records) == sorted([story.patient.replica.vault.hex(), theirs])
    for number, each in enumerate(screen.result["documents"], 1):
        assert await read(str(number)) == each["record"]
    for record in records:
        assert await read(doc.hex() + record) == record
    with pytest.raises(Usage):
        await read(doc.hex())
    with monkeypatch.context() as twin:
        twin.setattr(granted_list, "name_of", lambda granted: granted.document.doc)
        shown = [each for each in granted_list.newest(story.reader.documents()) if each.document.doc == doc]
        assert len(shown) == 1  # one of the two has taken the other's place


def encode_base64(data: bytes) -> str:
    """As JSON has it."""
    return str(msgspec.json.decode(msgspec.json.encode(data)))
