"""The passkeys of accounts: WebAuthn's two ceremonies, each begun and finished, and what an account may do with them.

The first passkey of an account is registered with a device's session alone; after that, whatever changes them needs one.
Challenges are used once, within two minutes, in the session and for the purpose they were given. No attestation is
looked at, and nothing that an extension says is taken. Every ceremony that fails is refused in the same words.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    bytes_to_base64url,
    encode_cbor,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from crypto.errors import Conflict, NeedsPasskey, NotFound, NotPermitted
from crypto.es256 import check_public_key
from crypto.secret_bytes import SecretBytes
from crypto.wire import passkeys as p
from vault_server.challenges import Challenges
from vault_server.second_gate import SecondGate
from vault_server.sessions import Account
from vault_server.store import passkeys as rows
from vault_server.store.database import Statements, Transaction, Writer

EXTENSION_DATA = 0x80  # the flag of authenticator data

Purpose = Literal["webauthn.create", "webauthn.get"]
Verified = TypeVar("Verified")


class _ClientData(msgspec.Struct, forbid_unknown_fields=True, rename={"cross_origin": "crossOrigin"}):
    """All that a client's data may hold: what an extension or another page put there is refused."""

    type: str
    challenge: str
    origin: str
    cross_origin: Literal[False]


class AccountPasskeys:
    """The passkeys of every account."""

    def __init__(
        self,
        party: p.RelyingParty,
        gate: SecondGate,
        reader: Statements,
        writer: Writer,
        clock: Callable[[], float],
    ) -> None:
        self._party = party
        self._gate = gate
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._challenges = Challenges[tuple[bytes, Purpose], bytes](clock)

    async def begin_registration(self, account: Account) -> p.PasskeyChallenge:
        """A challenge for a new passkey. Raises NeedsPasskey unless it is the first or one was shown, NotPermitted."""
        known = await self._changeable(self._reader, account)
        if len(known) >= p.MAX_PASSKEYS:
            raise NotPermitted(
                f"An account has at most {p.MAX_PASSKEYS} passkeys. None was added. Remove one first."
            )
        return self._challenge(account, "webauthn.create", known)

    async def finish_registration(self, account: Account, made: p.NewPasskey) -> None:
        """Keep a new passkey. Raises as ``begin_registration``, Conflict for one that is there, or the one refusal."""
        challenge = self._taken(account, "webauthn.create")
        row = _verified(lambda: self._registered(challenge, made))

        async def job(transaction: Transaction) -> None:
            known = await self._changeable(transaction, account)
            if not known:  # what an account had under an earlier name of the service counts no more
                await self._gate.forget(transaction, account.identity)
            new = len(known) < p.MAX_PASSKEYS and await rows.add(
                transaction, account.identity, self._party.id, row
            )
            if not new:
                raise Conflict(
                    "This passkey, or as many as there may be, were there already. None was added."
                )

        await self._writer.run(job)

    async def begin_assertion(self, account: Account) -> p.PasskeyChallenge:
        """A challenge for the passkeys of the account."""
        known = await rows.passkeys(self._reader, account.identity, self._party.id)
        return self._challenge(account, "webauthn.get", known)

    async def finish_assertion(self, account: Account, answer: p.PasskeyAnswer) -> p.Confirmed:
        """Take note that a passkey was shown in the session. Raises the one refusal."""
        challenge = self._taken(account, "webauthn.get")
        known = await rows.passkeys(self._reader, account.identity, self._party.id)
        row = next((each for each in known if each.credential == answer.credential), None)
        if row is None:
            raise _refusal()
        uses = _verified(lambda: self._asserted(challenge, answer, row))

        async def job(transaction: Transaction) -> None:
            if not await rows.used(transaction, account.identity, row, uses):
                raise _refusal()

        await self._writer.run(job)
        return p.Confirmed(until=self._gate.note_shown(account.session))

    async def of_account(self, account: Account) -> p.Passkeys:
        """What the account has."""
        known = await rows.passkeys(self._reader, account.identity, self._party.id)
        shown = [p.Passkey(credential=row.credential, added=row.added, synced=row.synced) for row in known]
        required = await rows.each_session(self._reader, account.identity, self._party.id)
        return p.Passkeys(passkeys=tuple(shown), each_session=required)

    async def remove(self, account: Account, credential: bytes) -> None:
        """Remove a passkey. Raises NeedsPasskey, NotFound, NotPermitted for the last."""

        async def job(transaction: Transaction) -> None:
            known = [row.credential for row in await self._changeable(transaction, account)]
            if credential not in known:
                raise NotFound("A passkey")
            if len(known) == 1:
                raise NotPermitted(
                    "The account's only passkey cannot be removed. Nothing was changed. Add another first."
                )
            await rows.remove(transaction, account.identity, credential)

        await self._writer.run(job)

    async def set_each_session(self, account: Account, *, required: bool) -> None:
        """Have each session need a passkey, or no longer. Raises NeedsPasskey."""

        async def job(transaction: Transaction) -> None:
            if not await self._changeable(transaction, account):
                raise NotPermitted("The account has no passkey. Nothing was changed. Add one first.")
            await rows.set_each_session(transaction, account.identity, required=required)
            transaction.after.append(
                lambda: self._gate.note_each_session(account.identity, required=required)
            )

        await self._writer.run(job)

    async def _changeable(self, db: Statements, account: Account) -> list[rows.PasskeyRow]:
        """The account's passkeys, if this session may change them. Raises NeedsPasskey."""
        known = await rows.passkeys(db, account.identity, self._party.id)
        if known and not self._gate.is_raised(account.session):
            raise NeedsPasskey(
                "The account's passkeys are changed with one of them only. Nothing was changed. Show one first."
            )
        return known

    def _challenge(
        self, account: Account, purpose: Purpose, known: list[rows.PasskeyRow]
    ) -> p.PasskeyChallenge:
        challenge = SecretBytes.random().reveal()
        self._challenges.give((account.session, purpose), challenge)
        return p.PasskeyChallenge(
            challenge=challenge, credentials=tuple(row.credential for row in known[: p.MAX_PASSKEYS])
        )

    def _taken(self, account: Account, purpose: Purpose) -> bytes:
        """The challenge given for this, which counts no more."""
        challenge = self._challenges.take((account.session, purpose))
        if challenge is None:
            raise _refusal()
        return challenge

    def _registered(self, challenge: bytes, made: p.NewPasskey) -> rows.PasskeyRow:
        msgspec.json.decode(made.client_data, type=_ClientData)
        # Nothing of a stranger's reaches the parser of the library but what has this form.
        data = made.authenticator_data
        length = int.from_bytes(data[53:55], "big")
        credential, public_key = data[55 : 55 + length], data[55 + length :]
        if data[32] & EXTENSION_DATA or not 16 <= length <= 1023:
            raise _refusal()
        check_public_key(public_key)
        unattested = {"fmt": "none", "attStmt": {}, "authData": data}
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(credential),
                raw_id=credential,
                response=AuthenticatorAttestationResponse(
                    client_data_json=made.client_data, attestation_object=encode_cbor(unattested)
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=self._party.id,
            expected_origin=self._party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier.ECDSA_SHA_256],
        )
        return rows.PasskeyRow(
            credential=verified.credential_id,
            public_key=verified.credential_public_key,
            uses=verified.sign_count,
            synced=verified.credential_backed_up,
            added=int(self._clock()),
        )

    def _asserted(self, challenge: bytes, answer: p.PasskeyAnswer, row: rows.PasskeyRow) -> int:
        msgspec.json.decode(answer.client_data, type=_ClientData)
        verified = verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(row.credential),
                raw_id=row.credential,
                response=AuthenticatorAssertionResponse(
                    client_data_json=answer.client_data,
                    authenticator_data=answer.authenticator_data,
                    signature=answer.signature,
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=self._party.id,
            expected_origin=self._party.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.uses,
            require_user_verification=True,
        )
        return verified.new_sign_count


def _verified(ceremony: Callable[[], Verified]) -> Verified:
    try:
        return ceremony()
    except Exception:  # the bytes are a stranger's: whatever a parser makes of them is the one refusal
        raise _refusal() from None


def _refusal() -> NotPermitted:
    return NotPermitted(
        "No passkey of this account was shown for this session: the answer does not fit, or came too late. "
        "Nothing was changed. Try again."
    )
