"""Many documents under one request, at a server and a keeper that lie about some of them."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import sealing
from crypto.descriptors import document_context
from crypto.encoding import encode
from crypto.errors import CannotOpen, NotFound, NotPermitted, Unreachable
from crypto.pieces import HEADER
from crypto.sealed import release
from crypto.secret_bytes import SecretBytes
from crypto.wire.messages import CiphertextQuery
from tests.adversary.story import TEXTS, Story
from vault_client import reading
from vault_client.ciphertext_spool import decrypt_file
from vault_client.granted_document import GrantedDocument
from vault_client.opening import LoggedRequest, Opener
from vault_client.progress import Progress
from vault_client.reading import Fetched, KeptBack

THIRD = TEXTS[0][::-1]  # as long as the first


@pytest.fixture
async def three(story: Story) -> Story:
    """The story with one document more, all three under a newer grant."""
    await story.add(THIRD, "third.txt")
    await story.give()
    return story


def granted(story: Story) -> list[GrantedDocument]:
    """The documents of the newest grant, in the order they were added."""
    listed = {
        each.document.doc: each for each in story.reader.documents() if each.gid == story.grant.entry.gid
    }
    return [listed[document.doc] for document in story.documents]


async def read_all(story: Story) -> list[KeptBack]:
    """All of them, each into a file of its own."""
    wanted = [(each, story.out / str(number)) for number, each in enumerate(granted(story))]
    return await story.reader.read_all(wanted)


def opened(story: Story) -> dict[str, bytes]:
    """What was released, by number."""
    return {path.name: path.read_bytes() for path in story.out.iterdir()}


WHOLE = {"0": TEXTS[0], "1": TEXTS[1], "2": THIRD}


async def test_a_batch_is_one_entry_and_one_question(three: Story) -> None:
    """The control: three documents are one request, one question to the keeper, one entry of the log that names all."""
    before = [len(three.reader_vault.asked("open")), len(three.reader_keeper.asked("release"))]
    assert await read_all(three) == []
    assert opened(three) == WHOLE
    after = [len(three.reader_vault.asked("open")), len(three.reader_keeper.asked("release"))]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
    report = await three.patient.log()
    (entry,) = [entry for entry in report.entries if entry.act == "release"]
    assert (set(entry.documents), report.alarms) == ({each.doc for each in three.documents}, ())
    assert three.spooled() == []


async def test_more_than_one_request_holds_are_several(three: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a request may name two, three documents are two requests; the size of the real one is the format's."""
    assert reading.MAX_DOCUMENTS == 256
    monkeypatch.setattr(reading, "MAX_DOCUMENTS", 2)
    before = len(three.reader_vault.asked("open"))
    assert await read_all(three) == []
    assert (opened(three), len(three.reader_vault.asked("open")) - before) == (WHOLE, 2)


def exchange(story: Story) -> None:
    """Have the server serve the first and the third document in each other's place."""
    first, third = (granted(story)[number].document.ver for number in (0, 2))
    honest, other = story.reader_vault.honest, {first: third, third: first}

    async def stream(query: CiphertextQuery) -> AsyncIterator[bytes]:
        ver = other.get(query.ver, query.ver)
        async for chunk in honest.ciphertext(msgspec.structs.replace(query, ver=ver)):
            yield chunk

    story.reader_vault.serve_ciphertext(stream)


def write_what_fits(twin: pytest.MonkeyPatch, made: dict[bytes, tuple[GrantedDocument, SecretBytes]]) -> None:
    """A reader that opens each ciphertext with whichever key and root of the request fit it."""

    async def write(fetched: Fetched, destination: Path, progress: Progress | None) -> None:
        for document, (ct_root, (_, key)) in product([fetched.document], made.items()):
            other = made[ct_root][0].document
            try:
                decrypt_file(
                    fetched.ciphertext,
                    destination,
                    key=key,
                    context=document_context(document.vault, other.doc, other.ver),
                    ct_root=ct_root,
                    length=document.document.length,
                )
            except CannotOpen:
                continue
            return
        raise CannotOpen

    twin.setattr("vault_client.practitioner.write", write)


