"""What must hold for the people after the last cut: everything acknowledged, seen with their own programs."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from crypto.errors import NotFound
from crypto.wire.messages import LinkQuery
from tests.crash import documents
from tests.crash.people import People
from tests.crash.place import Place
from vault_client.changes import Authorise, ExtendGrant, MaskDocument
from vault_client.opening import Opener, Wanted
from vault_client.patient import Patient
from vault_client.practitioner import TREATMENT, Practitioner


class Broken(NamedTuple):
    """What does not hold, in words. ``at``: when it was acknowledged, if that is what was lost."""

    words: str
    at: float | None = None


async def broken(people: People) -> list[Broken]:
    """What does not hold."""
    found: list[Broken] = []
    async with await Practitioner.resume(people.doctor.open(), people.doctor.profile) as doctor:
        found += [Broken(f"a delivery was refused: {why}") for why in await doctor.sync()]
        await doctor.listing()
        refused = doctor.set_aside().values()  # NotFound is how an end shows that came before the list
        found += [Broken(f"a list was set aside: {why}") for why in refused if not isinstance(why, NotFound)]
        for place in people.patients:
            async with await Patient.resume(place.open(), place.profile) as patient:
                await patient.send_waiting()
                await patient.sync()
                found += [
                    Broken(f"{place.folder.name}: {each.words}", each.at)
                    async for each in _Checked(people, place, patient, doctor).all()
                ]
                await _goes_on(people, place, patient, doctor)
    found += map(Broken, _left_over(people))
    return found


async def _goes_on(people: People, place: Place, patient: Patient, doctor: Practitioner) -> None:
    """After all that, one more document is added, shared and read; that also clears up what the last cut left."""
    title = f"after-{place.folder.name}"
    document = await patient.add(documents.write(place.sources, title))
    await patient.authorise(await doctor.card(), [document.doc])
    await doctor.sync()
    await doctor.listing()
    listed = next(each for each in doctor.documents() if each.document.doc == document.doc)
    await doctor.read(listed, people.doctor.received / "after.bin")
    await patient.get(document.doc, place.received / "after.bin")


class _Checked:
    """One patient's promises."""

    def __init__(self, people: People, place: Place, patient: Patient, doctor: Practitioner) -> None:
        self._people, self._place = people, place
        self._patient, self._doctor = patient, doctor
        self._gone = {line["doc"] for line in place.ledger.read("deleting")}
        self._ending = {line["gid"] for line in place.ledger.read("revoking")}

    async def all(self) -> AsyncIterator[Broken]:
        """What does not hold."""
        for check in (
            self._waiting,
            self._queued,
            self._documents,
            self._chain,
            self._grants,
            self._ends,
            self._log,
        ):
            async for problem in check():
                yield problem

    async def _waiting(self) -> AsyncIterator[Broken]:
        """What a cut left waiting was finished by the next opening; only for a deleted document, or an ended grant, it is void."""
        outcome = self._patient.outcome
        for queued in self._patient.waiting():
            yield Broken(f"{queued.change} still waits: {outcome.unreached}")
        for queued, why in outcome.refused:
            yield Broken(f"{queued.change} was refused: {why}")
        for queued, why in outcome.dropped:
            if not isinstance(queued.change, Authorise | ExtendGrant | MaskDocument):
                yield Broken(f"{queued.change} was dropped: {why}")

    async def _queued(self) -> AsyncIterator[Broken]:
        """Every change that a person was told waits on the device is made, or void by what they did since."""
        there = {each.doc.hex() for each in self._patient.documents()}
        known = {grant.entry.gid.hex(): grant for grant in self._patient.grants()}
        for line in self._place.ledger.read("queued"):
            match line:
                case {"what": "added", "doc": doc}:
                    held = doc in there or doc in self._gone
                case {"what": "deleted", "doc": doc}:
                    held = doc not in there
                case {"what": "revoked", "gid": gid}:
                    held = known[gid].entry.ended
                case {"gid": gid, "docs": docs}:
                    given = {version.doc.hex() for version in self._patient.granted(bytes.fromhex(gid))}
                    void = gid in self._ending or not self._gone.isdisjoint(docs)
                    held = void or (gid in known and given.issuperset(docs))
            if not held:
                yield _lost(line, "was told to wait on the device, and was never made")

    async def _documents(self) -> AsyncIterator[Broken]:
        """Every document that was added is there with its bytes, once; none that was deleted is."""
        there = {each.doc.hex(): each for each in self._patient.documents()}
        titles = Counter(each.descriptor.title for each in there.values())
        for title, times in titles.items():
            if times > 1:
                yield Broken(f"{title} is there {times} times")
        for line in self._place.ledger.read("added"):
            if line["doc"] not in there and line["doc"] not in self._gone:
                yield _lost(line, "is lost")
        for line in self._place.ledger.read("deleted"):
            if line["doc"] in there:
                yield _lost(line, "came back")
        for document in there.values():
            to = self._place.received / "own.bin"
            await self._patient.get(document.doc, to)
            if to.read_bytes() != documents.content(document.descriptor.title):
                yield Broken(f"{document.doc.hex()} has other bytes")

    async def _chain(self) -> AsyncIterator[Broken]:
        """The chain that is served is the one that was kept, link by link."""
        head, expected, prev = self._patient.replica.local.head, 0, None
        while True:
            answer = await self._patient.service.api.links(LinkQuery(vault=head.vault, since=expected))
            expected += len(answer.links)
            prev = answer.links[-1].digest if answer.links else prev
            if not answer.more:
                break
        if (expected, prev) != (head.n + 1, head.link):
            yield Broken(
                f"the server has {expected} links, {head.n + 1} were kept here, or they end otherwise"
            )

    async def _grants(self) -> AsyncIterator[Broken]:
        """Every grant that was made, and not ended, is in force, and one of its documents opens."""
        known = {grant.entry.gid.hex(): grant for grant in self._patient.grants()}
        listed = {(each.gid.hex(), each.document.doc.hex()): each for each in self._doctor.documents()}
        for line in self._place.ledger.read("authorised", "extended"):
            gid, docs = line["gid"], [doc for doc in line["docs"] if doc not in self._gone]
            if gid in self._ending:
                continue
            if gid not in known or known[gid].entry.ended:
                yield _lost(line, "is not in force")
            elif missing := [doc for doc in docs if (gid, doc) not in listed]:
                yield _lost(line, f"does not list {missing}")
            elif docs:
                document = listed[gid, docs[0]]
                to = self._people.doctor.received / "granted.bin"
                await self._doctor.read(document, to)
                if to.read_bytes() != documents.content(document.document.title):
                    yield _lost(line, "opens other bytes")

    async def _ends(self) -> AsyncIterator[Broken]:
        """A grant that was ended opens nothing."""
        known = {grant.entry.gid.hex(): grant for grant in self._patient.grants()}
        granted = {line["gid"]: line["docs"][0] for line in self._place.ledger.read("authorised")}
        for line in self._place.ledger.read("revoked"):
            gid = line["gid"]
            if not known[gid].entry.ended:
                yield _lost(line, "the record does not say so")
            if gid not in granted:
                continue
            received = self._doctor.grants.get(bytes.fromhex(gid))
            row = self._doctor.grants.row(received.gid, bytes.fromhex(granted[gid]))
            wanted = Wanted(doc=row.doc, ver=row.ver, ct_root=row.ct_root, wrap=row.wrap)
            opener = Opener(self._doctor.service, self._doctor.own)
            try:
                await opener.request(received, [wanted], "release", TREATMENT)
            except NotFound:
                continue
            yield _lost(line, "it was opened")

    async def _log(self) -> AsyncIterator[Broken]:
        """The log is whole, and every reading that was acknowledged is in it."""
        report = await self._patient.log()
        for alarm in report.alarms:
            yield Broken(f"alarm {alarm.code}: {alarm.text}")
        opened = Counter(
            doc.hex()
            for entry in report.entries
            if (entry.kind, entry.act) == ("access", "release")
            for doc in entry.documents
        )
        own = {line["doc"] for line in self._place.ledger.read("added")}
        for line in self._people.doctor.ledger.read("read"):
            opened[line["doc"]] -= 1
            if line["doc"] in own and opened[line["doc"]] < 0:
                yield _lost(line, "was read more often than its log says")


def _lost(line: dict[str, Any], how: str) -> Broken:
    return Broken(f"{line} {how}", line["at"])


def _left_over(people: People) -> Iterator[str]:
    """Nothing of a run that was cut short is left with anybody who has worked since, but downloads to go on with."""
    for place in people.places:
        for folder, pattern in (
            (place.profile / "spool", "*"),
            (place.received, ".*"),
            (place.profile, "*.new"),
        ):
            for left in folder.glob(pattern):
                if left.suffix == ".fetched":
                    continue
                yield f"{left} was left"
