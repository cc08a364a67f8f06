"""The instance: its keys, its trust root, its card.

On the first start the keys of the log, the directory, the root and the registrar are made, the keepers are taken in, and
version 1 of the trust root is signed. Later versions are made by ``root_signing`` and read at the next start. The root's and the registrar's keys lie apart, in the operator's folder,
and are not read to serve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crypto import labels, trust_root, trust_root_chain
from crypto.durations import DAY
from crypto.encoding import decode, encode
from crypto.errors import Conflict, Damaged, Malformed, NotPermitted
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import RootRef
from crypto.trust_root import InstanceCard, Keeper, Registrar, TrustRoot, policy_of
from vault_server.settings import Settings
from vault_server.store.files import make_folder, read_whole, write_durably
from vault_server.version import VERSION

KEYS = "keys"
TRUST_ROOTS = "trust-roots"
TWO_YEARS = 2 * 365 * DAY
SCHEMES = ("demo", "app")
NEVER_GRANTED = ("insurer", "employer")


@dataclass(frozen=True)
class Instance:
    """What a running server holds of itself."""

    root: TrustRoot
    ref: RootRef
    trust_roots: tuple[Envelope, ...]
    card: str
    log_key: SigningKey
    directory_key: SigningKey

    @property
    def cosignatures_needed(self) -> int:
        """How many keepers must cosign a head before it is published."""
        return self.root.policy.k

    def key_of(self, origin: str) -> SigningKey:
        """The key that signs the heads of ``origin``."""
        return self.directory_key if origin == self.root.directory_origin else self.log_key


def exists(settings: Settings) -> bool:
    """Whether the instance has been founded."""
    return _trust_root_file(settings, 1).exists()


def check_host(settings: Settings, port: int) -> None:
    """Raises NotPermitted when the host would stand in the names of the logs, or on the card, and cannot."""
    host = settings.public_host if exists(settings) else settings.host_name(port)
    try:
        if host is not None:
            trust_root.check_host(host)
    except Malformed:
        raise NotPermitted(
            f"The server was not started: {host} cannot stand in the names of its logs, which take small letters without "
            "accents, digits, dots and hyphens, and a port. Nothing was made. Give a --public-host that can."
        ) from None


def found(settings: Settings, keepers: Sequence[Keeper], port: int, now: int) -> None:
    """Make the instance. An attempt that was cut short is taken up with the keys it made."""
    for folder in (_keys(settings), settings.server_folder / TRUST_ROOTS, settings.operator_folder):
        make_folder(folder)
    log = _make_key(_keys(settings) / "log.key")
    directory = _make_key(_keys(settings) / "directory.key")
    root = _make_key(settings.operator_folder / "root.key")
    registrar = _make_key(settings.operator_folder / "registrar.key")
    body = TrustRoot(
        suite=labels.SUITE,
        version=1,
        previous=None,
        hosts=(settings.host_name(port),),
        log_key=log.public.raw,
        directory_key=directory.public.raw,
        keepers=tuple(keepers),
        policies=(policy_of(len(keepers)),),
        registrars=(Registrar(key=registrar.public.raw, schemes=SCHEMES, retired_since=None),),
        never_granted=NEVER_GRANTED,
        minimum_client=VERSION,
        successors=(),
        expiry=now + TWO_YEARS,
        root_keys=(root.public.raw,),
        threshold=1,
    )
    envelope = sign(labels.TRUST_ROOT, body, root)
    trust_root_chain.first(envelope, card=None)
    write_durably(_trust_root_file(settings, 1), encode(envelope))


def add_trust_root(settings: Settings, version: int, envelope: Envelope) -> None:
    """Store a verified next version, to be served from the next start on. Raises Conflict when there is one already."""
    path = _trust_root_file(settings, version)
    if path.exists():
        raise Conflict(f"Version {version} of the trust root is published already. Nothing was published.")
    write_durably(path, encode(envelope))


def check_keepers(instance: Instance, keepers: Sequence[Keeper]) -> None:
    """Raises NotPermitted unless ``keepers``, if any are named, are those of the trust root."""
    if keepers and set(keepers) != set(instance.root.live_keepers):
        raise NotPermitted(
            "The server was not started: the keepers named are not those of its trust root. Leave --keepers out, or change "
            "the trust root with: coffre trust-root sign"
        )


def load(settings: Settings, port: int, now: int) -> Instance:
    """Read the instance and write its card for the address it is served at. Raises Damaged, NotPermitted, Stale."""
    chain = trust_roots(settings)
    first = trust_root_chain.first(chain[0], card=None)
    accepted = trust_root_chain.advance(first, chain[1:])
    trust_root.check_expiry(accepted, now)
    log, directory = read_key(_keys(settings) / "log.key"), read_key(_keys(settings) / "directory.key")
    if (log.public.raw, directory.public.raw) != (accepted.root.log_key, accepted.root.directory_key):
        raise Damaged("The server was not started: its keys are not those that its trust root names.")
    card = trust_root.card_text(InstanceCard(suite=labels.SUITE, url=settings.url(port), root=first.ref))
    write_durably(card_file(settings), card.encode() + b"\n")
    return Instance(
        root=accepted.root,
        ref=accepted.ref,
        trust_roots=chain,
        card=card,
        log_key=log,
        directory_key=directory,
    )


def trust_roots(settings: Settings) -> tuple[Envelope, ...]:
    """The signed trust roots, oldest first, as they lie here. Raises Damaged."""
    chain = [decode(read_whole(_trust_root_file(settings, 1)), Envelope)]
    while (later := _trust_root_file(settings, len(chain) + 1)).exists():
        chain.append(decode(read_whole(later), Envelope))
    return tuple(chain)


def card_file(settings: Settings) -> Path:
    """Where the instance card lies."""
    return settings.server_folder / "instance-card.json"


def read_key(path: Path) -> SigningKey:
    """A signing key from its file of 32 bytes. Raises Damaged."""
    seed = read_whole(path)
    if len(seed) != 32:
        raise Damaged(f"{path} does not hold a key. Nothing was done.")
    return SigningKey(SecretBytes(seed))


def _make_key(path: Path) -> SigningKey:
    if not path.exists():
        write_durably(path, SigningKey.generate().seed.reveal())
    return read_key(path)


def _keys(settings: Settings) -> Path:
    return settings.server_folder / KEYS


def _trust_root_file(settings: Settings, version: int) -> Path:
    return settings.server_folder / TRUST_ROOTS / f"{version}.json"
