"""People who enrol, or restore with their kit, while every command they type may be killed.

They type the same again, or what the refusal tells them to. Nothing half made may shut them out, and the kit they hold
must be the one of what they have.
"""

import json
import random
import time
from pathlib import Path
from typing import Any

from tests.crash.programs import Program
from tests.crash.service import Service

PASSPHRASE = "several words to remember"
# How long a command takes until one was seen to end, and how long it may take at most.
AT_FIRST = 2.0
COMMAND_SECONDS = 120
# Whoever has to type more than this is shut out.
PATIENCE = 8


class ShutOut(Exception):
    """What does not hold, in words."""


class Newcomer:
    """One person at a command line."""

    def __init__(self, folder: Path, service: Service, noun: str, chosen: random.Random) -> None:
        folder.mkdir()
        self.kits: list[Path] = []
        self.kills = self.left = 0
        self._folder, self._noun, self._chosen = folder, noun, chosen
        self._card = folder / "instance-card.json"
        self._card.write_bytes((service.data / "server" / "instance-card.json").read_bytes())
        self._typed = folder / "typed"
        self._typed.write_text(PASSPHRASE)
        self._took: dict[str, float] = {}
        self.home = folder / "profile-0"

    def enrol(self) -> None:
        """Enrol, to the end. Raises ShutOut."""
        self._new_kit()
        words = self._enrolling()
        for _ in range(PATIENCE + self.left):
            said = self.types(*words)
            match said:
                case None:  # killed: the same again
                    continue
                # A kit, or a whole profile, is there: see the refusal.
                case {"error": "Conflict"} if words[0] == "enrol":
                    words = ("list",)
                case {"error": _} if words[0] == "list":  # nothing to finish: begin anew, with another kit
                    self._new_kit()
                    words = self._enrolling()
                case {"error": "NotPermitted"}:
                    words = ("list",)
                case {"error": _}:
                    raise ShutOut(f"{self._noun} {words[0]}: {said}")
                case _:
                    return
        raise ShutOut(
            f"{self._noun}: not enrolled after {PATIENCE} commands that were not killed; last {said}"
        )

    def restore(self) -> None:
        """Restore with the newest kit on a machine that has nothing, to the end. Raises ShutOut."""
        self.home = self._folder / f"profile-{len(list(self._folder.glob('profile-*')))}"
        words = ("restore", "--kit", str(self.kits[-1]), "--yes")
        for _ in range(PATIENCE + self.left):
            said = self.types(*words)
            match said:
                case None:
                    continue
                # Somebody is enrolled there: oneself, by now.
                case {"error": "NotPermitted"} if words[0] == "restore":
                    words = ("list",)
                case {"error": _}:
                    raise ShutOut(f"{self._noun} {words[0]}: {said}")
                case _:
                    return
        raise ShutOut(
            f"{self._noun}: not restored after {PATIENCE} commands that were not killed; last {said}"
        )

    def types(self, *words: str) -> dict[str, Any] | None:
        """Run one command: what it said, or None when it was killed."""
        output = self._folder / "said"
        output.unlink(missing_ok=True)
        begun = time.monotonic()
        command = ["vault_client", self._noun, *words, "--json"]
        command += ["--home", str(self.home), "--passphrase-fd", "0"]
        program = Program(command, output, typed=self._typed)
        program.start()
        if self.left and words[0] in {"enrol", "restore", "list"}:
            program.waits(self._chosen.random() * self._took.get(words[0], AT_FIRST))
            if program.ended is None:
                program.kill()
                self.left -= 1
                self.kills += 1
                return None
        elif not program.waits(COMMAND_SECONDS):
            raise ShutOut(f"It does not end: {program.where()}")
        self._took[words[0]] = max(self._took.get(words[0], 0.0), time.monotonic() - begun)
        text = output.read_text().strip().rpartition("\n")[2]
        if not text.startswith("{"):
            raise ShutOut(f"{words}: {output.read_text()}")
        said: dict[str, Any] = json.loads(text)
        return said

    def does(self, *words: str) -> dict[str, Any]:
        """Run one command, which nobody kills. Raises ShutOut when it is refused."""
        said = self.types(*words)
        if said is None or "error" in said:
            raise ShutOut(f"{self._noun} {words}: {said}")
        return said

    def _new_kit(self) -> None:
        self.kits.append(self._folder / f"kit-{len(self.kits)}.json")

    def _enrolling(self) -> tuple[str, ...]:
        return ("enrol", "--card", str(self._card), "--kit", str(self.kits[-1]))
