"""The people of the load: enrolled once, each at work in a process of their own."""

import asyncio
import io
from contextlib import redirect_stdout
from pathlib import Path

from crypto.wire.cards import card_text
from tests.crash.place import Place
from tests.crash.programs import Program
from tests.crash.service import Service
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner

PATIENTS = 2


class People:
    """Two patients and the practitioner they share with."""

    def __init__(self, folder: Path, profiles: Path, environment: dict[str, str]) -> None:
        """``profiles``: the disk of their profiles. ``environment``: of their programs."""
        self.doctor = Place(folder / "doctor", profiles / "doctor-profile")
        names = [f"patient-{number}" for number in range(PATIENTS)]
        self.patients = [Place(folder / name, profiles / f"{name}-profile") for name in names]
        self.programs = [
            Program(
                [f"tests.crash.{work}", str(place.folder), str(place.profile)],
                folder / f"{place.folder.name}.log",
                environment,
                seeded=True,
            )
            for work, places in (("patient_at_work", self.patients), ("doctor_at_work", [self.doctor]))
            for place in places
        ]

    @property
    def places(self) -> list[Place]:
        """Where each of them keeps what is theirs."""
        return [*self.patients, self.doctor]

    async def enrol(self, service: Service) -> None:
        """Enrol all, and have the practitioner certified."""
        for place in self.patients:
            begun = Patient.begin(place.create(), place.profile, card=service.card, keep_kit=lambda _: None)
            await (await begun).close()
        begun_here = Practitioner.begin(
            self.doctor.create(), self.doctor.profile, card=service.card, keep_kit=lambda _: None
        )
        async with await begun_here as doctor:
            with redirect_stdout(io.StringIO()):  # the registrar's own words
                await service.instance.certify(doctor, self.doctor.folder / "card.json", "demo:1")
            card = card_text(await doctor.card())
            await asyncio.to_thread(self.patients[0].doctor.write_text, card)

    def acknowledged(self) -> int:
        """How much was acknowledged to all of them so far."""
        return sum(place.ledger.acknowledged() for place in self.places)

    def stirred(self) -> list[int]:
        """How much each of them has written down so far: who waits for ever writes nothing."""
        return [place.ledger.length() for place in self.places]

    def problems(self) -> list[str]:
        """What any of them called a problem."""
        return [
            f"{place.folder.name}: {line}" for place in self.places for line in place.ledger.read("problem")
        ]
