"""What client and server say to log in: a device, or the root of a recovery kit, signs a nonce of the server's."""

from crypto.encoding import Body, Bytes32, Natural, SecretBody, ShortText
from crypto.signing import Envelope


class LoginRequest(Body, frozen=True):
    """Asks for a nonce to log in with ``device`` of ``identity``."""

    identity: Bytes32
    device: Bytes32


class Challenge(Body, frozen=True):
    """A single-use nonce."""

    nonce: Bytes32


class LoginStatement(Body, frozen=True):
    """What a device signs to log in. ``minute``: minutes since 1970."""

    hosts: tuple[ShortText, ...]
    identity: Bytes32
    device: Bytes32
    nonce: Bytes32
    minute: Natural


class Login(Body, frozen=True):
    """A signed ``LoginStatement``."""

    statement: Envelope


class Session(SecretBody, frozen=True):
    """A bearer token, and when it ends (seconds since 1970)."""

    token: ShortText
    until: Natural


class RootLoginRequest(Body, frozen=True):
    """Asks for a nonce to log in with the identity root whose key id is ``root``: the one of a recovery kit."""

    root: Bytes32


class RootLoginStatement(Body, frozen=True):
    """What an identity's root signs to log in. ``minute``: minutes since 1970."""

    hosts: tuple[ShortText, ...]
    root: Bytes32
    nonce: Bytes32
    minute: Natural


class RootLogin(Body, frozen=True):
    """A signed ``RootLoginStatement``."""

    statement: Envelope


class RootSession(SecretBody, frozen=True):
    """As ``Session``, and the identity whose root logged in: whoever typed a kit alone does not know it."""

    token: ShortText
    until: Natural
    identity: Bytes32
