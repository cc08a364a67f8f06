"""The processes of a round: started, killed with no warning, started again, and in the end told to stop."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 20


@dataclass
class Program:
    """One program. ``environment``: what it gets beside ours; ``runs``: how often it was started.

    ``typed``: the file that it reads as if it were typed.
    """

    words: list[str]
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    seeded: bool = False
    typed: Path | None = None
    runs: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. It goes on writing into the same file."""
        self.runs += 1
        with self.output.open("ab") as output, (self.typed or Path(os.devnull)).open("rb") as typed:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *self.words, *([str(self.runs)] if self.seeded else [])],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1", **self.environment},
                stdin=typed,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can be."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def waits(self, seconds: float) -> bool:
        """Wait so long for its end; whether it came."""
        try:
            return self.process is not None and self.process.wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def where(self) -> str:
        """Where it stands, for a program that does not go on: its tasks if it says so, then its threads. It ends."""
        if self.process is not None and self.ended is None:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
        return f"{self.words}\n{self.output.read_text(errors='replace')[-20000:]}"

    def stop(self) -> int:
        """Tell it to end; how it ended. Killed when it does not listen."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @property
    def ended(self) -> int | None:
        """How it ended, if it did."""
        return None if self.process is None else self.process.poll()

    def last_words(self) -> str:
        """The end of what it wrote."""
        return self.output.read_text(errors="replace")[-1500:] if self.output.exists() else ""
