"""The processes of a round: started, killed with no warning, started again, and in the end told to stop."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 20


@dataclass
class Program:
    """One program. ``environment``: what it gets beside ours; ``runs``: how often it was started."""

    words: list[str]
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    seeded: bool = False
    runs: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. It goes on writing into the same file."""
        self.runs += 1
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *self.words, *([str(self.runs)] if self.seeded else [])],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can be."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

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
