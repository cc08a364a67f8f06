"""One vector: what it shows, what goes in, what comes out or which refusal. Written as one JSON file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal[
    "ok",
    "malformed",
    "bad-signature",
    "cannot-open",
    "broken-chain",
    "not-permitted",
    "not-proven",
]

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """``name``: the file, ``<format>/<case>``. ``once``: holds a box, which another run would make otherwise."""

    name: str
    what: str
    inputs: dict[str, Any]
    expected: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = "ok"
    once: bool = False

    @property
    def path(self) -> Path:
        """Where the file is."""
        return FOLDER / f"{self.name}.json"

    @property
    def text(self) -> str:
        """The file."""
        fields = {
            "what": self.what,
            "format": self.name.partition("/")[0],
            "inputs": self.inputs,
            "expected": self.expected,
            "outcome": self.outcome,
        }
        return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
