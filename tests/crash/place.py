"""Where a person of the load keeps what is theirs: profile and its key, ledger, files sent and received."""

from dataclasses import dataclass
from pathlib import Path

from crypto.secret_bytes import SecretBytes
from tests.crash.ledger import Ledger
from vault_client.device_store import DeviceStore


@dataclass(frozen=True)
class Place:
    """One person's folder, and that of the profile, which may be on a disk of its own."""

    folder: Path
    profile: Path

    @property
    def sources(self) -> Path:
        """Files to be added."""
        return self.folder / "sources"

    @property
    def received(self) -> Path:
        """Files that were opened."""
        return self.folder / "received"

    @property
    def doctor(self) -> Path:
        """The card of whom the patients share with."""
        return self.folder.parent / "doctor-card.json"

    @property
    def faults(self) -> Path:
        """How often the disk of the profiles failed or was mended: while that is odd, it fails."""
        return self.folder.parent / "faults"

    @property
    def ledger(self) -> Ledger:
        """What was tried and acknowledged."""
        return Ledger(self.folder / "ledger.jsonl")

    def create(self) -> DeviceStore:
        """A new profile, whose key is kept beside it."""
        self.received.mkdir(parents=True)
        key = SecretBytes.random()
        (self.folder / "key").write_bytes(key.reveal())
        return DeviceStore.create_with_key(self.profile, key)

    def open(self) -> DeviceStore:
        """The profile."""
        return DeviceStore.open_with_key(self.profile, SecretBytes((self.folder / "key").read_bytes()))
