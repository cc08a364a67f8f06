"""One vector: what it shows, what goes in, what comes out or which refusal. Written as one JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """``name``: the file, ``<format>/<case>``. ``once``: holds a box, which another run would make otherwise."""

    name: str
    what: str
    inputs: dict[str, Any]
    outcome: str = "ok"
    once: bool = False

    @property
    def format(self) -> str:
        """What is done with it."""
        return self.name.partition("/")[0]

    @property
    def path(self) -> Path:
        """Where its file is."""
        return FOLDER / f"{self.name}.json"

    def text(self, expected: dict[str, Any]) -> str:
        """The file."""
        fields = {
            "what": self.what,
            "format": self.format,
            "inputs": self.inputs,
            "expected": expected,
            "outcome": self.outcome,
        }
        return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
