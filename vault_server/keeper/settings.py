"""What a keeper is started with. Nothing here weakens a check."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from crypto.errors import NotPermitted


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of a keeper.

    ``data``: its folder. ``server``: the URL of the vault server whose logs it follows; ``card``: that service's
    instance card, which pins the trust root. ``behind_proxy``: something in front of it speaks TLS.
    ``accept_lost_store``: the operator's order to go on without the heads and ends that were known.
    """

    data: Path
    server: str
    card: Path
    host: str = "127.0.0.1"
    port: int = 8766
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    accept_lost_store: bool = False

    def __post_init__(self) -> None:
        """Raises NotPermitted for plain HTTP beyond this machine, in either direction."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise NotPermitted("The keeper was not started: --tls-cert and --tls-key belong together.")
        if not (is_this_computer(self.host) or self.tls_cert or self.behind_proxy):
            raise NotPermitted(
                f"The keeper was not started: {self.host} is not this computer, and HTTP is spoken on this computer "
                "only. Give --tls-cert and --tls-key, or --behind-proxy when a proxy in front speaks TLS."
            )
        check_url(self.server)

    @property
    def url(self) -> str:
        """Where this run listens, as an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


def check_url(url: str) -> None:
    """Raises NotPermitted unless ``url`` is an https:// address, or an http:// one on this computer, without a path."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and is_this_computer(parts.hostname or "")
    if not (plain or parts.scheme == "https") or not parts.hostname or parts.path.strip("/"):
        raise NotPermitted(
            f"The address {url} was refused: it is neither https:// nor http:// on this computer, or it has a path."
        )


def is_this_computer(host: str) -> bool:
    """Whether ``host`` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
