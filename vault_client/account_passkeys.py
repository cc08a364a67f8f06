"""The account's passkeys as its owner manages them, and the one that each enrolled device makes for itself.

The first is registered as part of enrolment, or at the next opening when that was cut off. Passkeys are in no log, so a
server that was restored may have forgotten them: it is looked after at each ``sync``. ``fido2`` is imported when a ceremony
is due.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from crypto.encoding import Body, Bytes32, Natural, SecretBody, ShortText
from crypto.errors import CoffreError
from crypto.wire.messages import Empty
from crypto.wire.passkeys import (
    CredentialId,
    EachSession,
    PasskeyAnswer,
    PasskeyChallenge,
    PasskeyQuery,
    RelyingParty,
)
from crypto.wire.passkeys import Passkeys as Known
from vault_client.device_store import DeviceStore
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service

if TYPE_CHECKING:
    from vault_client.authenticator import Passkeys


class Credential(SecretBody, frozen=True):
    """One credential of the software authenticator: its private scalar, and the count of its last answer."""

    credential: CredentialId
    party: ShortText
    secret: Bytes32
    count: Natural


class OwnPasskey(Body, frozen=True):
    """This device's passkey at ``party``; none when it was removed, so that no other is made unasked."""

    party: ShortText
    credential: CredentialId | None


def record_name(credential: bytes) -> str:
    """Where the device store keeps a credential."""
    return f"passkey/{credential.hex()}"


class AccountPasskeys:
    """What one device does with the account's passkeys. Shows its own whenever the server asks for one."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity) -> None:
        self._store = store
        self._service = service
        self._identity = own.identity
        self._party = RelyingParty.of(service.root.hosts[0])
        service.use_authenticator(self)

    @property
    def own(self) -> bytes | None:
        """The id of this device's passkey."""
        mark = self._mark()
        return None if mark is None else mark.credential

    @property
    def is_begun(self) -> bool:
        """Whether this device registered a passkey once, be it that it was removed since."""
        return self._mark() is not None

    def show(self, challenge: PasskeyChallenge) -> PasskeyAnswer:
        """The answer to ``challenge`` by this device's passkey. Raises NotPermitted when it has none of those named."""
        return self._authenticator().show(challenge)

    async def ensure(self) -> None:
        """Have the account's first passkey registered, also when the server forgot it: then another one is made.

        Where the account has others, one of them would have to be shown: that is left to ``add``. So is everything where
        the passkey of this device was removed on purpose, or the server does not answer. Raises what ``add`` does.
        """
        mark = self._mark()
        if self._service.is_offline or (mark is not None and mark.credential is None):
            return
        known = [each.credential for each in (await self.known()).passkeys]
        held = self._store.names("passkey")
        here = [credential for credential in known if record_name(credential) in held]
        if not known:
            await self.add()
        elif here and (mark is None or mark.credential not in here):
            # Registered by an enrolment that was cut off before it knew, or known once more.
            self._note(here[0])

    async def ensure_if_possible(self) -> None:
        """``ensure``, and if that fails, whoever is to blame, leave it for the next time: nothing else depends on it."""
        with suppress(CoffreError):
            await self.ensure()

    async def known(self) -> Known:
        """The account's passkeys, as the server has them."""
        return await self._service.api.passkeys(Empty())

    async def add(self) -> None:
        """Make a passkey here and register it. Raises Conflict when there is one here, NeedsPasskey, NotPermitted."""
        made = self._authenticator().make(await self._service.api.begin_passkey(Empty()))
        await self._service.api.finish_passkey(made.registration)
        self._note(made.credential)

    async def remove(self, credential: bytes) -> None:
        """Remove a passkey of the account. Raises NotFound, NotPermitted for the last one."""
        await self._service.api.remove_passkey(PasskeyQuery(credential=credential))
        if credential == self.own:
            with self._store.transaction():
                self._note(None)
                self._store.delete(record_name(credential))

    async def set_each_session(self, *, required: bool) -> None:
        """Have each session need a passkey, or no longer."""
        await self._service.api.set_each_session(EachSession(required=required))

    def _mark(self) -> OwnPasskey | None:
        mark = self._store.get("own-passkey", OwnPasskey)
        return mark if mark is not None and mark.party == self._party.id else None

    def _note(self, credential: bytes | None) -> None:
        self._store.put("own-passkey", OwnPasskey(party=self._party.id, credential=credential))

    def _authenticator(self) -> "Passkeys":
        from vault_client.authenticator import Passkeys, SoftwareAuthenticator

        device = SoftwareAuthenticator(self._store, self._service.now)
        return Passkeys(device, self._party, self._identity)
