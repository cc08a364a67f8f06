"""Where passkeys are: a software authenticator whose keys lie in the device store, spoken to as any other.

The ceremonies are run by python-fido2's client over CTAP, so that a security key can stand in the same place. What they
ask for is fixed here: the relying party is that of the trust root, the algorithm ES256, the user verified, no attestation,
no extension. A server chooses the challenge and names credentials, and nothing else.

The passphrase that opened the store is the verification of the user. A credential is stored before it is shown to anybody.
"""

import secrets
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, NamedTuple, NoReturn, Self

import msgspec
from fido2 import cbor
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client
from fido2.cose import CoseKey
from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY
from fido2.utils import sha256
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticatorData,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from crypto.errors import Conflict, NotPermitted
from crypto.es256 import ALGORITHM, Es256Key
from crypto.secret_bytes import SecretBytes
from crypto.wire.cards import fingerprint
from crypto.wire.passkeys import NewPasskey, PasskeyAnswer, PasskeyChallenge, RelyingParty
from vault_client.account_passkeys import Credential, record_name
from vault_client.device_store import DeviceStore

FLAG = AuthenticatorData.FLAG
VERIFIED = FLAG.UP | FLAG.UV


class Made(NamedTuple):
    """A new passkey: its id here, and what registers it."""

    credential: bytes
    registration: NewPasskey


class SoftwareAuthenticator(CtapDevice):
    """A CTAP 2 authenticator without wires: getInfo, makeCredential and getAssertion over records of the device store."""

    def __init__(self, store: DeviceStore, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    @property
    def capabilities(self) -> int:
        """It speaks CTAP 2."""
        return CAPABILITY.CBOR

    @classmethod
    def list_devices(cls) -> Iterator[Self]:
        """None can be found: one is made with its store."""
        return iter(())

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        """Answer one CTAP 2 message: a status byte, then CBOR."""
        try:
            return b"\0" + cbor.encode(self._answered(data[0], data[1:]))
        except CtapError as error:
            return bytes([error.code])

    def _answered(self, command: int, request: bytes) -> dict[int, Any]:
        if command == Ctap2.CMD.GET_INFO:
            # The user is verified by itself, without a PIN; the protocol number is one that a client looks for.
            return {1: ["FIDO_2_0"], 3: bytes(Aaguid.NONE), 4: {"rk": False, "up": True, "uv": True}, 6: [2]}
        questions: Any = cbor.decode(request)
        if command == Ctap2.CMD.MAKE_CREDENTIAL:
            return self._made(questions)
        if command == Ctap2.CMD.GET_ASSERTION:
            return self._asserted(questions)
        raise CtapError(CtapError.ERR.INVALID_COMMAND)

    def _made(self, questions: dict[int, Any]) -> dict[int, Any]:
        party = questions[2]["id"]
        if self._held(party, questions.get(5, [])) is not None:
            raise CtapError(CtapError.ERR.CREDENTIAL_EXCLUDED)
        if ALGORITHM not in [each["alg"] for each in questions[4]]:
            raise CtapError(CtapError.ERR.UNSUPPORTED_ALGORITHM)
        key, name = Es256Key.generate(), secrets.token_bytes(32)
        made = Credential(credential=name, party=party, secret=key.scalar.reveal(), count=self._later_than(0))
        self._store.put(record_name(name), made)
        public: Any = cbor.decode(key.cose)
        attested = AttestedCredentialData.create(bytes(Aaguid.NONE), name, CoseKey.parse(public))
        data = AuthenticatorData.create(
            sha256(party.encode()), FLAG(VERIFIED | FLAG.AT), made.count, attested
        )
        return {1: "none", 2: bytes(data), 3: {}}

    def _asserted(self, questions: dict[int, Any]) -> dict[int, Any]:
        held = self._held(questions[1], questions.get(3, []))
        if held is None:
            raise CtapError(CtapError.ERR.NO_CREDENTIALS)
        count, flags = held.count, FLAG(0)
        if questions.get(5, {}).get("up", True):  # else the client only asks whether the credential is here
            flags, count = VERIFIED, self._later_than(held.count)
            self._store.put(record_name(held.credential), msgspec.structs.replace(held, count=count))
        data = AuthenticatorData.create(sha256(held.party.encode()), flags, count)
        signature = Es256Key(SecretBytes(held.secret)).sign_bytes(data + questions[2])
        return {1: {"id": held.credential, "type": "public-key"}, 2: bytes(data), 3: signature}

    def _held(self, party: str, wanted: list[dict[str, Any]]) -> Credential | None:
        for each in wanted:
            found = self._store.get(record_name(each["id"]), Credential)
            if found is not None and found.party == party:
                return found
        return None

    def _later_than(self, count: int) -> int:
        # The time, and not a count of answers: an older copy of the profile put in its place goes on at once.
        return max(self._clock(), count + 1)


class Passkeys:
    """The passkeys of one account on one authenticator."""

    def __init__(self, device: CtapDevice, party: RelyingParty, identity: bytes) -> None:
        self._client = Fido2Client(device, DefaultClientDataCollector(party.origin), extensions=())
        self._party = party
        self._identity = identity

    def make(self, challenge: PasskeyChallenge) -> Made:
        """A new passkey. Raises Conflict when this authenticator has one of those that are there."""
        options = PublicKeyCredentialCreationOptions(
            rp=PublicKeyCredentialRpEntity(id=self._party.id, name="Coffre"),
            user=PublicKeyCredentialUserEntity(
                id=self._identity, name=fingerprint(self._identity), display_name="Coffre"
            ),
            challenge=challenge.challenge,
            pub_key_cred_params=[
                PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=ALGORITHM)
            ],
            exclude_credentials=_described(challenge),
            authenticator_selection=AuthenticatorSelectionCriteria(
                user_verification=UserVerificationRequirement.REQUIRED
            ),
        )
        try:
            made = self._client.make_credential(options)
        except ClientError as error:
            if error.code == ClientError.ERR.DEVICE_INELIGIBLE:
                raise Conflict("This device has a passkey of the account already. None was added.") from None
            _refuse()
        response = made.response
        return Made(
            made.raw_id,
            NewPasskey(
                client_data=bytes(response.client_data),
                authenticator_data=bytes(response.attestation_object.auth_data),
            ),
        )

    def show(self, challenge: PasskeyChallenge) -> PasskeyAnswer:
        """The answer to ``challenge`` by one of its passkeys. Raises NotPermitted when none of them is here."""
        options = PublicKeyCredentialRequestOptions(
            challenge=challenge.challenge,
            rp_id=self._party.id,
            allow_credentials=_described(challenge),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        try:
            answer = self._client.get_assertion(options).get_response(0)
        except ClientError:
            _refuse()
        response = answer.response
        return PasskeyAnswer(
            credential=answer.raw_id,
            client_data=bytes(response.client_data),
            authenticator_data=bytes(response.authenticator_data),
            signature=response.signature,
        )


def _described(challenge: PasskeyChallenge) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=name)
        for name in challenge.credentials
    ]


def _refuse() -> NoReturn:
    raise NotPermitted(
        "This needs a passkey of the account, and there is none here that answers. Nothing was done. Do it on a device "
        "that has one."
    ) from None
