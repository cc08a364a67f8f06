"""The people of the demo: a patient and two practitioners, each with a profile in a folder of their own."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto.wire.cards import card_text
from vault_client.demo.instance import Instance, running
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner

# Whoever is granted something is told this name, and nobody else is.
PATIENT = "Camille Morel"
# Nobody. What is certified is public: none of these words may stand in a title or document of the demo.
PEOPLE = (
    ("Dr Anaïs Roche", "médecin", "demo:10000000001"),
    ("Dr Hugo Perrin", "médecin généraliste", "demo:10000000002"),
)


@dataclass(frozen=True)
class Doctor:
    """A practitioner of the story. ``received``: where what they open goes."""

    name: str
    folder: Path
    sdk: Practitioner

    @property
    def received(self) -> Path:
        """The folder of what was opened."""
        return self.folder / "received"


@dataclass(frozen=True)
class Cast:
    """Everybody, and the instance they are on. ``passphrases``: of the profiles, in memory only."""

    folder: Path
    instance: Instance
    patient: Patient
    doctors: tuple[Doctor, ...]
    passphrases: tuple[str, ...]


@asynccontextmanager
async def assembled(folder: Path) -> AsyncIterator[Cast]:
    """Start the instance in ``folder``, enrol everybody, certify the practitioners; end it all with the block."""
    async with AsyncExitStack() as stack:
        instance = await stack.enter_async_context(running(folder))
        passphrases = tuple(secrets.token_urlsafe(24) for _ in range(1 + len(PEOPLE)))
        patient = await stack.enter_async_context(
            await Patient.enrol(
                folder / "patient", passphrases[0], card=instance.card, person=PATIENT, keep_kit=_forget
            )
        )
        doctors = []
        for number, (name, profession, subject) in enumerate(PEOPLE, 1):
            place = folder / f"practitioner-{number}"
            practitioner = await stack.enter_async_context(
                await Practitioner.enrol(place, passphrases[number], card=instance.card, keep_kit=_forget)
            )
            card = place / "card.json"
            card.write_text(card_text(await practitioner.card()) + "\n", encoding="utf-8")
            await instance.certify(card, subject=subject, name=name, profession=profession)
            card.write_text(card_text(await practitioner.card()) + "\n", encoding="utf-8")
            doctors.append(Doctor(name, place, practitioner))
        yield Cast(folder, instance, patient, tuple(doctors), passphrases)


def _forget(kit: object) -> None:
    """The demo's people lose their kits: nothing of the demo is worth recovering."""
