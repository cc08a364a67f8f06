"""A keeper's two private keys, and the card that shows their public halves.

The folder ``keys`` (0700) holds two seeds of 32 bytes (0600): ``cosigning.key`` (Ed25519) signs heads and answers,
``sealing.key`` (HPKE) opens the policies sealed to this keeper. ``keeper-card.json`` is what goes into a trust root.
"""

from dataclasses import dataclass
from pathlib import Path

from crypto.checkpoint import CosignerKey
from crypto.encoding import decode, encode
from crypto.errors import Damaged, NotPermitted
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.wire.keeper_api import KeeperCard
from vault_server.store.files import PUBLIC_FILE, make_folder, write_durably

CARD = "keeper-card.json"
_FOLDER = "keys"
_COSIGNING = "cosigning.key"
_SEALING = "sealing.key"
_SEED = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """The private keys."""

    cosigning: SigningKey
    sealing: UnsealingKey

    def card(self, *, name: str, url: str, operator: str) -> KeeperCard:
        """The public half. Raises Malformed for a name that cannot stand before a signature."""
        CosignerKey(name, self.cosigning.public)
        return KeeperCard(
            name=name,
            cosigning_key=self.cosigning.public.raw,
            sealing_key=self.sealing.public,
            url=url,
            operator=operator,
        )


def have_keys(data: Path) -> bool:
    """Whether ``data`` holds a complete keeper's keys."""
    return (data / _FOLDER / _SEALING).exists()


def make_cosigning_key(data: Path) -> SigningKey:
    """A fresh cosigning key in ``data``, or the one that is there."""
    return SigningKey(_made(data, _COSIGNING))


def make_sealing_key(data: Path) -> UnsealingKey:
    """A fresh sealing key in ``data``, or the one that is there. It is made last: with it the keeper is complete."""
    return UnsealingKey(_made(data, _SEALING))


def load_keys(data: Path) -> Keys:
    """The keys in ``data``. Raises Damaged when one is missing or not whole, NotPermitted when others could read it."""
    return Keys(
        cosigning=SigningKey(_read_seed(data / _FOLDER / _COSIGNING)),
        sealing=UnsealingKey(_read_seed(data / _FOLDER / _SEALING)),
    )


def load_card(data: Path) -> KeeperCard:
    """The card in ``data``. Raises Damaged when there is none."""
    try:
        text = (data / CARD).read_bytes()
    except OSError:
        raise Damaged(f"{data} has no {CARD}. The keeper was not started. Run its init first.") from None
    return decode(text.strip(), KeeperCard)


def write_card(data: Path, card: KeeperCard) -> None:
    """Write the card where ``load_card`` finds it, whole or not at all."""
    write_durably(data / CARD, encode(card) + b"\n", PUBLIC_FILE)


def _made(data: Path, name: str) -> SecretBytes:
    folder = data / _FOLDER
    make_folder(folder)
    if not (folder / name).exists():
        write_durably(folder / name, SecretBytes.random(_SEED).reveal())
    return _read_seed(folder / name)


def _read_seed(path: Path) -> SecretBytes:
    try:
        open_to_others = path.stat().st_mode & 0o077
        seed = path.read_bytes()
    except OSError:
        raise Damaged(
            f"The key {path} cannot be read. The keeper was not started. Restore it from its backup."
        ) from None
    if open_to_others:
        raise NotPermitted(
            f"The key {path} can be read by others. The keeper was not started. Set it to 0600."
        )
    if len(seed) != _SEED:
        raise Damaged(f"The key {path} is not whole. The keeper was not started. Restore it from its backup.")
    return SecretBytes(seed)
