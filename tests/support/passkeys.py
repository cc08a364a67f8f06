"""A passkey made by hand from docs/format/passkey.md, without the client's authenticator: it can also answer wrongly."""

import base64
import hashlib
import json
from typing import Any

from crypto.es256 import Es256Key
from crypto.wire import messages as m
from crypto.wire.passkeys import NewPasskey, PasskeyAnswer, PasskeyChallenge
from crypto.wire.vault_api import VaultApi
from tests.contract.vault_story import fresh

PARTY, ORIGIN = "vault.example", "https://vault.example"
PRESENT, VERIFIED, ATTESTED, EXTENDED = 0x01, 0x04, 0x40, 0x80
# The CBOR of {"hmac-secret": h'00' * 32}, as the result of the PRF extension comes.
PRF_RESULT = bytes.fromhex("a16b686d61632d7365637265745820") + bytes(32)


class HandMade:
    """One credential. What a ceremony says can be changed by name: an honest answer needs no change."""

    def __init__(self) -> None:
        self.key, self.id, self.count = Es256Key.generate(), fresh(), 0

    def registration(self, challenge: PasskeyChallenge, **changes: Any) -> NewPasskey:
        """What registers it."""
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + changes.pop("cose", self.key.cose)
        flags = changes.pop("flags", PRESENT | VERIFIED) | ATTESTED
        return NewPasskey(
            client_data=client_data("webauthn.create", challenge, changes),
            authenticator_data=self._data(flags, changes) + attested + changes.pop("extension", b""),
        )

    def answer(self, challenge: PasskeyChallenge, **changes: Any) -> PasskeyAnswer:
        """What shows it. ``by``: another one's key."""
        self.count += 1
        said = client_data("webauthn.get", challenge, changes)
        data = self._data(changes.pop("flags", PRESENT | VERIFIED), changes)
        key = changes.pop("by", self).key
        return PasskeyAnswer(
            credential=changes.pop("credential", self.id),
            client_data=said,
            authenticator_data=data,
            signature=key.sign_bytes(data + hashlib.sha256(said).digest()),
        )

    async def register(self, api: VaultApi, **changes: Any) -> None:
        """Register it by the API."""
        challenge = await api.begin_passkey(m.Empty())
        await api.finish_passkey(self.registration(challenge, **changes))

    async def show(self, api: VaultApi, **changes: Any) -> None:
        """Show it by the API."""
        challenge = await api.begin_assertion(m.Empty())
        await api.finish_assertion(self.answer(challenge, **changes))

    def _data(self, flags: int, changes: dict[str, Any]) -> bytes:
        party = changes.pop("party", PARTY)
        count = changes.pop("count", self.count)
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + int(count).to_bytes(4, "big")


def client_data(kind: str, challenge: PasskeyChallenge, changes: dict[str, Any]) -> bytes:
    """What a client says of a ceremony. ``said``: other fields, or more."""
    text = base64.urlsafe_b64encode(challenge.challenge).decode().rstrip("=")
    said = {"type": kind, "challenge": text, "origin": ORIGIN, "crossOrigin": False}
    return json.dumps(said | changes.pop("said", {}), separators=(",", ":")).encode()
