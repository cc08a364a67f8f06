"""This person's own identity on this device: its keys, and the chain as the server shows it."""

from dataclasses import dataclass
from typing import Literal, Self

import msgspec

from crypto import labels
from crypto.encoding import Bytes32, SecretBody
from crypto.errors import NotPermitted, NotProven
from crypto.identity_chain import Known, known_at
from crypto.identity_links import Chain
from crypto.sealed.keyring import IdentityKeyring, check_identity_keyring, open_keyring
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.statements import Head, part_hash
from crypto.wire.cards import IdentityCard
from crypto.wire.messages import IdentityQuery, PartQuery
from vault_client import trust
from vault_client.device_store import DeviceStore
from vault_client.http_session import Account
from vault_client.identity_history import IdentityHistory, history
from vault_client.service import Service

Role = Literal["patient", "practitioner"]


# What people read
REMOVED = (
    "This device is no longer one of yours: your keys were changed on another, or recovered with the kit. Nothing was "
    "done. If that was you, use the other device. If not, recover them yourself, at once: coffre {role} restore --kit FILE (with a kit on paper: --server URL)"
)


class Profile(SecretBody, frozen=True):
    """What a device keeps of its owner: the device's private seeds, the chain, the reading keys."""

    role: Role
    identity: Bytes32
    signing: Bytes32
    sealing: Bytes32
    chain: Chain
    keyring: IdentityKeyring


@dataclass
class OwnIdentity:
    """The owner of a profile, with keys ready to use."""

    profile: Profile
    device: SigningKey
    unsealing: UnsealingKey

    @classmethod
    def load(cls, store: DeviceStore, role: Role) -> Self:
        """The owner of this profile. Raises NotPermitted when nobody is enrolled, or in the other role."""
        profile = store.get("profile", Profile)
        if profile is None or profile.role != role:
            raise NotPermitted(f"This profile is not a {role}'s. Nothing was done. Choose another, or enrol.")
        return cls.of(profile)

    @staticmethod
    def check_nobody(store: DeviceStore, role: Role) -> None:
        """Raises NotPermitted when the profile belongs to someone, be it since an enrolment that was cut short."""
        if store.get("profile", Profile) is not None:
            raise NotPermitted(
                "This profile already belongs to someone. Nothing was done. An enrolment that was cut short is "
                f"finished by: coffre {role} list. Otherwise choose another folder."
            )

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The owner of ``profile``."""
        return cls(
            profile=profile,
            device=SigningKey(SecretBytes(profile.signing)),
            unsealing=UnsealingKey(SecretBytes(profile.sealing)),
        )

    @property
    def identity(self) -> bytes:
        """The identity's id."""
        return self.profile.identity

    def account(self, service: Service) -> Account:
        """How this device logs in."""
        return Account(identity=self.identity, device=self.device, hosts=service.root.hosts)

    def card(self, service: Service) -> IdentityCard:
        """What to show to whoever shall know this identity."""
        return IdentityCard(suite=labels.SUITE, url=service.record.url, chain=self.profile.chain)

    def reading_key(self, number: int) -> UnsealingKey:
        """The private half of reading key ``number``. Raises NotPermitted when this device does not have it."""
        for entry in self.profile.keyring.reading_keys:
            if entry.number == number:
                return UnsealingKey(SecretBytes(entry.seed))
        raise NotPermitted("This device does not have the key this was sealed to. Nothing was opened.")

    def known_at(self, service: Service, at: Head) -> Known:
        """Oneself as ``at`` of the directory shows one."""
        root = service.root
        return known_at(self.profile.chain, at.size, root.directory_origin, root.registrar_keys())

    async def refresh(self, service: Service, store: DeviceStore) -> None:
        """Fetch what was added to one's own chain (a certificate, another device). Never shorter, never another.

        A keyring that another device made is taken over once it is found to lack nothing.
        """
        chain = await service.api.identity_chain(IdentityQuery(identity=self.identity))
        trust.chain_extends(self.profile.chain, chain)
        if chain != self.profile.chain:
            service.forget_directory()
            await service.know(chain)
            keyring = await self._newest_keyring(service, chain)
            self.profile = msgspec.structs.replace(self.profile, chain=chain, keyring=keyring)
            store.put("profile", self.profile)

    def history(self, service: Service) -> IdentityHistory:
        """Which devices came and went, and when the kit was used."""
        return history(self.profile.chain, service.root.registrar_keys())

    async def check_not_removed(self, service: Service) -> None:
        """Raises NotPermitted when, by the keepers' word, one's chain has gone on since this device last saw it.

        For a device that the server logs in no more: nothing else can tell it why.
        """
        try:
            await service.prove_chain(self.profile.chain)
        except NotProven:
            raise NotPermitted(REMOVED.format(role=self.profile.role)) from None

    async def _newest_keyring(self, service: Service, chain: Chain) -> IdentityKeyring:
        """The keyring that ``chain`` names, which is believed already: ours, or one that goes on from it."""
        root = service.root
        before, after = (
            known_at(
                each, each.links[-1].disclosure.index + 1, root.directory_origin, root.registrar_keys()
            ).state
            for each in (self.profile.chain, chain)
        )
        if after.keyring is None or after.keyring == before.keyring:
            return self.profile.keyring
        keyring = await fetched_keyring(service, after.keyring, self.unsealing)
        check_identity_keyring(self.profile.keyring, keyring, after.reading_keys)
        return keyring


async def fetched_keyring(service: Service, name: bytes, unlock: UnsealingKey) -> IdentityKeyring:
    """One's identity keyring with the part hash ``name``, opened with ``unlock``. What it holds is still to be checked.

    Raises NotProven when the server does not show it, CannotOpen when it is not sealed to ``unlock``.
    """
    parts = (await service.api.parts(PartQuery(vault=None, hashes=(name,)))).parts
    if len(parts) != 1 or parts[0] is None or part_hash(parts[0]) != name:
        raise NotProven("The server withholds one's own keys. Nothing was taken in. Try again.")
    return open_keyring(labels.IDENTITY_KEYRING, IdentityKeyring, parts[0], unlock)
