"""The account's second gate: what needs a passkey beside a device's session, and which sessions have shown one.

A device alone cannot change who gets at the account. The kit's root can, without a passkey: its signature is a second gate
of its own, shown to every device in the directory, and the rules of the identity chain make it wait where it must.
"""

from collections.abc import Callable, Collection

from crypto.errors import NeedsPasskey
from crypto.identity_links import (
    AddDevice,
    Complete,
    IdentityLink,
    Recover,
    RemoveUnlockKey,
    RotateRoot,
    UnlockKey,
)
from crypto.identity_state import IdentityState
from crypto.signing import key_id
from crypto.wire.passkeys import RelyingParty
from vault_server.recent import Recent
from vault_server.store import passkeys as rows
from vault_server.store.database import Statements, Transaction

RAISED_SECONDS = 300
REMEMBERED = 65536

_CHANGES_ACCESS = (AddDevice, UnlockKey, RemoveUnlockKey, RotateRoot, Recover)


def changes_access(before: IdentityState | None, link: IdentityLink, signers: Collection[bytes]) -> bool:
    """Whether a link changes who gets at an account, on the word of its devices alone.

    ``link`` has been found to follow ``before``, and ``signers`` to have signed it. A first link, a registrar's, one that
    the root signed too, and one by a recovery key alone are no device's affair.
    """
    if before is None or key_id(before.root) in signers or not set(signers) & set(before.devices):
        return False
    steps = link.operations
    if isinstance(steps[0], Complete):
        steps = before.waiting[steps[0].link].operations
    return any(isinstance(step, _CHANGES_ACCESS) for step in steps)


def ends_every_device(before: IdentityState | None, after: IdentityState) -> bool:
    """Whether none of an account's devices outlives a link, as after a recovery: its passkeys went with them."""
    return before is not None and not set(before.devices) & set(after.devices)


class SecondGate:
    """What sessions have shown, and which accounts want it of each session."""

    def __init__(self, party: RelyingParty, reader: Statements, clock: Callable[[], float]) -> None:
        self._party = party
        self._reader = reader
        self._clock = clock
        self._shown = Recent[bytes, float](REMEMBERED)
        self._each = Recent[bytes, bool](REMEMBERED)

    def note_shown(self, session: bytes) -> int:
        """A passkey was shown in ``session``. Returns until when that counts for what needs it to be recent."""
        now = self._clock()
        self._shown[session] = now
        return int(now) + RAISED_SECONDS

    def is_raised(self, session: bytes) -> bool:
        """Whether a passkey was shown in ``session`` in the last five minutes."""
        shown = self._shown.get(session)
        return shown is not None and 0 <= self._clock() - shown < RAISED_SECONDS

    async def is_held(self, session: bytes, identity: bytes) -> bool:
        """Whether ``session`` may do nothing yet: its account wants a passkey of each, and this one has shown none."""
        if session in self._shown:
            return False
        if identity not in self._each:
            required = await rows.each_session(self._reader, identity, self._party.id)
            if identity not in self._each:  # else it was changed while the row was read
                self.note_each_session(identity, required=required)
        return self._each[identity]

    def note_each_session(self, identity: bytes, *, required: bool) -> None:
        """Each session of an account needs a passkey, or no longer."""
        self._each[identity] = required

    async def check_link(
        self,
        before: IdentityState | None,
        link: IdentityLink,
        signers: Collection[bytes],
        raised_for: bytes | None,
    ) -> None:
        """Raises NeedsPasskey for a link that changes access to an account with passkeys, unless one was just shown.

        ``raised_for``: the identity in whose session that was.
        """
        if before is None or raised_for == before.identity or not changes_access(before, link, signers):
            return
        if await rows.passkeys(self._reader, before.identity, self._party.id):
            raise NeedsPasskey(
                "This changes who gets at the account, so it needs one of its passkeys. Nothing was published."
            )

    async def forget(self, transaction: Transaction, identity: bytes) -> None:
        """An account's passkeys count no more."""
        await rows.forget(transaction, identity)
        transaction.after.append(lambda: self.note_each_session(identity, required=False))