async def test_exchanged_ciphertexts_are_kept_back(three: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A13, A37: two documents of a batch that the server exchanged are not opened in each other's place; the rest is."""
    exchange(three)
    kept_back = await read_all(three)
    assert [each.document for each in kept_back] == [granted(three)[0], granted(three)[2]]
    assert all(isinstance(each.why, CannotOpen) and not each.whole_request for each in kept_back)
    assert opened(three) == {"1": TEXTS[1]}
    assert three.spooled() == []
    (three.out / "1").unlink()

    made: dict[bytes, tuple[GrantedDocument, SecretBytes]] = {}
    real = Opener.release

    async def remember(self: Opener, request: LoggedRequest) -> list[SecretBytes]:
        keys = await real(self, request)
        listed = {each.document.ver: each for each in granted(three)}
        for wanted, key in zip(request.wanted, keys, strict=True):
            made[wanted.ct_root] = (listed[wanted.ver], key)
        return keys

    with monkeypatch.context() as twin:
        twin.setattr(Opener, "release", remember)
        write_what_fits(twin, made)
        assert await read_all(three) == []
        assert opened(three) == {"0": THIRD, "1": TEXTS[1], "2": TEXTS[0]}


@pytest.mark.parametrize("error", [NotFound("A ciphertext"), Unreachable("Cut.")])
async def test_one_that_is_withheld_keeps_back_itself_only(three: Story, error: Exception) -> None:
    """A41: a ciphertext that does not come keeps back its own document, by name, and no other."""
    missing = granted(three)[1]
    honest = three.reader_vault.honest

    async def stream(query: CiphertextQuery) -> AsyncIterator[bytes]:
        if query.ver == missing.document.ver:
            raise error
        async for chunk in honest.ciphertext(query):
            yield chunk

    three.reader_vault.serve_ciphertext(stream)
    (kept_back,) = await read_all(three)
    assert (kept_back.document, kept_back.whole_request) == (missing, False)
    assert isinstance(kept_back.why, type(error))
    assert opened(three) == {"0": TEXTS[0], "2": THIRD}

    three.reader_vault.be_honest()
    await three.reader.read(missing, three.destination)
    readings = [entry for entry in (await three.patient.log()).entries if entry.act == "release"]
    # What was not answered is gone on with under the request of the batch; what was refused is asked for anew.
    assert len(readings) == (1 if isinstance(error, Unreachable) else 2)


async def test_one_refused_document_refuses_the_whole_request(three: Story) -> None:
    """With one document masked nothing of the batch is opened, nobody says why, no keeper is asked, and it is logged."""
    await three.patient.mask(three.documents[1].doc)
    asked = len(three.reader_keeper.asked("release"))
    kept_back = await read_all(three)
    assert [each.document for each in kept_back] == granted(three)
    assert {(type(each.why), str(each.why), each.whole_request) for each in kept_back} == {
        (NotFound, str(NotFound()), True)
    }
    three.nothing_written()
    assert len(three.reader_keeper.asked("release")) == asked
    report = await three.patient.log()
    (refused,) = [entry for entry in report.entries if entry.kind == "refused"]
    assert (refused.act, set(refused.documents)) == ("release", {each.doc for each in three.documents})
    assert report.alarms == ()

    wanted = [(granted(three)[number], three.out / str(number)) for number in (0, 2)]
    assert await three.reader.read_all(wanted) == []


async def test_what_cannot_be_asked_for_takes_nothing_with_it(three: Story) -> None:
    """A document of an older list, or of none, is not asked for, so it does not have the others refused."""
    stale = msgspec.structs.replace(
        granted(three)[0], document=msgspec.structs.replace(granted(three)[0].document, ver=bytes(16))
    )
    unknown = msgspec.structs.replace(
        granted(three)[0], document=msgspec.structs.replace(granted(three)[0].document, doc=bytes(16))
    )
    wanted = [
        (each, three.out / str(place)) for place, each in enumerate([stale, granted(three)[1], unknown])
    ]
    kept_back = await three.reader.read_all(wanted)
    assert [(each.document, type(each.why)) for each in kept_back] == [
        (stale, NotPermitted),
        (unknown, NotPermitted),
    ]
    assert opened(three) == {"1": TEXTS[1]}


async def test_no_further_request_is_made_of_a_silent_server(
    three: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer one request is not waited for at the next."""
    monkeypatch.setattr(reading, "MAX_DOCUMENTS", 1)
    three.reader_vault.withhold("open", Unreachable("Nobody."))
    before = len(three.reader_vault.asked("open"))
    kept_back = await read_all(three)
    assert [type(each.why) for each in kept_back] == [Unreachable] * 3
    assert len(three.reader_vault.asked("open")) == before + 1


async def test_a_share_of_another_document_opens_nothing(
    three: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A13: a keeper that answers for one document of a request with another's share is caught, and nothing is opened."""
    reader = three.reader

    def exchanged(answer: Any) -> Any:
        query = three.reader_keeper.asked("release")[-1]
        digest, index = query.request.digest, query.logged.disclosure.index
        name = query.blob.keeper
        given = release.open_release(reader.own.unsealing, answer.box, digest, index, name)
        (subset,) = given.subsets
        first, second, third = subset.shares
        subset = msgspec.structs.replace(subset, shares=(third, second, first))
        given = msgspec.structs.replace(given, subsets=(subset,))
        info = release._info(digest, index, name)
        box = sealing.seal(reader.own.unsealing.public, info, encode(given))
        return msgspec.structs.replace(answer, box=box)

    three.reader_keeper.tamper("release", exchanged)
    kept_back = await read_all(three)
    assert [type(each.why) for each in kept_back] == [CannotOpen] * 3
    three.nothing_written()

    made: dict[bytes, tuple[GrantedDocument, SecretBytes]] = {}

    def in_any_order(self: Opener, request: LoggedRequest, answers: Any) -> list[SecretBytes]:
        policy, wrapper = request.grant.state.event.policy, request.grant.wrapper()
        listed = {each.document.ver: each for each in granted(three)}
        keys = []
        for share in release.combine(policy, answers, len(request.wanted)):
            for entry in request.wanted:
                try:
                    key = wrapper.unwrap(entry.wrap, share, entry.doc, entry.ver, entry.ct_root)
                except CannotOpen:
                    continue
                made[entry.ct_root] = (listed[entry.ver], key)
                keys.append(key)
        return keys

    exchange(three)
    with monkeypatch.context() as twin:
        twin.setattr(Opener, "_unwrap", in_any_order)
        write_what_fits(twin, made)
        assert await read_all(three) == []
        assert opened(three) == {"0": THIRD, "1": TEXTS[1], "2": TEXTS[0]}


async def test_the_ciphertexts_of_one_header_are_not_enough(three: Story) -> None:
    """A41: documents cut short come to nothing each by itself, and leave the beginning for the next attempt."""
    three.reader_vault.tamper_ciphertext(lambda data: data[:HEADER])
    kept_back = await read_all(three)
    assert [type(each.why) for each in kept_back] == [Unreachable] * 3
    assert opened(three) == {}
    assert {path.suffix for path in three.spooled()} == {".fetched"}
    three.reader_vault.be_honest()
    assert await read_all(three) == []
    assert opened(three) == WHOLE
    readings = [entry for entry in (await three.patient.log()).entries if entry.act == "release"]
    assert len(readings) == 1
