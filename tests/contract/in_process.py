"""A vault server without transport, beside a keeper that only cosigns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crypto import labels
from crypto.checkpoint import Checkpoint, CosignerKey, cosign, parse_note
from crypto.errors import Unreachable
from crypto.receipt import AddCheckpoint
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey, sign
from crypto.trust_root import Accepted
from crypto.wire import sessions as s
from crypto.wire.keeper_api import KeeperCard
from tests.contract.vault_story import Person
from vault_server import instance as instances
from vault_server.cosigning import Behind, OtherRoot
from vault_server.instance import read_key
from vault_server.keeper_cards import as_keeper
from vault_server.settings import Settings
from vault_server.vault import Vault, VaultSession

START = 1_800_000_000


@dataclass
class Clock:
    """A time that stands still unless it is moved."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class CosigningKeeper:
    """Cosigns whatever continues what it saw by size and root; checks no proof. Can be told to stay silent."""

    clock: Clock
    signing: SigningKey = field(default_factory=SigningKey.generate)
    unsealing: UnsealingKey = field(default_factory=UnsealingKey.generate)
    heads: dict[str, Checkpoint] = field(default_factory=dict)
    silent: bool = False
    asked: int = 0

    @property
    def key(self) -> CosignerKey:
        """The cosigning key under its name."""
        return CosignerKey("keeper-1", self.signing.public)

    @property
    def card(self) -> KeeperCard:
        """As the trust root takes it in."""
        return KeeperCard(
            name="keeper-1",
            cosigning_key=self.signing.public.raw,
            sealing_key=self.unsealing.public,
            url="http://127.0.0.1:1",
            operator="a test",
        )

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign."""
        self.asked += 1
        if self.silent:
            raise Unreachable("A keeper did not answer.")
        request = AddCheckpoint.decode(body)
        head = Checkpoint.parse(parse_note(request.note).text)
        known = self.heads.get(head.origin)
        size = 0 if known is None else known.size
        if request.old != size:
            raise Behind(size)
        if known is not None and head.size == size and head.root != known.root:
            raise OtherRoot
        self.heads[head.origin] = head
        return cosign(head, "keeper-1", self.signing, int(self.clock()))


class InProcess:
    """A running vault, as the contract tests use it."""

    def __init__(self, vault: Vault, registrar: SigningKey, keeper: CosigningKeeper, clock: Clock) -> None:
        self.vault, self.registrar, self.keeper, self.clock = vault, registrar, keeper, clock
        self.root = Accepted(root=vault.instance.root, ref=vault.instance.ref)
        self._sessions: dict[bytes, str] = {}

    def now(self) -> int:
        """The server's time."""
        return int(self.clock())

    async def api(self, person: Person | None = None) -> VaultSession:
        """The operations, as ``person`` (logged in once) or nobody."""
        if person is None:
            return self.vault.for_session(None)
        device = person.device.public.key_id
        if device not in self._sessions:
            self._sessions[device] = (await log_in(self, person)).token
        return self.vault.for_session(await self.vault.sessions.authenticate(self._sessions[device]))


async def log_in(service: InProcess, person: Person, **changes: Any) -> s.Session:
    """Log in over the API, with a statement that a test may change."""
    api = service.vault.for_session(None)
    device = person.device.public.key_id
    challenge = await api.challenge(s.LoginRequest(identity=person.identity, device=device))
    fields: dict[str, Any] = {
        "hosts": service.root.root.hosts,
        "identity": person.identity,
        "device": device,
        "nonce": challenge.nonce,
        "minute": service.now() // 60,
    }
    statement = s.LoginStatement(**(fields | changes))
    return await api.login(s.Login(statement=sign(labels.LOGIN, statement, person.device)))


@asynccontextmanager
async def serving(
    data: Path, keeper: CosigningKeeper, *, confirm: bool = True, **changes: Any
) -> AsyncIterator[InProcess]:
    """A vault over ``data``, founded when it is new."""
    options: dict[str, Any] = {
        "data": data,
        "public_host": "vault.example",
        "cover_leaves_a_day": 0,
        "receipt_seconds": 5,
        "refusal_seconds": 0,
    }
    settings = Settings(**(options | changes))
    if not instances.exists(settings):
        instances.found(settings, [as_keeper(keeper.card)], 8765, START)
    own = instances.load(settings, 8765, START)
    vault = await Vault.start(settings, own, [keeper], keeper.clock)
    try:
        if confirm:
            await vault.open_logs()
        yield InProcess(vault, read_key(settings.operator_folder / "registrar.key"), keeper, keeper.clock)
    finally:
        await vault.close()
