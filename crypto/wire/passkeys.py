"""What client and server say about an account's passkeys (docs/format/passkey.md).

A ceremony is WebAuthn's, but no options travel: whom a passkey is for, its algorithm, and that its user is verified are
fixed here and not for a server to choose. No extension has a place in these messages, so no result of one is sent.
"""

from ipaddress import ip_address
from typing import Annotated, NamedTuple, Self

import msgspec

from crypto.encoding import Body, Bytes32, Natural

MAX_PASSKEYS = 8

CredentialId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=1023)]
ClientData = Annotated[bytes, msgspec.Meta(min_length=1, max_length=1024)]
# Hash of the relying party's id, flags, counter; nothing more, so neither a key nor the result of an extension.
AssertionData = Annotated[bytes, msgspec.Meta(min_length=37, max_length=37)]


class RelyingParty(NamedTuple):
    """Whom an account's passkeys are for, in WebAuthn's words: an id, which is a host's name, and an origin."""

    id: str
    origin: str

    @classmethod
    def of(cls, host: str) -> Self:
        """That of the service at ``host``, the first of its trust root, which may have a port.

        WebAuthn knows names only: what listens on a loopback address is called ``localhost``.
        """
        name, colon, port = host.partition(":")
        if _is_loopback(name):
            return cls("localhost", f"http://localhost{colon}{port}")
        return cls(name, f"https://{host}")


class PasskeyChallenge(Body, frozen=True):
    """What a passkey has to sign, once; and the account's passkeys (at a registration: to be left out)."""

    challenge: Bytes32
    credentials: Annotated[tuple[CredentialId, ...], msgspec.Meta(max_length=MAX_PASSKEYS)]


class NewPasskey(Body, frozen=True):
    """A registration: WebAuthn's client data and authenticator data, without attestation."""

    client_data: ClientData
    authenticator_data: Annotated[bytes, msgspec.Meta(min_length=37, max_length=2048)]


class PasskeyAnswer(Body, frozen=True):
    """An assertion by the passkey ``credential``."""

    credential: CredentialId
    client_data: ClientData
    authenticator_data: AssertionData
    signature: Annotated[bytes, msgspec.Meta(min_length=1, max_length=128)]


class Confirmed(Body, frozen=True):
    """Until when (seconds since 1970) this session may do what needs a passkey."""

    until: Natural


class Passkey(Body, frozen=True):
    """One passkey of the account. ``synced``: its maker keeps copies of it, by its own word."""

    credential: CredentialId
    added: Natural
    synced: bool


class Passkeys(Body, frozen=True):
    """The account's passkeys, oldest first, and whether each session needs one."""

    passkeys: Annotated[tuple[Passkey, ...], msgspec.Meta(max_length=MAX_PASSKEYS)]
    each_session: bool


class PasskeyQuery(Body, frozen=True):
    """Names a passkey."""

    credential: CredentialId


class EachSession(Body, frozen=True):
    """Whether each session shall need a passkey."""

    required: bool


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
