"""What the exchanges between the two implementations are about: records and grants made by ``crypto``."""

from crypto.encoding import decode, encode
from crypto.signing import Envelope, SigningKey
from tests.interop import records_second as second
from tests.interop import wraps_second
from tests.support.grants import GrantedDocument, GrantMaker
from tests.support.people import Person, Service
from tests.support.vaults import Vault


class World:
    """A record, a reader, a grant of three documents under ``k`` of ``n`` keepers, all made by ``crypto``."""

    def __init__(self, k: int, n: int) -> None:
        self.service = Service(k, n)
        self.patient, self.reader = Person(self.service), Person(self.service)
        self.service.certify(self.reader)
        self.vault = Vault(self.service, [self.patient])
        self.maker = GrantMaker(self.vault, self.reader, k, n)
        self.documents = [GrantedDocument.fresh() for _ in range(3)]
        self.made = self.maker.event(*self.documents)
        self.event = second.decode("GrantEvent", self.made.envelope.body)
        self.secret = self.vault.epoch.secret.reveal()
        self.gid = self.maker.gid
        self.seeds = wraps_second.seeds(self.secret, self.gid, 0, self.event["policy"])

    def all_b(self, entry: GrantedDocument, act: str = "release") -> list[bytes]:
        """B as the other implementation computes it."""
        ids = (entry.doc, entry.ver, entry.ct_root)
        return [wraps_second.share_b(seed, act, self.gid, 0, *ids) for seed in self.seeds]


SINGLE, QUORUM = World(1, 1), World(3, 4)
WORLDS = (SINGLE, QUORUM)


def read_second(envelope: Envelope) -> dict[str, object]:
    """An envelope as the other implementation reads it."""
    return second.decode("Envelope", encode(envelope))


def read_first(envelope: dict[str, object]) -> Envelope:
    """An envelope of the other implementation."""
    return decode(second.encode("Envelope", envelope), Envelope)


def seed_of(key: SigningKey) -> bytes:
    """The seed of a signing key."""
    return key.seed.reveal()
