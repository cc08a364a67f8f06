"""A service with four keepers, each a program of its own, of which three must sign: what the fourth does changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from crypto import labels, sealing
from crypto.encoding import decode, encode
from crypto.errors import CannotOpen, NotFound, Unreachable
from crypto.sealed import release
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.wire.keeper_api import (
    EndAcknowledgement,
    EndAnswer,
    IdentityHead,
    IdentityHeadAnswer,
    IdentityHeadQuery,
    ReleaseAnswer,
)
from tests.adversary.story import put_between
from tests.support.instance import Instance, running
from tests.support.keeper_program import KeeperProgram
from tests.support.lying_keeper import LyingKeeper
from tests.support.memory import folder_in_memory
from tests.support.timed_keepers import ClockFile
from vault_client import service as service_module
from vault_client import sharing
from vault_client.http_keeper import HttpKeeper
from vault_client.http_transport import HttpTransport
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs
from vault_client.trust import independent
from vault_server.keeper.keys import load_keys
from vault_server.keeper.returning import SILENCE
from vault_server.keeper.service import CAME_BACK

TEXT = b"Potassium 4.1 mmol/l. " * 300


class Consultation:
    """A patient, a practitioner who was granted a document, and their four keepers."""

    def __init__(self, instance: Instance, folder: Path, patient: Patient, reader: Practitioner) -> None:
        self.instance, self.folder, self.patient, self.reader = instance, folder, patient, reader
        self.keepers: tuple[KeeperProgram, ...] = instance.keepers
        self.gid = b""

    async def add(self) -> bytes:
        """One more document, by its id."""
        (self.folder / "letter").write_bytes(TEXT)
        return (await self.patient.add(self.folder / "letter")).doc

    async def give(self) -> None:
        """A new document, granted and listed."""
        grant = await self.patient.authorise(await self.reader.card(), [await self.add()])
        self.gid = grant.entry.gid
        assert await self.reader.sync() == []
        await self.reader.listing()

    async def read(self) -> None:
        """The practitioner opens the newest granted document."""
        document = next(each for each in self.reader.documents() if each.gid == self.gid)
        to = self.folder / "received"
        await self.reader.read(document, to)
        assert to.read_bytes() == TEXT
        to.unlink()

    async def do_all(self) -> None:
        """Add, grant, read, end; and the end holds."""
        await self.give()
        await self.read()
        await self.patient.revoke(self.gid)
        assert self.patient.replica.grant(self.gid).end_in_force
        with pytest.raises(NotFound):
            await self.read()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory):
    """Four keepers and their server, for all tests of this page."""
    with (
        folder_in_memory(tmp_path_factory.mktemp("four")) as folder,
        running(folder / "data", keepers=4) as started,
    ):
        yield started


@pytest.fixture
async def story(instance: Instance, tmp_path: Path) -> AsyncIterator[Consultation]:
    """The honest beginning: all four keepers are there, now and afterwards."""
    with folder_in_memory(tmp_path) as folder:
        async with (
            await instance.patient(folder / "patient") as patient,
            await instance.practitioner(folder / "reader") as reader,
        ):
            yield Consultation(instance, folder, patient, reader)


@contextmanager
def contradicting(keeper: KeeperProgram) -> Iterator[None]:
    """In a keeper's place somebody who claims, whatever is asked, to know a log far longer than the server's."""

    class Claims(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(409)
            self.send_header("Content-Type", "text/x.tlog.size")
            self.send_header("Content-Length", "14")
            self.end_headers()
            self.wfile.write(b"1000000000000\n")

        def log_message(self, *_: object) -> None:
            pass

    port = int(keeper.card.url.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", port), Claims) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def another_directory(keeper: KeeperProgram) -> Callable[[IdentityHeadAnswer], IdentityHeadAnswer]:
    """The keeper's word, with its signature, about a directory that nobody else sees."""
    key = load_keys(keeper.folder).cosigning

    def lie(answer: IdentityHeadAnswer) -> IdentityHeadAnswer:
        said = decode(answer.envelope.body, IdentityHead)
        other = msgspec.structs.replace(said, head=msgspec.structs.replace(said.head, root=bytes(32)))
        return IdentityHeadAnswer(envelope=sign(labels.IDHEAD, other, key))

    return lie


