"""What a keeper keeps when a log has signed two heads that contradict each other: a file that anybody can check.

One for each log, the first that was met: whatever the log signs later proves nothing more, and cannot fill the disk. The
file is signed by the keeper (docs/format/evidence.md, A keeper's evidence).
"""

from pathlib import Path

from crypto import labels
from crypto.checkpoint import origin_hash
from crypto.encoding import encode
from crypto.errors import Conflict
from crypto.evidence import Beginning, Finding, KeeperEvidence
from crypto.signing import SigningKey, sign
from vault_server.keeper.clock import Clock
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.trust import Trust
from vault_server.store.files import PUBLIC_FILE, in_words, make_folder, write_durably

FOLDER = "evidence"

# What people read
TWO_HEADS = "The log signed two heads that contradict each other."


class Contradiction(Conflict):
    """A log signed two heads of which neither continues the other. ``notes``: both, the larger last.

    ``beginning``: what the tree of the larger has in the place of the smaller; none when they are of one size.
    """

    def __init__(self, origin: str, notes: tuple[bytes, bytes], beginning: Beginning | None) -> None:
        super().__init__(
            "The log signed two heads that contradict each other. The checkpoint was not cosigned. Both are kept beside this "
            "keeper's store, as evidence."
        )
        self.origin, self.notes, self.beginning = origin, notes, beginning


class EvidenceFolder:
    """The folder of such files, made when there is something to keep."""

    def __init__(self, data: Path, key: SigningKey, clock: Clock, trust: Trust, events: EventLog) -> None:
        self._folder = data / FOLDER
        self._key, self._clock, self._trust, self._events = key, clock, trust, events

    def keep(self, met: Contradiction) -> Path:
        """Keep ``met`` unless its log has a file already, and name the file in the keeper's log."""
        path = self._folder / f"{origin_hash(met.origin)}.evidence.json"
        if not path.exists():
            body = KeeperEvidence(
                suite=labels.SUITE,
                finding=Finding(
                    code="FORK",
                    text=TWO_HEADS,
                    time=self._clock.now(),
                    origin=met.origin,
                    notes=met.notes,
                    beginning=met.beginning,
                    entries=(),
                    people=(),
                ),
                trust_roots=self._trust.signed,
            )
            with in_words("Evidence against a log could not be kept. Nothing was cosigned."):
                make_folder(self._folder)
                write_durably(path, encode(sign(labels.KEEPER_EVIDENCE, body, self._key)), PUBLIC_FILE)
        self._events.write("a log signed two heads that contradict each other", file=f"{FOLDER}/{path.name}")
        return path
