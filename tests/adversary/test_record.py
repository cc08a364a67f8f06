"""A server that shows a patient's device another record than its holder signed."""

from typing import Any

import msgspec
import pytest

from crypto import vault_chain
from crypto.encoding import decode
from crypto.errors import (
    BadSignature,
    BrokenChain,
    CannotOpen,
    Full,
    Malformed,
    NotFound,
    NotPermitted,
    NotProven,
    Stale,
    Unreachable,
)
from crypto.signing import Envelope
from crypto.vault_chain import VaultView
from crypto.vault_links import AddVersion, Genesis, VaultLink
from crypto.wire.messages import LinkAccepted, LinkQuery, Links, LinkSubmission, OpeningQuery, PartQuery
from tests.adversary.story import Story
from tests.adversary.test_audit import forged_link
from tests.adversary.twins import Anything
from vault_client import grants_elsewhere, trust, vault_parts, vault_replica
from vault_client.local_vault import LocalVault


def show(story: Story, *links: Envelope, more: bool = False) -> None:
    """Have the server show ``links`` as the newest."""
    story.patient_vault.replay("links", Links(links=links, more=more))


def forget(story: Story) -> LocalVault:
    """Make the device one that has just been linked: it knows the founding and its keys. Returns what it knew."""
    store, local = story.patient._store, story.patient.replica.local
    founded_at = decode(local.genesis.body, Genesis).view.dir
    known = story.patient.own.known_at(story.patient.service, founded_at)
    for group in ("document", "withheld", "grant", "grant-entry", "link"):
        for name in store.names(group):
            if name != "link/0":
                store.delete(name)
    store.put("vault", msgspec.structs.replace(local, head=vault_chain.found(local.genesis, [known]).head))
    return local


async def test_a_link_that_no_holder_signed_changes_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22, A36: a link made by the server, however well formed, puts nothing into the record."""
    show(story, await forged_link(story))
    with story.refused(BadSignature):
        await story.patient.replica.sync()
    with story.refused(BadSignature):
        await story.patient.log()
    with monkeypatch.context() as twin:
        twin.setattr(vault_chain, "check_signers", lambda *_: None)
        unproved(twin)
        show_once(story, await forged_link(story))
        assert await story.patient.replica.sync() == 1
    assert [document.masked for document in story.patient.documents()].count(True) == 1


async def test_a_device_follows_grants_it_did_not_make(story: Story) -> None:
    """A profile restored from an older copy, or another device, learns of a grant made and ended elsewhere."""
    replica, gid = story.patient.replica, story.grant.entry.gid
    await story.patient.revoke(gid)
    head, given = replica.local.head, set(replica.granted(gid))
    forget(story)
    assert await replica.sync() == head.n
    assert replica.local.head == head
    learnt = replica.grant(gid)
    assert learnt is not None
    assert learnt.entry.ended
    same = ("recipient", "name", "subject", "acts", "purposes", "expiry", "blobs", "reading_key")
    assert all(getattr(learnt, name) == getattr(story.grant, name) for name in same)
    assert set(replica.granted(gid)) == given


async def test_a_grant_made_elsewhere_is_learnt_as_it_was_signed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A47: another event, other rows or other policies than those signed are refused by a new device."""
    lies = {
        "withheld": lambda answer: (_ for _ in ()).throw(NotFound("A grant's event")),
        "another": lambda answer: msgspec.structs.replace(
            answer, envelope=msgspec.structs.replace(answer.envelope, body=answer.envelope.body[:-1] + b" ")
        ),
        "rows": lambda answer: msgspec.structs.replace(answer, rows=answer.rows[:-1] + b"\0"),
        "policies": lambda answer: msgspec.structs.replace(
            answer, blobs=tuple(msgspec.structs.replace(each, box=bytes(2000)) for each in answer.blobs)
        ),
    }
    for lie in lies.values():
        forget(story)
        story.patient_vault.tamper("grant_event", lie)
        with pytest.raises((NotProven, NotPermitted, Malformed)):
            await story.patient.replica.sync()
        assert story.patient.replica.grant(story.grant.entry.gid) is None
    with monkeypatch.context() as twin:
        twin.setattr(grants_elsewhere, "check_blob", lambda *_: None)
        story.patient_vault.tamper("grant_event", lies["policies"])
        await story.patient.replica.sync()
    twisted = story.patient.replica.grant(story.grant.entry.gid)
    assert twisted is not None
    assert twisted.blobs != story.grant.blobs


