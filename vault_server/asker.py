"""Who asks something of a vault server, and what the session may: checked before any work."""

from typing import TYPE_CHECKING

from crypto.errors import NeedsPasskey, NotPermitted, Unauthenticated
from crypto.identity_links import FETCH_KEYRING
from vault_server.sessions import ROOT_SESSION_SECONDS, Account

if TYPE_CHECKING:
    from vault_server.vault import Vault


class Asker:
    """One account, or nobody, coming from ``address``, a class of addresses."""

    def __init__(self, vault: "Vault", account: Account | None, address: str) -> None:
        self._vault = vault
        self._account = account
        self._address = address

    @property
    def party(self) -> str | bytes:
        """Who answers for what is sent: the account, or without one the class of addresses."""
        return self._address if self._account is None else self._account.identity

    def _now(self) -> int:
        return int(self._vault.clock())

    def _me(self, *, may_be_root: bool = False) -> bytes:
        """The identity of ``_free_account``."""
        return self._free_account(may_be_root=may_be_root).identity

    def _free_account(self, *, may_be_root: bool = False) -> Account:
        """``_any_account``, in a session that may do something. Raises NeedsPasskey."""
        account = self._any_account(may_be_root=may_be_root)
        if account.is_held:
            raise NeedsPasskey(
                "Each session of this account needs one of its passkeys. Nothing was done. Show one first."
            )
        return account

    def _any_account(self, *, may_be_root: bool = False) -> Account:
        """The account, and one token of its allowance. Raises an error of ``crypto.errors``."""
        if self._account is None:
            raise Unauthenticated("This needs a session. Nothing was done. Log in first.")
        self._vault.log.check_confirmed()
        if not may_be_root:
            self._check_device()
        self._vault.accounts.take(self._account.identity)
        return self._account

    def _check_device(self) -> None:
        """Raises NotPermitted for a session that the identity's root began."""
        if self._account is not None and self._account.by_root:
            raise NotPermitted(
                "The kit's session is for getting the identity back, and for nothing else. Nothing was done. Restore "
                "from the kit first."
            )

    async def _check_use_shown(self, identity: bytes) -> None:
        """Raises NotPermitted for a session that the root began, unless the directory shows what it fetches."""
        if self._account is None or not self._account.by_root:
            return
        since = self._now() - ROOT_SESSION_SECONDS
        if not await self._vault.identities.root_was_used(identity, FETCH_KEYRING, since):
            raise NotPermitted(
                "The directory does not show yet that the kit is used to fetch the keyring. Nothing was sent. Publish "
                "that first."
            )
