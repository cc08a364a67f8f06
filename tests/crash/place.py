"""Where a person of the load keeps what is theirs: profile and its key, ledger, files sent and received."""

from dataclasses import dataclass
from pathlib import Path

from crypto.secret_bytes import SecretBytes
from tests.crash.ledger import Ledger
from vault_client.device_store import DeviceStore


@dataclass(frozen=True)
class Place:
    """One person's folder."""

    folder: Path

    @property
    def profile(self) -> Path:
        """The folder of the profile."""
        return self.folder / "profile"

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
