"""A profile at work: its store, the service it belongs to, and whose it is, opened and closed in one order.

The store is taken over and closed last, whatever happens: while it is open, no other process has the profile.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Required, Self, TypedDict

from crypto.errors import NotPermitted, Unauthenticated
from crypto.sealed.recovery import Kit, KitFile
from crypto.trust_root import InstanceCard
from vault_client.account_passkeys import AccountPasskeys
from vault_client.clock_check import check_clock
from vault_client.device_store import DeviceStore
from vault_client.identity_enrolment import begun, enrol_identity, forget, resumed
from vault_client.identity_recovery import recover_identity
from vault_client.identity_shown_again import show_identity
from vault_client.local_vault import ToBeFounded, ToBeRestored
from vault_client.own_identity import OwnIdentity, Role
from vault_client.service import Service
from vault_client.shown_trust_roots import TrustRecord

# What people read
BEGUN = (
    "An enrolment was begun in this profile, and its recovery kit handed out. Nothing was done. Finish it with: coffre {role} "
    "list. To begin anew, choose another folder."
)


class Enrolment(TypedDict, total=False):
    """How one enrols: on the server at ``card`` or ``url``.

    ``keep_kit`` receives the recovery kit before anything is published: it exists nowhere else. No vault is named on it
    yet: whoever founds one notes it there.
    """

    url: str | None
    card: InstanceCard | None
    keep_kit: Required[Callable[[KitFile], None]]


class Restoration(TypedDict, total=False):
    """How one restores: with ``kit``, on the server at ``card`` or ``url``.

    ``identity``, ``vault``: as the kit's file names them; absent where the kit was typed alone. ``without_lost``: also where
    the service declares to have lost changes of the record.
    """

    kit: Required[Kit]
    url: str | None
    card: InstanceCard | None
    identity: bytes | None
    vault: bytes | None
    without_lost: bool


class OpenProfile:
    """Made by ``enrol`` or ``resume``; an async context manager, until it is handed over."""

    def __init__(
        self,
        store: DeviceStore,
        service: Service,
        own: OwnIdentity,
        passkeys: AccountPasskeys,
        held: AsyncExitStack,
    ) -> None:
        """Used by the two constructors below; ``held`` closes the connections, then the store."""
        self.store = store
        self.service = service
        self.own = own
        self.passkeys = passkeys
        self._held = held

    @classmethod
    async def enrol(
        cls, store: DeviceStore, role: Role, how: Enrolment, founding: ToBeFounded | None = None
    ) -> Self:
        """Make an identity and keep it in ``store``, in which nobody is enrolled.

        What an enrolment that did not come through believed of a server is forgotten: the one named now is meant. Of one
        that handed out its kit, NotPermitted is raised. ``founding``: the record that is to be founded, kept until it is.
        """
        async with AsyncExitStack() as held:
            held.callback(store.close)
            _begin_anew(store, role, _address(how))
            if founding is not None:
                store.put("founding", founding)
            connected = await Service.connect(store, url=how.get("url"), card=how.get("card"))
            service = await held.enter_async_context(connected)
            own = await enrol_identity(store, service, role, how["keep_kit"])
            return await cls._begun(store, service, own, held)

    @classmethod
    async def restore(cls, store: DeviceStore, role: Role, how: Restoration) -> Self:
        """Recover an identity with its kit and keep it in ``store``, or go on where that was cut short.

        Raises NotPermitted when somebody is enrolled there whose record is not being restored.
        """
        async with AsyncExitStack() as held:
            held.callback(store.close)
            if role != "patient" or store.get("restoring", ToBeRestored) is None:
                _begin_anew(store, role, _address(how))
            connected = await Service.connect(store, url=how.get("url"), card=how.get("card"))
            service = await held.enter_async_context(connected)
            own = await recover_identity(
                store, service, role, how["kit"], identity=how.get("identity"), vault=how.get("vault")
            )
            return await cls._begun(store, service, own, held)

    @classmethod
    async def resume(cls, store: DeviceStore, role: Role) -> Self:
        """Go on as the owner of ``store``; an enrolment that was cut off after its kit was handed out is finished.

        Without the passkey that such an enrolment lacks, where the server does not let it be made up for. Raises
        NotPermitted when nobody is enrolled in it, or in the other role.
        """
        async with AsyncExitStack() as held:
            held.callback(store.close)
            if begun(store) != role:
                OwnIdentity.load(store, role)
            service = await held.enter_async_context(await Service.connect(store))
            own = await resumed(store, service, role)
            service.when_lacking(lambda: show_identity(service, store, own, again=True))
            passkeys = AccountPasskeys(store, service, own)
            if not passkeys.is_begun:
                await passkeys.ensure_if_possible()
            return cls(store, service, own, passkeys, held.pop_all())

    @classmethod
    async def _begun(
        cls, store: DeviceStore, service: Service, own: OwnIdentity, held: AsyncExitStack
    ) -> Self:
        """With the account's first passkey, which is the last step of an enrolment, registered by now."""
        passkeys = AccountPasskeys(store, service, own)
        await passkeys.ensure()
        return cls(store, service, own, passkeys, held.pop_all())

    def handed_over(self) -> Self:
        """The same profile, for whoever closes it from now on: this one no longer does."""
        return type(self)(self.store, self.service, self.own, self.passkeys, self._held.pop_all())

    async def close(self) -> None:
        """Close the connections, then the store."""
        await self._held.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@asynccontextmanager
async def login_explained(service: Service, own: OwnIdentity) -> AsyncIterator[None]:
    """Where nobody is logged in, raise what explains it: a clock that is wrong, or the removal of this device."""
    try:
        yield
    except Unauthenticated:
        await check_clock(service)
        await own.check_not_removed(service)
        raise


def _begin_anew(store: DeviceStore, role: Role, server: str | None) -> None:
    """Forget what an enrolment or a restore that did not come through left: the server named now is meant.

    Raises NotPermitted when somebody is enrolled, or would be once an enrolment at ``server`` is finished.
    """
    OwnIdentity.check_nobody(store, role)
    known = store.get("trust", TrustRecord)
    begun_as = begun(store)
    if begun_as is not None and known is not None and server is not None and _same(known.url, server):
        raise NotPermitted(BEGUN.format(role=begun_as))
    forget(store)
    Service.forget(store)


def _same(url: str, other: str) -> bool:
    """Whether two addresses differ at most as people type one of them."""
    return url.rstrip("/").lower() == other.rstrip("/").lower()


def _address(how: Enrolment | Restoration) -> str | None:
    card = how.get("card")
    return card.url if card is not None else how.get("url")
