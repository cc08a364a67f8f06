"""A state machine of the whole vault API: whatever is asked in whatever order, the server does what the model says."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crypto import pieces
from crypto.errors import CoffreError, Conflict, Malformed, NotFound, NotPermitted, Stale, TooMany
from crypto.signing import Envelope
from crypto.vault_links import Block, End, Mask, Tombstone
from crypto.wire import messages as m
from tests.contract.grant_story import Granting
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, serving
from tests.contract.record_story import Record, Stored, everything
from tests.contract.vault_story import Person, World, fresh, leaves_after
from tests.wire.model import Document, Kept, Model, Sharing
from vault_server.settings import Limits

Answer = TypeVar("Answer")

SHARD_VAULTS, VAULTS = 2, 2
PICK = st.integers(0, 99)
LARGE = fresh(pieces.ciphertext_length(pieces.PART * pieces.PLAIN_PIECE + 70_000))


def chosen(number: int, among: list[Answer]) -> Answer:
    """One of ``among``."""
    return among[number % len(among)]


class VaultMachine(RuleBasedStateMachine):
    """Two patients, two practitioners, a stranger, and a server that is now and then started anew."""

    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="coffre-machine-"))
        self.keeper = CosigningKeeper(Clock())
        self.answered: list[tuple[Kept, Sharing, Envelope, m.OpenAnswer]] = []
        self.sent: list[tuple[Kept, m.LinkSubmission, m.LinkAccepted]] = []

    def run(self, doing: Coroutine[Any, Any, Answer]) -> Answer:
        """The result of ``doing``."""
        return self.runner.run(doing)

    def teardown(self) -> None:
        """End the server."""
        self.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        """Found the instance, let everybody enrol, and share the one of two documents."""
        self.run(self._begin())
        self.found(0)
        for which in range(2):
            self.write(0, large=False)
            self.upload(which)
            self.add(which)
        self.grant(0, 0, many=False)

    async def _begin(self) -> None:
        await self._start()
        host = self.service.root.root.hosts[0]
        self.model = Model(host, SHARD_VAULTS, VAULTS)
        self.patients = [await self.world.person() for _ in range(2)]
        self.readers = [await self.world.person(certified=True) for _ in range(2)]
        self.stranger = await self.world.person()
        self.model.leaves[self.world.directory] = 7

    async def _start(self) -> None:
        limits = replace(Limits(), vaults_an_account=VAULTS)
        self.service: InProcess = await self.stack.enter_async_context(
            serving(self.folder, self.keeper, shard_vaults=SHARD_VAULTS, limits=limits)
        )
        if hasattr(self, "world"):
            self.world.service = self.service
        else:
            self.world = World(self.service)

    async def outcome(self, doing: Awaitable[Answer], refusal: type[CoffreError] | None) -> Answer | None:
        """What came of ``doing``, which must be refused as ``refusal`` or else be done."""
        if refusal is None:
            return await doing
        with pytest.raises(CoffreError) as refused:
            await doing
        assert type(refused.value) is refusal
        return None

    async def append(
        self, kept: Kept, submission: m.LinkSubmission, refusal: type[CoffreError] | None, leaves: int = 1
    ) -> bool:
        """Send a link. Says whether it was accepted."""
        accepted = await self.outcome(kept.record.append(submission), refusal)
        if accepted is None:
            return False
        assert len(accepted.logged) == leaves
        self.model.linked(kept, leaves)
        self.sent.append((kept, submission, accepted))
        return True

    @invariant()
    def every_log_has_its_leaves(self) -> None:
        """No leaf more, no leaf less, under a head that the keeper cosigned."""
        type(self).steps += 1
        if hasattr(self, "model"):
            self.run(self._every_log_has_its_leaves())

    async def _every_log_has_its_leaves(self) -> None:
        for origin, size in self.model.leaves.items():
            assert await leaves_after(self.world, origin, size) == size

    @rule(who=PICK)
    def found(self, who: int) -> None:
        """Found a record, where the account may have one more: in the newest log, or in the next when that is full."""
        self.run(self._found(chosen(who, self.patients)))

    async def _found(self, who: Person) -> None:
        record = Record(who)
        refusal = None if self.model.may_found(who) else TooMany
        if await self.outcome(record.found(), refusal) is not None:
            assert record.origin == self.model.next_origin
            self.model.found(record)

    @precondition(lambda self: self.model.vaults)
    @rule(vault=PICK, large=st.booleans())
    def write(self, vault: int, large: bool) -> None:
        """Somebody has a document that the server has not heard of yet."""
        kept = chosen(vault, self.model.vaults)
        stored = Stored.random()
        has_large = any(each.stored.data is LARGE for _, each in self.model.documents)
        kept.documents.append(Document(replace(stored, data=LARGE) if large and not has_large else stored))

    @precondition(lambda self: self.model.documents)
    @rule(
        which=PICK,
        number=st.integers(0, 2),
        how=st.sampled_from(["honest", "honest", "other", "short", "stranger"]),
    )
    def put_part(self, which: int, number: int, how: str) -> None:
        """Send a part: create-only, of its length, for the holder."""
        self.run(self._put_part(*chosen(which, self.model.documents), number, how))

    async def _put_part(self, kept: Kept, document: Document, number: int, how: str) -> None:
        stored, record = document.stored, kept.record
        there = number < document.part_count
        length = len(stored.data)
        data = stored.data[pieces.part_slice(number, length)] if there else b"x" * 100
        sent = {"other": data[::-1], "short": data[:-1]}.get(how, data)
        honest = how != "other"
        refusal: type[CoffreError] | None = None
        if how == "stranger":
            refusal = NotFound
        elif not there or how == "short":
            refusal = Malformed
        elif document.parts.get(number, honest) != honest or (
            document.present and number not in document.parts
        ):
            refusal = Conflict
        api = await (self.stranger if how == "stranger" else record.holder).api()
        query = m.PartUpload(vault=record.id, ver=stored.ver, length=length, number=number)
        await self.outcome(api.put_part(query, sent), refusal)
        if refusal is None:
            document.parts[number] = honest
        status = await (await record.holder.api()).upload_status(
            m.UploadQuery(vault=record.id, ver=stored.ver)
        )
        assert status.parts == tuple(sorted(document.parts))

    @precondition(lambda self: self.model.documents)
    @rule(which=PICK)
    def upload(self, which: int) -> None:
        """Send all parts that are missing."""
        kept, document = chosen(which, self.model.documents)
        for number in range(document.part_count):
            if number not in document.parts:
                self.run(self._put_part(kept, document, number, "honest"))

    @precondition(lambda self: self.model.documents)
    @rule(which=PICK)
    def add(self, which: int) -> None:
        """Add a document by a link, which is taken once just what was signed has arrived."""
        self.run(self._add(*chosen(which, self.model.documents)))

    async def _add(self, kept: Kept, document: Document) -> None:
        step = document.stored.step(len(kept.record.epochs) - 1)
        submission = await kept.record.submission(step, parts=document.stored.parts)
        if await self.append(
            kept, submission, None if document.whole and not document.added else NotPermitted
        ):
            document.added = True
            query = m.CiphertextQuery(vault=kept.record.id, request=None, ver=document.stored.ver, start=0)
            assert await everything(await kept.record.holder.api(), query) == document.stored.data

    @precondition(lambda self: self.model.documents)
    @rule(which=PICK, masked=st.booleans())
    def mask(self, which: int, masked: bool) -> None:
        """Mask a document, or show it again."""
        self.run(self._mask(*chosen(which, self.model.documents), masked))

    async def _mask(self, kept: Kept, document: Document, masked: bool) -> None:
        submission = await kept.record.submission(Mask(doc=document.stored.doc, masked=masked))
        if await self.append(kept, submission, None if document.present else NotPermitted):
            document.masked = masked

    @precondition(lambda self: self.model.documents)
    @rule(which=PICK)
    def delete(self, which: int) -> None:
        """Delete a document: its ciphertext is gone, and its place is free of parts again."""
        self.run(self._delete(*chosen(which, self.model.documents)))

    async def _delete(self, kept: Kept, document: Document) -> None:
        submission = await kept.record.submission(Tombstone(doc=document.stored.doc))
        if await self.append(kept, submission, None if document.present else NotPermitted):
            document.deleted, document.parts = True, {}
            query = m.CiphertextQuery(vault=kept.record.id, request=None, ver=document.stored.ver, start=0)
            await self.outcome(everything(await kept.record.holder.api(), query), NotFound)

    @precondition(lambda self: self.model.vaults)
    @rule(vault=PICK, who=PICK, blocked=st.booleans())
    def block(self, vault: int, who: int, blocked: bool) -> None:
        """Block somebody, or let them again."""
        self.run(self._block(chosen(vault, self.model.vaults), chosen(who, self.readers), blocked))

    async def _block(self, kept: Kept, who: Person, blocked: bool) -> None:
        submission = await kept.record.submission(Block(identity=who.identity, blocked=blocked))
        assert await self.append(kept, submission, None)
        kept.blocked = kept.blocked | {who.identity} if blocked else kept.blocked - {who.identity}

    @precondition(lambda self: self.model.vaults)
    @rule(vault=PICK)
    def rotate(self, vault: int) -> None:
        """Change the keys of a record."""
        kept = chosen(vault, self.model.vaults)
        self.run(kept.record.rotate())
        self.model.linked(kept)

    @precondition(lambda self: any(each.added for _, each in self.model.documents))
    @rule(which=PICK, who=PICK, many=st.booleans())
    def grant(self, which: int, who: int, many: bool) -> None:
        """Grant documents to somebody; only who is certified and not blocked can be granted anything."""
        kept = chosen(which, [kept for kept, each in self.model.documents if each.added])
        documents = [each for each in kept.documents if each.added]
        self.run(
            self._grant(
                kept, chosen(who, [*self.readers, self.stranger]), documents if many else documents[:1]
            )
        )

    async def _grant(self, kept: Kept, who: Person, documents: list[Document]) -> None:
        sharing = Sharing(Granting(kept.record, who), set(documents), len(kept.record.epochs) - 1)
        submission = await sharing.granting.submission(*(each.stored for each in documents))
        may = self.model.may_grant(kept, who, who in self.readers)
        if await self.append(kept, submission, None if may else NotPermitted, leaves=2):
            kept.sharings.append(sharing)
            self.model.delivered(sharing, 0)

    @precondition(lambda self: self.model.sharings)
    @rule(which=PICK, document=PICK, rekey=st.booleans())
    def grant_more(self, which: int, document: int, rekey: bool) -> None:
        """Another event of a grant: it adds, or with a rekey closes what was before; after new keys only a rekey will do."""
        kept, sharing = chosen(which, self.model.sharings)
        added = [each for each in kept.documents if each.added]
        self.run(self._grant_more(kept, sharing, chosen(document, added), rekey))

    async def _grant_more(self, kept: Kept, sharing: Sharing, document: Document, rekey: bool) -> None:
        granting, epoch = sharing.granting, len(kept.record.epochs) - 1
        before = (granting.j, granting.rekey, granting.prev, granting.listing, list(granting.events))
        may = (
            not sharing.ended
            and granting.recipient.identity not in kept.blocked
            and (rekey or epoch == sharing.epoch)
        )
        submission = await granting.submission(document.stored, rekey=rekey)
        if await self.append(kept, submission, None if may else NotPermitted, leaves=2):
            sharing.rows, sharing.epoch = {document} | (set() if rekey else sharing.rows), epoch
            self.model.delivered(sharing, granting.j)
        else:
            granting.j, granting.rekey, granting.prev, granting.listing, granting.events = before

    @precondition(lambda self: self.model.sharings)
    @rule(which=PICK)
    def end(self, which: int) -> None:
        """End a grant, once."""
        self.run(self._end(*chosen(which, self.model.sharings)))

    async def _end(self, kept: Kept, sharing: Sharing) -> None:
        granting = sharing.granting
        submission = await kept.record.submission(End(gid=granting.gid), tags=(granting.end_tag,))
        if await self.append(kept, submission, NotPermitted if sharing.ended else None, leaves=2):
            sharing.ended = True
            self.model.delivered(sharing, None)

    @precondition(lambda self: self.model.sharings)
    @rule(which=PICK, document=PICK, rest=st.booleans(), act=st.sampled_from(["release", "list", "export"]))
    def open(self, which: int, document: int, rest: bool, act: str) -> None:
        """Ask for documents, or for the listing: granted or refused, there is one leaf."""
        kept, sharing = chosen(which, self.model.sharings)
        one = chosen(document, kept.documents)
        self.run(self._open(kept, sharing, {one} | (sharing.rows if rest else set()), act))

    async def _open(self, kept: Kept, sharing: Sharing, documents: set[Document], act: str) -> None:
        granting = sharing.granting
        if act == "list":
            wanted, granted = [granting.listing], not sharing.ended
        else:
            wanted, granted = (
                [each.stored for each in documents],
                act == "release" and sharing.opens(documents),
            )
        envelope = await granting.request(*wanted, act=act)
        api = await granting.recipient.api()
        answer = await self.outcome(api.open(m.OpenRequest(request=envelope)), None if granted else NotFound)
        self.model.linked(kept)
        if answer is None:
            return
        self.world.check(answer.logged, envelope, kept.record.origin)
        self.answered.append((kept, sharing, envelope, answer))
        query = m.CiphertextQuery(vault=None, request=envelope.digest, ver=wanted[0].ver, start=0)
        assert await everything(api, query) == wanted[0].data
        await self.outcome(everything(await self.stranger.api(), query), NotFound)

    @precondition(lambda self: self.model.sharings)
    @rule(which=PICK)
    def open_what_never_was(self, which: int) -> None:
        """An unknown grant gets the same refusal, and leaves no leaf."""
        _, sharing = chosen(which, self.model.sharings)
        stored = next(iter(sharing.rows)).stored
        self.run(self.outcome(sharing.granting.open(stored, gid=fresh()), NotFound))

    @precondition(lambda self: self.answered)
    @rule(which=PICK, how=st.sampled_from(["same", "slot", "another's"]))
    def open_again(self, which: int, how: str) -> None:
        """The same request gets the same proof while it is young; its slot, and another's request, are refused."""
        self.run(self._open_again(*chosen(which, self.answered), how))

    async def _open_again(
        self, kept: Kept, sharing: Sharing, envelope: Envelope, first: m.OpenAnswer, how: str
    ) -> None:
        granting, disclosure = sharing.granting, first.logged.disclosure
        if how == "slot":
            document = next(iter(sharing.rows))
            await self.outcome(granting.open(document.stored, slot_two=disclosure.slot_two), Conflict)
            return
        api = await (self.stranger if how == "another's" else granting.recipient).api()
        is_old = self.service.now() - disclosure.part.time > 600
        refusal = NotPermitted if how == "another's" else Stale if is_old else None
        again = await self.outcome(api.open(m.OpenRequest(request=envelope)), refusal)
        assert again is None or again.logged.disclosure == disclosure

    @precondition(lambda self: self.sent)
    @rule(which=PICK)
    def send_again(self, which: int) -> None:
        """A link sent again, however late, gets its proof again and no new leaf."""
        self.run(self._send_again(*chosen(which, self.sent)))

    async def _send_again(self, kept: Kept, submission: m.LinkSubmission, first: m.LinkAccepted) -> None:
        again = await (await kept.record.holder.api()).append_link(submission)
        assert [each.disclosure for each in again.logged] == [each.disclosure for each in first.logged]

    @precondition(lambda self: self.model.vaults)
    @rule(vault=PICK, ahead=st.sampled_from([0, 2]))
    def send_what_does_not_follow(self, vault: int, ahead: int) -> None:
        """A link with the number of one that is there, or with one too high, is a Conflict."""
        kept = chosen(vault, self.model.vaults)
        self.run(self._send_other(kept, ahead))

    async def _send_other(self, kept: Kept, ahead: int) -> None:
        record = kept.record
        envelope = await record.link(Block(identity=fresh(), blocked=True), n=record.n + ahead)
        submission = m.LinkSubmission(envelope=envelope, scan_key=None, tags=(), events=(), parts=())
        refusal = Conflict if record.n + ahead else Malformed  # number 0 is a founding's
        await self.outcome((await record.holder.api()).append_link(submission), refusal)

    @precondition(lambda self: self.model.vaults)
    @rule(vault=PICK)
    def send_late(self, vault: int) -> None:
        """A link signed in view of a directory that was replaced more than ten minutes ago is Stale."""
        self.run(self._send_late(chosen(vault, self.model.vaults)))

    async def _send_late(self, kept: Kept) -> None:
        late = await kept.record.submission(Block(identity=fresh(), blocked=True))
        self.stranger = await self.world.person()
        self.model.leaves[self.world.directory] += 1
        self.time_passes(601)
        await self.append(kept, late, Stale)

    @rule(seconds=st.sampled_from([60, 601, 3600]))
    def time_passes(self, seconds: int) -> None:
        """Sessions end after an hour: people log in again, as they must at the latest then."""
        self.keeper.clock.now += seconds
        self.service._sessions.clear()

    @rule()
    def restart(self) -> None:
        """Stop the server and start it over the same data: nothing is forgotten."""
        self.run(self._restart())

    async def _restart(self) -> None:
        await self.stack.aclose()
        await self._start()

    @rule()
    def look(self) -> None:
        """Everybody sees what is theirs, all of it, and nothing else."""
        self.run(self._look())

    async def _look(self) -> None:
        stranger = await self.stranger.api()
        for kept in self.model.vaults:
            api, record = await kept.record.holder.api(), kept.record
            links, openings = m.LinkQuery(vault=record.id, since=0), m.OpeningQuery(vault=record.id, since=0)
            assert len((await api.links(links)).links) == record.n + 1
            assert len((await api.openings(openings)).openings) == kept.openings
            await self.outcome(stranger.links(links), NotFound)
            await self.outcome(stranger.openings(openings), NotFound)
        for reader in self.readers:
            box = await (await reader.api()).mailbox(m.MailboxQuery(after=0))
            assert [_named(delivery) for delivery in box.deliveries] == self.model.mail[reader.identity]
        assert (await stranger.mailbox(m.MailboxQuery(after=0))).deliveries == ()


def _named(delivery: m.Delivery) -> tuple[bytes, int | None]:
    """The grant of a delivery, and the number of the event."""
    if delivery.envelope is None:
        assert delivery.ended is not None
        return delivery.ended, None
    event = msgspec.json.decode(delivery.envelope.body)
    return msgspec.convert(event["gid"], bytes), event["j"]