def show_once(story: Story, link: Envelope) -> None:
    """Show ``link`` once, then nothing."""
    answers = [Links(links=(link,), more=False)]
    story.patient_vault.forge("links", lambda _: answers.pop() if answers else Links(links=(), more=False))


def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes a link for one of the record before it is in the log."""

    async def nothing(*_: object) -> list[int]:
        return []

    monkeypatch.setattr(vault_replica.VaultReplica, "_prove", nothing)


def follow_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not ask what a link follows from."""
    real = vault_replica.follow

    def anywhere(view: VaultView, envelope: Envelope, signers: Any) -> Any:
        link = decode(envelope.body, VaultLink)
        head = msgspec.structs.replace(view.head, n=link.n - 1, link=link.prev)
        return real(
            VaultView(
                head=head,
                documents=view.documents if link.n > 1 else {},
                grants={},
                blocked={},
                later=view.later,
            ),
            envelope,
            signers,
        )

    monkeypatch.setattr(vault_replica, "follow", anywhere)


async def test_the_record_never_goes_back(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A38, A39, A43: older links shown again, a deleted document's among them, are refused, and nothing is lost."""
    replica = story.patient.replica
    added = replica._store.get("link/1", Envelope)
    assert added is not None
    named = decode(added.body, VaultLink).operations[0]
    assert isinstance(named, AddVersion)
    kept = await story.patient_vault.honest.parts(
        PartQuery(vault=replica.vault, hashes=(named.self_wrap, named.descriptor))
    )
    await story.patient.delete(story.documents[0].doc)
    newest = replica._store.get(f"link/{replica.local.head.n}", Envelope)
    assert newest is not None
    for old in (added, newest):
        show(story, old)
        with story.refused(BrokenChain):
            await replica.sync()
    show(story)
    head = replica.local.head
    assert await replica.sync() == 0
    assert (replica.local.head, len(story.patient.documents())) == (head, 1)

    with monkeypatch.context() as twin:
        follow_anything(twin)
        unproved(twin)
        show_once(story, added)
        story.patient_vault.replay("parts", kept)
        await replica.sync()
        assert len(story.patient.documents()) == 2  # the deleted document is back


async def test_a_fork_of_the_record_is_refused_for_ever(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A42: of two links with one predecessor, both truly signed, the device keeps the one it has."""
    branch = await forged_link(story, story.patient.own.device)
    await story.patient.mask(story.documents[1].doc)
    show(story, branch)
    for _ in range(2):
        with story.refused(BrokenChain):
            await story.patient.replica.sync()
        with story.refused(BrokenChain):
            await story.patient.log()
    with monkeypatch.context() as twin:
        follow_anything(twin)
        unproved(twin)
        show_once(story, branch)
        assert await story.patient.replica.sync() == 1


async def test_parts_cannot_be_exchanged(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A13, A34, A35: wraps and descriptors in each other's place, changed or withheld are refused by a new device."""
    forget(story)
    kept: list[Any] = []
    story.patient_vault.tamper("parts", lambda answer: kept.append(answer) or answer)
    lies = {
        "exchanged": lambda answer: msgspec.structs.replace(answer, parts=answer.parts[::-1]),
        "changed": lambda answer: msgspec.structs.replace(
            answer, parts=(answer.parts[0], answer.parts[1][:-1] + b"\0", *answer.parts[2:])
        ),
        "withheld": lambda answer: msgspec.structs.replace(answer, parts=(None, *answer.parts[1:])),
        "missing": lambda answer: msgspec.structs.replace(answer, parts=answer.parts[:-1]),
        "too many": lambda answer: msgspec.structs.replace(answer, parts=(b"", *answer.parts)),
    }
    for name in ("exchanged", "changed", "too many"):
        story.patient_vault.tamper("parts", lies[name])
        with story.refused(NotProven):
            await story.patient.replica.sync()
    for name in (
        "withheld",
        "missing",
    ):  # the signed links are believed; what they name is not shown without its parts
        story.patient_vault.tamper("parts", lies[name])
        with pytest.raises(NotProven):
            await story.patient.replica.sync()
        assert len(story.patient.documents()) < 2
        forget(story)
    with monkeypatch.context() as twin:
        twin.setattr(vault_parts, "part_hash", lambda _: Anything())
        story.patient_vault.tamper("parts", lies["exchanged"])
        with pytest.raises(
            (CannotOpen, KeyError)
        ):  # the second defence: each part is sealed for its document
            await story.patient.replica.sync()
    story.patient_vault.be_honest()
    await story.patient.replica.sync()
    assert len(story.patient.documents()) == 2


async def test_withheld_links_are_no_endless_wait(story: Story) -> None:
    """A41, A55: a server that announces links and shows none is refused."""
    show(story, more=True)
    with story.refused(NotProven):
        await story.patient.replica.sync()


async def test_a_change_counts_with_its_receipt(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A41, A51: no proof, another's proof or half of it: the change is not believed to be in the record."""
    kept: list[LinkAccepted] = []
    story.patient_vault.tamper("append_link", lambda answer: kept.append(answer) or answer)
    await story.patient.mask(story.documents[0].doc)
    n = story.patient.replica.local.head.n
    for lie in (LinkAccepted(logged=()), kept[0]):
        story.patient_vault.replay("append_link", lie)
        with story.refused(NotProven):
            await story.patient.mask(story.documents[1].doc)
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    with story.refused(Unreachable):
        await story.patient.delete(story.documents[1].doc)
    assert story.patient.replica.local.head.n == n

    story.patient_vault.replay("append_link", kept[0])
    with monkeypatch.context() as twin:
        leaf = kept[0].logged[0].disclosure
        twin.setattr(
            trust,
            "believe_logged",
            lambda root, origin, *_, **__: (trust.empty_head(origin), leaf),
        )
        twin.setattr(trust, "advance", lambda known, new, path: new)
        await story.patient.delete(story.documents[1].doc)
    shown = await story.patient_vault.honest.links(LinkQuery(vault=story.patient.replica.vault, since=n + 1))
    assert (len(story.patient.documents()), shown.links) == (
        1,
        (),
    )  # deleted, it thinks; the server has nothing


async def test_a_record_is_not_shown_to_strangers(story: Story) -> None:
    """A27: a known vault id opens nothing: links, openings and parts answer as if there were none."""
    vault, api = story.patient.replica.vault, story.reader_vault.honest
    for attempt in (
        api.links(LinkQuery(vault=vault, since=0)),
        api.openings(OpeningQuery(vault=vault, since=0)),
    ):
        with pytest.raises(NotFound):
            await attempt


def lose_answers(story: Story) -> None:
    """Have the server and the keeper do what they are asked, and cut every connection before they answer."""

    def cut(answer: Any) -> Any:
        raise Unreachable("cut")

    story.patient_vault.tamper("append_link", cut)
    story.patient_keeper.tamper("end", cut)


async def links_from(story: Story, n: int) -> tuple[Envelope, ...]:
    """What the honest server holds from link ``n`` on."""
    query = LinkQuery(vault=story.patient.replica.vault, since=n)
    return (await story.patient_vault.honest.links(query)).links


async def test_an_end_whose_answer_was_lost_is_ended_once(story: Story) -> None:
    """The connection is cut after the server took the end in: the repeat is proved by the same link, and no second."""
    gid, n = story.grant.entry.gid, story.patient.replica.local.head.n
    lose_answers(story)
    for _ in range(2):
        with story.refused(Unreachable):
            await story.patient.revoke(gid)
        await story.patient.service.refresh(story.origin)  # what would be signed now says that more was seen
    assert not story.patient.grants()[0].end_in_force
    story.patient_vault.be_honest()
    ended = await story.patient.revoke(gid)
    assert (ended.entry.ended, ended.end_in_force) == (True, True)
    assert len(await links_from(story, n + 1)) == 1
    report = await story.patient.log()
    assert (report.alarms, [entry.kind for entry in report.entries].count("ended")) == ((), 1)
    with story.refused(NotPermitted):
        await story.patient.revoke(gid)


async def test_an_end_is_taken_in_with_its_proof(story: Story) -> None:
    """An end whose answer was lost comes back as a link of the record once it is proved, and then it is in force."""
    gid = story.grant.entry.gid
    lose_answers(story)
    with story.refused(Unreachable):
        await story.patient.revoke(gid)
    with story.refused(Unreachable):
        await story.patient.replica.sync()
    story.patient_vault.be_honest()
    assert await story.patient.replica.sync() == 1
    (grant,) = story.patient.grants()
    assert (grant.entry.ended, grant.end_in_force) == (True, True)
    assert (await story.patient.log()).alarms == ()


async def test_a_link_that_never_arrived_is_signed_anew_once_it_is_stale(story: Story) -> None:
    """A link that was lost on the way is sent again as it is; when it is too old by then, another takes its place."""
    n, sent = story.patient.replica.local.head.n, story.patient_vault.asked("append_link")
    before, doc = len(sent), story.documents[0].doc
    answers = [Unreachable("cut"), Stale("old")]

    async def answer(query: LinkSubmission) -> LinkAccepted:
        if answers:
            raise answers.pop(0)
        return await story.patient_vault.honest.append_link(query)

    story.patient_vault.forge("append_link", answer)
    with story.refused(Unreachable):
        await story.patient.mask(doc)
    await story.instance.certify(story.reader, story.folder / "card.json", "demo:4")
    story.patient.service.forget_directory()
    await story.patient.mask(doc)
    first, again, anew = [query.envelope for query in story.patient_vault.asked("append_link")[before:]]
    assert first == again != anew
    assert await links_from(story, n + 1) == (anew,)


async def test_an_answer_that_is_no_answer_counts_as_lost(story: Story) -> None:
    """What the server took in but answered in another form than ours is proved by the repeat, once."""
    gid, n = story.grant.entry.gid, story.patient.replica.local.head.n

    def garble(answer: Any) -> Any:
        raise Malformed("not ours")

    story.patient_vault.tamper("append_link", garble)
    with story.refused(Malformed):
        await story.patient.mask(story.documents[0].doc)
    story.patient_vault.be_honest()
    await story.patient.service.refresh(story.origin)
    await story.patient.mask(story.documents[0].doc)
    assert len(await links_from(story, n + 1)) == 1
    assert (await story.patient.revoke(gid)).end_in_force


async def test_a_link_with_the_same_meaning_follows_an_answered_one(story: Story) -> None:
    """Only a link whose answer was lost is sent again: what was answered may be said a second time."""
    n, doc = story.patient.replica.local.head.n, story.documents[0].doc
    lose_answers(story)
    with story.refused(Unreachable):
        await story.patient.mask(doc)
    story.patient_vault.be_honest()
    assert await story.patient.replica.sync() == 1  # as another command does, in between
    await story.patient.mask(doc)
    assert len(await links_from(story, n + 1)) == 1
    await story.patient.mask(doc)
    assert len(await links_from(story, n + 1)) == 2


async def test_what_may_have_been_done_is_known(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the server has a change, whatever goes wrong here leaves it open whether it was made; a refusal does not."""
    replica, doc = story.patient.replica, story.documents[0].doc

    def fail(error: Exception) -> Any:
        raise error

    story.patient_vault.withhold("append_link", NotPermitted("no"))
    with story.refused(NotPermitted):
        await story.patient.mask(doc)
    assert not replica.unanswered()
    for error in (Unreachable("cut"), Malformed("not ours")):
        story.patient_vault.tamper("append_link", lambda _, error=error: fail(error))
        with story.refused(type(error)):
            await story.patient.mask(doc)
        assert replica.unanswered()
    story.patient_vault.be_honest()
    broken: list[tuple[object, str, Exception]] = [
        (replica, "_keep", Full("no room")),
        (story.patient.service, "believe_logged", Stale("the clock here is wrong")),
        (replica, "_believe", KeyboardInterrupt()),
    ]
    for owner, name, error in broken:
        with monkeypatch.context() as here:
            here.setattr(owner, name, lambda *_, error=error: fail(error))
            with pytest.raises(type(error)):
                await story.patient.mask(doc)
        assert replica.unanswered()
    await story.patient.mask(doc)
    assert not replica.unanswered()
