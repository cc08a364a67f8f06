"""``python -m tests.crash.patient_at_work FOLDER PROFILE SEED``: a patient who adds, shares, opens, ends and deletes until killed."""

import asyncio
import random
import secrets
import sys
from pathlib import Path
from typing import Any

from crypto.errors import CoffreError
from crypto.wire.cards import IdentityCard, read_identity_card
from tests.crash import documents
from tests.crash.place import Place
from tests.crash.work import until_there, work
from vault_client.changes import AddDocument, AnyChange, Authorise, DeleteDocument, EndGrant, ExtendGrant
from vault_client.local_vault import LocalGrant
from vault_client.patient import Patient, PatientDocument

# Out of a hundred: what is done next.
SHARES = (("add", 45), ("authorise", 18), ("extend", 9), ("get", 12), ("revoke", 12), ("delete", 4))


class AtWork:
    """One process of one patient."""

    def __init__(self, place: Place, patient: Patient, doctor: IdentityCard) -> None:
        self._place, self._patient, self._doctor = place, patient, doctor
        self._ledger = place.ledger

    async def act(self) -> None:
        """One thing, chosen at random among those that can be done; what waits comes first."""
        if self._patient.waiting():
            await self._go_on()
            return
        names, weights = zip(*SHARES, strict=True)
        before = self._patient.asked
        try:
            await getattr(self, f"_{random.choices(names, weights)[0]}")()
        except CoffreError:
            queued = self._patient.asked
            if queued is not None and queued is not before:  # as a person is told: no need to type it again
                self._ledger.write("queued", **_told(queued.change))
            raise

    async def _go_on(self) -> None:
        """Finish what was cut; what is in the record now is acknowledged as if it had never been."""
        outcome = self._patient.outcome
        before = len(outcome.sent)
        try:
            await self._patient.send_waiting()
        finally:
            for queued in outcome.sent[before:]:
                told = _told(queued.change)
                self._ledger.write(told.pop("what"), **told)
        if outcome.unreached is not None:
            raise outcome.unreached

    async def _add(self) -> None:
        title = f"letter-{secrets.token_hex(6)}"
        source = documents.write(self._place.sources, title)
        self._ledger.write("adding", title=title)
        added = await self._patient.add(source)
        self._ledger.write("added", title=title, doc=added.doc.hex())
        source.unlink()

    async def _get(self) -> None:
        if document := self._document():
            to = self._place.received / "own.bin"
            await self._patient.get(document.doc, to)
            same = to.read_bytes() == documents.content(document.descriptor.title)
            self._ledger.write("got" if same else "problem", doc=document.doc.hex(), kind="opened")

    async def _delete(self) -> None:
        if document := self._document():
            self._ledger.write("deleting", doc=document.doc.hex())
            await self._patient.delete(document.doc)
            self._ledger.write("deleted", doc=document.doc.hex())

    async def _authorise(self) -> None:
        docs = self._some()
        if docs:
            grant = await self._patient.authorise(self._doctor, docs)
            self._ledger.write("authorised", gid=grant.entry.gid.hex(), docs=[doc.hex() for doc in docs])

    async def _extend(self) -> None:
        grant = self._grant()
        if grant is None:
            return
        gid = grant.entry.gid
        docs = [doc for doc in self._some() if not self._patient.replica.was_granted(gid, doc)]
        if docs:
            await self._patient.extend(gid, docs)
            self._ledger.write("extended", gid=gid.hex(), docs=[doc.hex() for doc in docs])

    async def _revoke(self) -> None:
        grant = self._grant()
        if grant is not None:
            self._ledger.write("revoking", gid=grant.entry.gid.hex())
            await self._patient.revoke(grant.entry.gid)
            self._ledger.write("revoked", gid=grant.entry.gid.hex())

    def _document(self) -> PatientDocument | None:
        found = self._patient.documents()
        return random.choice(found) if found else None

    def _some(self) -> list[bytes]:
        found = self._patient.documents()
        return [each.doc for each in random.sample(found, min(len(found), random.randint(1, 3)))]

    def _grant(self) -> LocalGrant | None:
        open_ = [
            grant
            for grant in self._patient.grants()
            if not (grant.entry.ended or grant.end_in_force or self._patient.is_ending(grant.entry.gid))
        ]
        return random.choice(open_) if open_ else None


def _told(change: AnyChange) -> dict[str, Any]:
    """What is written down of a change that waited: ``what`` will have been done, and to what."""
    match change:
        case AddDocument(doc=doc, descriptor=descriptor):
            return {"what": "added", "title": descriptor.title, "doc": doc.hex()}
        case DeleteDocument(doc=doc):
            return {"what": "deleted", "doc": doc.hex()}
        case Authorise(gid=gid, documents=docs):
            return {"what": "authorised", "gid": gid.hex(), "docs": [doc.hex() for doc in docs]}
        case ExtendGrant(gid=gid, documents=docs):
            return {"what": "extended", "gid": gid.hex(), "docs": [doc.hex() for doc in docs]}
        case EndGrant(gid=gid):
            return {"what": "revoked", "gid": gid.hex()}
        case _:
            raise TypeError(change)


async def main(place: Place) -> None:
    """Work until killed."""
    patient = await until_there(place, lambda: Patient.resume(place.open(), place.profile))
    doctor = read_identity_card(place.doctor.read_text())
    await work(place, AtWork(place, patient, doctor).act)


if __name__ == "__main__":
    random.seed(sys.argv[3])
    asyncio.run(main(Place(Path(sys.argv[1]), Path(sys.argv[2]))))
