"""Enrolments and restores under kill: pairs of a practitioner and a patient come, share, lose their machines, and restore."""

import asyncio
import io
import random
from collections.abc import Callable
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path

from crypto.sealed.recovery import read_kit_file
from tests.crash import documents
from tests.crash.newcomers import PASSPHRASE, Newcomer, ShutOut
from tests.crash.rounds import Told
from tests.crash.service import Service
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner

# So many commands of each step are killed at most.
TOGETHER = 5


def come_under_fire(folder: Path, seed: int, rounds: int) -> Told:
    """So many kills, spread over as many people as it takes. What does not hold is told."""
    service, told = Service(folder / "data", folder, {}), Told()
    chosen = random.Random(seed)
    try:
        service.found()
        for number in count():
            if told.rounds.total() >= rounds or told.broken:
                return told
            _Pair(folder, service, number, chosen, told, rounds).come()
    finally:
        for program in service.programs:
            program.kill()


class _Pair:
    """A practitioner and the patient who shares with them."""

    def __init__(
        self, folder: Path, service: Service, number: int, chosen: random.Random, told: Told, rounds: int
    ) -> None:
        self._service, self._chosen, self._told, self._number = service, chosen, told, number
        self._rounds = rounds
        self._doctor = Newcomer(folder / f"practitioner-{number}", service, "practitioner", chosen)
        self._patient = Newcomer(folder / f"patient-{number}", service, "patient", chosen)
        self._folder = folder / f"patient-{number}"

    def come(self) -> None:
        """Enrol, share, restore, and look whether all is there, until there were as many kills in all as asked for."""
        most = max(1, min(TOGETHER, self._rounds // 4))  # where few are killed, each step gets its share
        title = f"letter-{self._number}"
        source = documents.write(self._folder / "sources", title)
        card = self._folder / "doctor-card.json"
        try:
            self._step("practitioner enrols", self._doctor, self._doctor.enrol, most)
            asyncio.run(self._certified(card))
            self._step("patient enrols", self._patient, self._patient.enrol, most)
            self._check_kit()
            (added,) = self._patient.does("add", str(source))["documents"]
            self._patient.does("authorise", str(card), added["id"], "--yes")
            self._told.acknowledged["patient enrols"] += 2
            self._step("patient restores", self._patient, self._patient.restore, most)
            asyncio.run(self._record_is_whole(title))
            self._step("practitioner restores", self._doctor, self._doctor.restore, most)
            asyncio.run(self._opens(title))
        except ShutOut as shut_out:
            self._told.broken.append(str(shut_out))

    def _step(self, kind: str, who: Newcomer, step: Callable[[], None], most: int) -> None:
        before, left = who.kills, self._rounds - self._told.rounds.total()
        who.left = min(self._chosen.randint(1, most), left)
        step()
        who.left = 0
        self._told.rounds[kind] += who.kills - before
        self._told.acknowledged[kind] += 1

    async def _certified(self, card: Path) -> None:
        async with await Practitioner.open(self._doctor.home, PASSPHRASE) as doctor:
            with redirect_stdout(io.StringIO()):  # the registrar's own words
                await self._service.instance.certify(doctor, card, f"demo:{self._number}")

    def _check_kit(self) -> None:
        """The kit that was written last is that of the identity. Raises ShutOut."""
        identity = self._patient.does("card")["identity"]
        if read_kit_file(self._patient.kits[-1].read_text()).identity.hex() != identity:
            raise ShutOut("The kit is not that of the identity that came of it.")

    async def _record_is_whole(self, title: str) -> None:
        """What was added opens, what was shared is keyed anew, and work goes on. Raises ShutOut."""
        async with await Patient.open(self._patient.home, PASSPHRASE) as patient:
            (document,) = patient.documents()
            await patient.get(document.doc, self._folder / "received.bin")
            if (self._folder / "received.bin").read_bytes() != documents.content(title):
                self._told.lost["patient restores"] += 1
                raise ShutOut(f"{title} has other bytes")
            epochs = {grant.entry.epoch for grant in patient.grants()}
            if epochs != {patient.replica.epoch().epoch}:
                raise ShutOut(f"A grant goes on under keys that a removed device knows: {epochs}")
            await patient.add(documents.write(self._folder / "sources", f"{title}-after"))

    async def _opens(self, title: str) -> None:
        """What was granted to a practitioner who restored opens. Raises ShutOut."""
        async with await Practitioner.open(self._doctor.home, PASSPHRASE) as doctor:
            if refused := await doctor.sync():
                raise ShutOut(f"Deliveries were refused: {refused}")
            granted = await doctor.listing()
            if [each.document.title for each in granted] != [title]:
                self._told.lost["practitioner restores"] += 1
                raise ShutOut(f"{title} is not granted any more: {granted}")
            await doctor.read(granted[0], self._folder / "read.bin")
            if (self._folder / "read.bin").read_bytes() != documents.content(title):
                self._told.lost["practitioner restores"] += 1
                raise ShutOut(f"{title} opens other bytes")
