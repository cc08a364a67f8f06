"""Heads that a check from outside has verified, kept so that the next one finds out whether each log continues them.

One file for each log, named by the SHA-256 of its origin, holds the note as it was shown: whoever has two that contradict
each other has what the log signed and its keepers cosigned. They move forward only, and only once every log was whole.
"""

from collections.abc import Mapping
from pathlib import Path

from crypto.checkpoint import MAX_NOTE, Checkpoint, claimed_origin, open_checkpoint, origin_hash
from crypto.errors import NotPermitted, NotProven, Refusal
from crypto.trust_root import TrustRoot
from vault_client.file_errors import spoken_file_errors
from vault_client.private_part import private_part

KEPT, SHOWN = "checkpoint", "contradicts"


class KeptHeads:
    """The heads in one folder, made when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, root: TrustRoot) -> dict[str, Checkpoint]:
        """The kept head of each log of this service, by origin; those of other services are left alone.

        Raises NotProven for one that the log's key has not signed, Damaged when the folder cannot be read.
        """
        found = {}
        with spoken_file_errors():
            paths = sorted(self._folder.glob(f"*.{KEPT}")) if self._folder.exists() else []
            for path in paths:
                with path.open("rb") as file:
                    note = file.read(MAX_NOTE + 1)
                try:
                    origin = claimed_origin(note)
                    found[origin] = open_checkpoint(note, root.log_key_of(origin))
                except NotPermitted:
                    continue
                except Refusal:
                    raise NotProven(
                        f"{path} is not a head that this service's log signed. Nothing was checked. Was it changed? If it "
                        "is of another service, keep each service's heads in a folder of their own."
                    ) from None
        return found

    def keep(self, notes: Mapping[str, bytes]) -> None:
        """Keep verified notes, by origin, in place of earlier ones."""
        for origin, note in notes.items():
            self._write(origin, KEPT, note)

    def contradiction(self, kept: Checkpoint, note: bytes) -> NotProven:
        """What to raise when ``note``, cosigned as it is, does not continue ``kept``. It is kept beside it, as evidence."""
        origin = kept.origin
        beside = self._write(origin, SHOWN, note)
        return NotProven(
            f"Of {origin} the head of size {kept.size} was verified earlier, and what is shown now does not continue it: "
            f"entries were taken back or changed. Both heads are signed, and are evidence: keep {self._path(origin, KEPT)} "
            f"and {beside}, and ask the operator why."
        )

    def keep_signed(self, origin: str, note: bytes) -> str:
        """Keep a head that commits to what must not be, beside the one that was whole. Says where."""
        return f"It is in {self._write(origin, SHOWN, note)}."

    def _write(self, origin: str, kind: str, note: bytes) -> Path:
        path = self._path(origin, kind)
        with spoken_file_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            with private_part(path) as part:
                part.write_bytes(note)
        return path

    def _path(self, origin: str, kind: str) -> Path:
        return self._folder / f"{origin_hash(origin)}.{kind}"
