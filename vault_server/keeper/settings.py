"""What a keeper is started with. Nothing here weakens a check."""

from dataclasses import dataclass
from pathlib import Path

from vault_server.http_client import check_url
from vault_server.listening import Listening

DEFAULT = Listening(8766)


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of a keeper.

    ``data``: its folder. ``server``: the URL of the vault server whose logs it follows; ``card``: that service's
    instance card, which pins the trust root. ``accept_lost_store``: the operator's order to go on without the heads
    and ends that were known.
    """

    data: Path
    server: str
    card: Path
    listening: Listening = DEFAULT
    accept_lost_store: bool = False

    def __post_init__(self) -> None:
        """Raises NotPermitted for plain HTTP beyond this machine, in either direction."""
        self.listening.check("keeper")
        check_url(self.server)
