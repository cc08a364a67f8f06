"""Ed25519 signatures over labelled bodies.

An envelope is {type, body bytes, signatures}. What is signed is PAE(type, body); the body's bytes are kept and passed
on untouched, verified first and parsed after. Several signatures fit from the first day. Every public key passes
libsodium's ``crypto_core_ed25519_is_valid_point`` (on the curve, canonical, not of small order) when it is registered
and when it is loaded: under a small-order key one constant signature would fit every message.
"""

import hashlib
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from nacl import bindings
from nacl.exceptions import BadSignatureError

from crypto.encoding import Body, Bytes32, Bytes64, ShortText, decode, encode, pae
from crypto.errors import BadSignature, Malformed
from crypto.secret_bytes import SecretBytes

T = TypeVar("T", bound=msgspec.Struct)


class VerifyKey:
    """An Ed25519 public key that has been checked. ``key_id`` is its SHA-256."""

    __slots__ = ("key_id", "raw")

    def __init__(self, raw: bytes) -> None:
        """Raises Malformed for anything but 32 bytes that name a point of the large subgroup."""
        if not _is_sound(raw):
            raise Malformed("A signature key was refused: it is not a sound Ed25519 public key.")
        self.raw = raw
        self.key_id = key_id(raw)

    def check(self, message: bytes, signature: bytes) -> None:
        """Raises BadSignature unless ``signature`` is this key's over ``message``, 64 bytes long."""
        # The primitive takes signature and message in one piece: another length would move the border.
        if len(signature) != 64:
            raise BadSignature("A signature does not have its length. What it covers was not believed.")
        try:
            bindings.crypto_sign_open(signature + message, self.raw)
        except (BadSignatureError, ValueError):
            raise BadSignature("A signature does not fit. What it covers was not believed.") from None


class SigningKey:
    """An Ed25519 private key, kept as its 32-byte seed."""

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: SecretBytes) -> None:
        public, secret = bindings.crypto_sign_seed_keypair(seed.reveal())
        self.seed = seed
        self.public = VerifyKey(public)
        self._secret = SecretBytes(secret)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A fresh key."""
        return cls(SecretBytes.random(32))

    def sign_bytes(self, message: bytes) -> bytes:
        """A 64-byte signature over ``message`` as it is; the caller has put a label first."""
        return bindings.crypto_sign(message, self._secret.reveal())[:64]


class Signature(Body, frozen=True):
    """One signature of an envelope. ``key`` is the SHA-256 of the public key."""

    key: Bytes32
    signature: Bytes64


class Envelope(Body, frozen=True):
    """A signed body, as it is stored and passed on."""

    type: ShortText
    body: bytes
    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=16)]

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was signed. Names this body wherever another refers to it."""
        return hashlib.sha256(pae(self.type, self.body)).digest()

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The key ids that claim to have signed. Claims, until ``verify`` has run."""
        return tuple(signature.key for signature in self.signatures)


@lru_cache(maxsize=1024)
def _is_sound(raw: bytes) -> bool:
    # Remembered: a point costs as much as a signature, and the few keys of a service are loaded for every proof.
    return len(raw) == 32 and bool(bindings.crypto_core_ed25519_is_valid_point(raw))


def key_id(raw: bytes) -> bytes:
    """The id of a public key: SHA-256 of its bytes."""
    return hashlib.sha256(raw).digest()


def sign(label: str, body: Body, *keys: SigningKey) -> Envelope:
    """Sign ``body`` under ``label`` with every one of ``keys``."""
    return sign_encoded(label, encode(body), *keys)


def sign_encoded(label: str, body: bytes, *keys: SigningKey) -> Envelope:
    """Sign a body that is already encoded, as a co-signer does after reading it."""
    message = pae(label, body)
    signatures = tuple(Signature(key=key.public.key_id, signature=key.sign_bytes(message)) for key in keys)
    return Envelope(type=label, body=body, signatures=signatures)


def verify(envelope: Envelope, label: str, keys: dict[bytes, VerifyKey]) -> frozenset[bytes]:
    """Check that ``envelope`` is of type ``label`` and that every signature is by a distinct one of ``keys``.

    Returns the key ids that signed, at least one. An unknown or failing signature refuses the whole: none is skipped.
    """
    if envelope.type != label:
        raise BadSignature("A signed body is of another type than the one expected. It was not believed.")
    if not envelope.signatures:
        raise BadSignature("A signed body carries no signature. It was not believed.")
    if len(set(envelope.signers)) != len(envelope.signatures):
        raise BadSignature("A signed body carries the same signature twice. It was not believed.")
    message = pae(label, envelope.body)
    for signature in envelope.signatures:
        key = keys.get(signature.key)
        if key is None:
            raise BadSignature("A signed body carries a signature by an unknown key. It was not believed.")
        key.check(message, signature.signature)
    return frozenset(envelope.signers)


def read(envelope: Envelope, label: str, kind: type[T], keys: dict[bytes, VerifyKey]) -> T:
    """Verify ``envelope`` and then parse the very bytes verified. Raises BadSignature or Malformed."""
    verify(envelope, label, keys)
    return decode(envelope.body, kind)


def verify_keys(*raws: bytes) -> dict[bytes, VerifyKey]:
    """Checked public keys by their ids."""
    return {key.key_id: key for key in map(VerifyKey, raws)}
