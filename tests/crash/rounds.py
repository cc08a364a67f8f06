"""One story: a service founded, people at work, so many cuts at random points, and everything checked in the end."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import promises, stored
from tests.crash.disks import Disk
from tests.crash.people import People
from tests.crash.programs import Program
from tests.crash.service import Service, Shown
from vault_client.public_log import verify_logs

# Who is killed, out of a hundred rounds.
KINDS = (("server", 35), ("keeper", 20), ("client", 35), ("all", 10))
# Cuts come so many seconds apart at most, into a start as well as into work; each time after so many, work must go on.
SPREAD = 0.9
TOGETHER = 4
WORK = 8
RETURN_SECONDS = 60


@dataclass
class Told:
    """What came of a story. ``rounds``, ``acknowledged``: by the kind of the cut that came after."""

    rounds: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Story:
    """One service, its people, and what is done to them."""

    def __init__(self, folder: Path, seed: int, disk: Disk | None = None) -> None:
        """``disk``: where the service is; then that is what fails, and nobody is killed for its own sake."""
        self._random = random.Random(seed)
        self._disk = disk
        where, environment = (disk.folder, disk.environment) if disk else (folder, {})
        self.service = Service(where / "data", folder, environment)
        self.people = People(folder)
        self._shown: set[Shown] = set()
        self._acknowledged = 0

    def play(self, rounds: int) -> Told:
        """Found, cut, check. Raises RuntimeError when something does not come back by itself."""
        told = Told()
        with self._running():
            for number in range(rounds):
                (kind,) = self._random.choices(*zip(*KINDS, strict=True)) if not self._disk else ("disk",)
                before = self._acknowledged
                if self._disk or number % TOGETHER == 0:
                    self._until_work_was_done()
                time.sleep(self._random.random() * SPREAD)
                self._cut(kind)
                told.rounds[kind] += 1
                told.acknowledged[kind] += self._acknowledged - before
            self._until_work_was_done()
            for program in self.people.programs:
                program.kill()
            told.broken += asyncio.run(self._verified())
        told.broken += self.people.problems()
        told.broken += stored.broken(self.service.data, self._shown)
        return told

    @contextmanager
    def _running(self) -> Iterator[None]:
        programs = [*self.people.programs, self.service.keeper, self.service.server]
        try:
            self.service.found()
            asyncio.run(self.people.enrol(self.service))
            for program in self.people.programs:
                program.start()
            yield
            for program in (self.service.server, self.service.keeper):
                if (code := program.stop()) != 0:
                    raise RuntimeError(f"It ended with {code}: {program.last_words()}")
        finally:
            for program in programs:
                program.kill()

    def _until_work_was_done(self) -> None:
        """Wait until more was acknowledged since the last cut. Raises RuntimeError when nothing more is."""
        deadline = time.monotonic() + RETURN_SECONDS
        while self.people.acknowledged() < self._acknowledged + WORK:
            for program in (*self.people.programs, self.service.server, self.service.keeper):
                if program.ended is not None:
                    raise RuntimeError(f"{program.words} ended by itself: {program.last_words()}")
            if time.monotonic() > deadline:
                said = f"{self.service.server.last_words()}{self.people.problems()}"
                raise RuntimeError(f"Work did not go on: {said}")
            time.sleep(0.05)

    def _cut(self, kind: str) -> None:
        """Kill, and start again. What was shown last must stay."""
        victims: list[Program] = {
            "server": [self.service.server],
            "keeper": [self.service.keeper],
            "client": [self._random.choice(self.people.programs)],
            "disk": [self.service.server, self.service.keeper],
            "all": [self.service.server, self.service.keeper, *self.people.programs],
        }[kind]
        self._shown |= set(self.service.heads())
        if self._disk:
            self._disk.fail()
            time.sleep(self._random.random() * SPREAD)  # nothing may be acknowledged now that does not hold
        for program in victims:
            program.kill()
        if self._disk:
            self._disk.mend()
        self._acknowledged = self.people.acknowledged()
        for program in victims:
            program.start()

    async def _verified(self) -> list[str]:
        await verify_logs(self.service.url, self.service.card)
        return await promises.broken(self.people)
