"""What an operator may decide, read once at start. Nothing here weakens a check."""

from dataclasses import dataclass, field
from pathlib import Path

from crypto.pruning import RETENTION
from vault_server.listening import Listening, bracketed

DEFAULT = Listening(8765)


@dataclass(frozen=True)
class Rate:
    """A token bucket: so many a second in the long run, so many at once."""

    a_second: float
    at_once: int


@dataclass(frozen=True)
class Limits:
    """What one party may ask for. All are checked before any work is done."""

    address: Rate = Rate(1000, 5000)
    account: Rate = Rate(200, 2000)
    founding: Rate = Rate(10, 500)
    vaults_an_account: int = 16
    open_uploads: int = 256
    streams: int = 2048
    streams_an_account: int = 8
    vault_bytes: int = 1 << 38
    free_bytes: int = 1 << 28
    message_bytes: int = 1 << 26
    link_bytes: int = 1 << 26
    heavy_bytes: int = 3 << 26
    queued_jobs: int = 4096
    body_seconds: float = 30
    heavy_body_seconds: float = 300


@dataclass(frozen=True)
class Settings:
    """The settings of one server process."""

    data: Path
    listening: Listening = DEFAULT
    public_host: str | None = None
    shard_vaults: int = 4096
    cover_leaves_a_day: int = 300
    retention: int = RETENTION
    recosign_seconds: float = 300
    receipt_seconds: float = 10
    keeper_seconds: float = 5
    refusal_seconds: float = 0.05
    limits: Limits = field(default_factory=Limits)

    @property
    def server_folder(self) -> Path:
        """What belongs to this process."""
        return self.data / "server"

    @property
    def operator_folder(self) -> Path:
        """The operator's own keys: used to found the instance and to certify, never to serve."""
        return self.data / "operator"

    @property
    def keeper_folder(self) -> Path:
        """What belongs to the keeper that is started beside this server."""
        return self.data / "keeper-1"

    def host_name(self, port: int) -> str:
        """The host that stands in the origins of the logs, for ever."""
        return self.public_host or f"{self.listening.host}:{port}"

    def url(self, port: int) -> str:
        """Where clients reach this server."""
        if self.listening.behind_proxy:
            return f"https://{self.host_name(port)}"
        if self.listening.tls_cert is None or not self.public_host:
            return self.listening.url(port)
        has_port = self.public_host.count(":") == 1
        return f"https://{self.public_host if has_port else f'{bracketed(self.public_host)}:{port}'}"
