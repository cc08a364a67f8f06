"""What an operator may decide, read once at start. Nothing here weakens a check.

Plain HTTP is served on loopback only. Anywhere else the server needs a certificate, or the operator's word that a
proxy in front of it speaks TLS.
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from crypto.errors import NotPermitted

DEFAULT_PORT = 8765


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
    vault_bytes: int = 1 << 38
    free_bytes: int = 1 << 28
    message_bytes: int = 1 << 26
    heavy_bytes: int = 1 << 27
    queued_jobs: int = 4096
    body_seconds: float = 30
    heavy_body_seconds: float = 300


@dataclass(frozen=True)
class Settings:
    """The settings of one server process."""

    data: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    public_host: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    shard_vaults: int = 4096
    cover_leaves_a_day: int = 300
    recosign_seconds: float = 300
    receipt_seconds: float = 10
    keeper_seconds: float = 5
    refusal_seconds: float = 0.05
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Raises NotPermitted unless what is sent is protected on its way."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise NotPermitted("The server was not started: --tls-cert and --tls-key belong together.")
        if self.tls_cert is not None or self.behind_proxy or _is_loopback(self.host):
            return
        raise NotPermitted(
            f"The server was not started: {self.host} can be reached from outside and would be served without TLS. "
            "Give --tls-cert and --tls-key, or --behind-proxy when a proxy in front of it speaks TLS."
        )

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
        return self.public_host or f"{self.host}:{port}"

    def url(self, port: int) -> str:
        """Where clients reach this server."""
        if self.behind_proxy:
            return f"https://{self.host_name(port)}"
        scheme = "http" if self.tls_cert is None else "https"
        host = self.public_host if self.tls_cert is not None and self.public_host else self.host
        host = host if ":" in host and not host.count(":") > 1 else f"{_bracketed(host)}:{port}"
        return f"{scheme}://{host}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