def unsigned(answer: EndAnswer) -> EndAnswer:
    """An acknowledgement by nobody's key."""
    return EndAnswer(envelope=sign_encoded(answer.envelope.type, answer.envelope.body, SigningKey.generate()))


def earlier(keeper: KeeperProgram) -> Callable[[EndAnswer], EndAnswer]:
    """The keeper's acknowledgement, with its signature, of over ten minutes ago."""
    key = load_keys(keeper.folder).cosigning

    def lie(answer: EndAnswer) -> EndAnswer:
        said = decode(answer.envelope.body, EndAcknowledgement)
        other = msgspec.structs.replace(said, time=said.time - 700)
        return EndAnswer(envelope=sign(labels.END_ACKNOWLEDGEMENT, other, key))

    return lie


async def test_a_keeper_below_the_threshold_changes_nothing(
    story: Consultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is done with four keepers; with one that lies to everybody; with one that hangs; and with one that is down."""
    monkeypatch.setattr(service_module, "KEEPER_PATIENCE", 2)  # what an end waits for one that hangs
    await story.do_all()
    for service in (story.patient.service, story.reader.service):
        assert not independent(service.root)
        assert len(service.keepers) == 4

    first = story.keepers[0]
    first.hang()
    try:
        await story.do_all()
    finally:
        first.go_on()
    first.stop()
    await story.do_all()
    assert story.reader.left_out() == []
    assert (await story.patient.log()).alarms == ()
    first.start()
    first.wait()
    story.keepers[1].stop()
    with contradicting(story.keepers[1]):
        await story.do_all()
        told = story.instance.data.with_suffix(".log").read_text()
    assert "The keeper keeper-1 does not cosign" in told
    story.keepers[1].start()
    story.keepers[1].wait()
    await verify_logs(story.instance.url, story.instance.card)


async def test_a_lying_keeper_is_left_out_and_named(story: Consultation) -> None:
    """One that answers with another's word or nonsense is asked like all, opens nothing wrong and keeps nothing shut."""
    liar = story.keepers[2].card
    name = next(
        keeper.key_hash for keeper in story.reader.service.root.live_keepers if keeper.name == liar.name
    )
    for service in (story.patient.service, story.reader.service):
        service.keepers[name] = lying = LyingKeeper(service.keepers[name])
        lying.tamper("identity_head", another_directory(story.keepers[2]))
        lying.tamper("end", unsigned)
        lying.tamper("release", lambda _: ReleaseAnswer(box=bytes(1200)))
    for _ in range(3):  # among the first to answer, or not
        await story.do_all()
    assert story.patient.service.left_out | story.reader.service.left_out <= {name}


async def test_a_keeper_that_lost_its_store_is_silent_and_comes_back(story: Consultation) -> None:
    """For 30 minutes of its clock it answers nothing and the others go on; then it is one of the three that are needed."""
    await story.give()
    lost, other = story.keepers[3], story.keepers[0]
    clock = ClockFile(lost.folder / "clock")
    lost.lose(clock.path)
    lost.wait()
    asked = IdentityHeadQuery(chain=story.reader.own.profile.chain)
    async with HttpTransport(lost.card.url) as transport:
        keeper = HttpKeeper(transport)
        for elapsed in (0, SILENCE - 600):
            clock.set(None, elapsed)
            await story.do_all()
            with pytest.raises(Unreachable, match="has lost its store"):
                await keeper.identity_head(asked)
        clock.set(None, SILENCE)
        await asyncio.to_thread(lost.wait_until_ready)
        assert await keeper.checkpoint(story.patient.replica.origin)
    other.stop()
    await story.do_all()
    assert CAME_BACK in " ".join((lost.folder / "output.log").read_text().split())
    other.start()
    other.wait()


async def test_acknowledgements_of_two_times_are_not_together(
    story: Consultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that two keepers acknowledge now, and two dated earlier, is not in force; the twin counts them together."""
    await story.give()
    vault, keepers = await put_between(story.patient.service)
    vault.withhold("append_link", Unreachable("gone"))
    names = {keeper.name: keeper.key_hash for keeper in story.patient.service.root.live_keepers}
    for program in story.keepers[:2]:
        keepers[names[program.card.name]].tamper("end", earlier(program))
    with pytest.raises(Unreachable):
        await story.patient.revoke(story.gid)
    assert not story.patient.replica.grant(story.gid).end_in_force
    monkeypatch.setattr(sharing, "dated_together", lambda times, k: k if len([*times]) >= k else None)
    with pytest.raises(Unreachable):
        await story.patient.revoke(story.gid)
    assert story.patient.replica.grant(story.gid).end_in_force


async def test_a_keeper_that_exchanges_shares_is_left_out_of_a_batch(story: Consultation) -> None:
    """Two documents under one request: a keeper that answers for each with the other's shares opens and spoils nothing."""
    reader = story.reader
    docs = [await story.add(), await story.add()]
    grant = await story.patient.authorise(await reader.card(), docs)
    await reader.sync()
    await reader.listing()
    wanted = [
        (document, story.folder / document.document.doc.hex())
        for document in reader.documents()
        if document.gid == grant.entry.gid
    ]
    name = min(reader.service.keepers)  # the first that each of its subsets is taken from
    honest = reader.service.keepers[name]
    reader.service.keepers[name] = lying = LyingKeeper(honest)

    def exchanged(answer: ReleaseAnswer) -> ReleaseAnswer:
        query = lying.asked("release")[-1]
        digest, index = query.request.digest, query.logged.disclosure.index
        given = release.open_release(reader.own.unsealing, answer.box, digest, index, name)
        subsets = tuple(msgspec.structs.replace(each, shares=each.shares[::-1]) for each in given.subsets)
        info = release._info(digest, index, name)
        body = encode(msgspec.structs.replace(given, subsets=subsets))
        return ReleaseAnswer(box=sealing.seal(reader.own.unsealing.public, info, body))

    lying.tamper("release", exchanged)
    for _ in range(3):  # among the first to answer, or not
        assert await reader.read_all(wanted) == []
        for _, path in wanted:
            assert path.read_bytes() == TEXT
            path.unlink()
    assert reader.service.left_out <= {name}
    entries = (await story.patient.log()).entries
    assert sum(entry.act == "release" and set(entry.documents) == set(docs) for entry in entries) == 3

    reader.service.keepers = {
        name: lying,
        **{each: LyingKeeper(keeper) for each, keeper in reader.service.keepers.items() if each != name},
    }
    for each, keeper in reader.service.keepers.items():
        if each != name:
            keeper.tamper("release", lambda _: ReleaseAnswer(box=bytes(1200)))
    assert {type(each.why) for each in await reader.read_all(wanted)} <= {CannotOpen, NotFound}
    assert not any(path.exists() for _, path in wanted)


async def test_above_the_threshold_it_is_said_and_nothing_is_lost(story: Consultation) -> None:
    """Two of four down: it is said that it is for the keepers, what was fetched opens, and the same goes on afterwards."""
    await story.give()
    (document,) = [each for each in story.reader.documents() if each.gid == story.gid]
    ahead = story.folder / "ahead"
    await story.reader.read(document, ahead, act="prefetch")
    before = len((await story.patient.log()).entries)
    down = story.keepers[:2]
    for keeper in down:
        keeper.stop()
    with pytest.raises(Unreachable, match=r"Too few keepers answered.*is stored"):
        await story.read()
    with pytest.raises(
        Unreachable, match=r"Too few keepers answer: 3 of 4 must, and these do not: keeper-0, keeper-1\."
    ):
        await story.patient.service.prove_chain(story.patient.own.profile.chain)
    assert ahead.read_bytes() == TEXT
    own = story.folder / "own"
    await story.patient.get(document.document.doc, own)
    assert own.read_bytes() == TEXT
    for keeper in down:
        keeper.start()
    for keeper in down:
        keeper.wait()
    await story.read()
    assert (
        len((await story.patient.log()).entries) == before + 1
    )  # the request that was stored is the one that was answered
    assert (await story.patient.log()).alarms == ()
