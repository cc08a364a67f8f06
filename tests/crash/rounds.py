"""One story: a service founded, people at work, so many cuts at random points, and everything checked in the end."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.crash import promises, stored
from tests.crash.disks import Disk, Fault
from tests.crash.people import People
from tests.crash.programs import Program
from tests.crash.service import Service, Shown
from vault_client.public_log import verify_logs

# Whose disk fails.
Side = Literal["server", "clients"]
# Who is killed, out of a hundred rounds.
KINDS = (("server", 35), ("keeper", 20), ("client", 35), ("all", 10))
# Cuts come so many seconds apart at most, into a start as well as into work; each time after so many, work must go on.
SPREAD = 0.9
TOGETHER = 4
WORK = 8
RETURN_SECONDS = 240


@dataclass
class Told:
    """What came of a story. ``rounds``, ``acknowledged``, ``lost``: by the kind of the cut that came after."""

    rounds: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, other: "Told") -> None:
        """Take in another story."""
        self.rounds += other.rounds
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.broken += other.broken


class Story:
    """One service, its people, and what is done to them."""

    def __init__(
        self, folder: Path, seed: int, disk: Disk | None = None, *, of: Side = "server", keepers: int = 1
    ) -> None:
        """``disk``: where the data ``of`` one side is; then that is what fails, each way in its turn."""
        self._random = random.Random(seed)
        self._disk, self._of = disk, of
        data, environment = (disk.folder, disk.environment) if disk and of == "server" else (folder, {})
        self.service = Service(data / "data", folder, environment, keepers)
        profiles, environment = (disk.folder, disk.environment) if disk and of == "clients" else (folder, {})
        self.people = People(folder, profiles, environment)
        self._faults = folder / "faults"
        self._shown: set[Shown] = set()
        self._acknowledged = 0
        self._stirred = self.people.stirred()
        self._cuts: list[tuple[float, str]] = []

    def play(self, rounds: int) -> Told:
        """Found, cut, check. Raises RuntimeError when something does not come back by itself."""
        told = Told()
        with self._running():
            for number in range(rounds):
                before = self._acknowledged
                if self._disk or number % TOGETHER == 0:
                    self._until_work_was_done()
                time.sleep(self._random.random() * SPREAD)
                if self._disk:
                    fault = self._disk.faults[number % len(self._disk.faults)]
                    kind = f"{self._of}: {fault.name}"
                    self._fail(fault)
                else:
                    kind = self._chosen()
                    self._kill(self._victims(kind))
                self._cuts.append((time.monotonic(), kind))
                told.rounds[kind] += 1
                told.acknowledged[kind] += self._acknowledged - before
            self._until_work_was_done()
            for program in self.people.programs:
                program.kill()
            for broken in asyncio.run(self._verified()):
                told.broken.append(broken.words)
                if broken.at is not None:
                    told.lost[self._kind_at(broken.at)] += 1
        told.broken += self.people.problems()
        told.broken += stored.broken(self.service.data, self._shown)
        return told

    @contextmanager
    def _running(self) -> Iterator[None]:
        programs = [*self.people.programs, *self.service.programs]
        try:
            self.service.found()
            asyncio.run(self.people.enrol(self.service))
            for program in self.people.programs:
                program.start()
            yield
            for program in self.service.programs:
                if (code := program.stop()) != 0:
                    raise RuntimeError(f"It ended with {code}: {program.last_words()}")
        finally:
            for program in programs:
                program.kill()

    def _until_work_was_done(self) -> None:
        """Wait until more was acknowledged since the last cut, and everybody did something.

        Raises RuntimeError when that does not come, with where each program stands.
        """
        deadline = time.monotonic() + RETURN_SECONDS
        programs = (*self.people.programs, *self.service.programs)
        while not self._goes_on():
            for program in programs:
                if program.ended is not None:
                    said = f"{program.last_words()}{self.people.problems()}"
                    raise RuntimeError(f"{program.words} ended by itself: {said}")
            if time.monotonic() > deadline:
                stand = "\n".join(program.where() for program in programs)
                raise RuntimeError(f"Work did not go on: {self.people.problems()}\n{stand}")
            time.sleep(0.05)

    def _goes_on(self) -> bool:
        pairs = zip(self.people.stirred(), self._stirred, strict=True)
        return self.people.acknowledged() >= self._acknowledged + WORK and all(
            now > then for now, then in pairs
        )

    def _chosen(self) -> str:
        (kind,) = self._random.choices(*zip(*KINDS, strict=True))
        return kind

    def _victims(self, kind: str) -> list[Program]:
        return {
            "server": [self.service.server],
            "keeper": [self._random.choice(self.service.keepers)],
            "client": [self._random.choice(self.people.programs)],
            "all": [*self.service.programs, *self.people.programs],
        }[kind]

    def _kill(self, victims: list[Program]) -> None:
        """Kill, and start again. What was shown last must stay."""
        self._shown |= set(self.service.heads())
        for program in victims:
            program.kill()
        self._start(victims)

    def _fail(self, fault: Fault) -> None:
        """Let the disk fail under those who use it, and start them again, or let them go on where that is possible.

        While it is the clients' that fails, the server is away every other time, so that there is something that waits.
        """
        self._shown |= set(self.service.heads())
        users = self.people.programs if self._of == "clients" else self.service.programs
        away = [self.service.server] if self._of == "clients" and self._random.random() < 0.5 else []
        for program in away:
            program.kill()
        time.sleep(self._random.random() * SPREAD * len(away))
        self._note_fault()
        fault.fail()
        time.sleep(self._random.random() * SPREAD)  # nothing may be acknowledged now that does not hold
        go_on = self._of == "clients" and fault.outlived and self._random.random() < 0.5
        killed = [] if go_on else users
        for program in killed:
            program.kill()
        fault.mend()
        self._note_fault()
        self._start([*away, *killed])

    def _start(self, programs: list[Program]) -> None:
        self._acknowledged, self._stirred = self.people.acknowledged(), self.people.stirred()
        for program in programs:
            program.start()

    def _note_fault(self) -> None:
        """Once more for the clients' disk: while that is odd, it fails."""
        if self._of == "clients":
            times = int(self._faults.read_text()) if self._faults.exists() else 0
            written = self._faults.with_suffix(".new")
            written.write_text(str(times + 1))
            written.replace(self._faults)

    def _kind_at(self, at: float) -> str:
        """The kind of the cut that came after ``at``, or the last one."""
        return next((kind for time_, kind in self._cuts if time_ > at), self._cuts[-1][1])

    async def _verified(self) -> list[promises.Broken]:
        await verify_logs(self.service.url, self.service.card)
        return await promises.broken(self.people)
