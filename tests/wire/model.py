"""What a vault server must say and show, as a model that is small enough to be seen to be right.

It knows nothing of signatures, proofs or rows: who holds which record, which documents are in it, to whom they are
granted, and how many leaves each log has.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from crypto import pieces
from tests.contract.grant_story import Granting
from tests.contract.record_story import Record, Stored
from tests.contract.vault_story import Person


@dataclass(eq=False)
class Document:
    """One document with one version. ``parts``: by number, whether what arrived is what was signed."""

    stored: Stored
    parts: dict[int, bool] = field(default_factory=dict)
    added: bool = False
    masked: bool = False
    deleted: bool = False

    @property
    def part_count(self) -> int:
        """How many parts its ciphertext has."""
        return pieces.part_count(len(self.stored.data))

    @property
    def present(self) -> bool:
        """Whether a link may speak of it."""
        return self.added and not self.deleted

    @property
    def whole(self) -> bool:
        """Whether just what was signed has arrived."""
        return self.parts == dict.fromkeys(range(self.part_count), True)


@dataclass(eq=False)
class Sharing:
    """One grant. ``rows``: the documents of its newest rekey; ``epoch``: whose keys that has."""

    granting: Granting
    rows: set[Document]
    epoch: int = 0
    ended: bool = False

    def opens(self, documents: set[Document]) -> bool:
        """Whether a request for ``documents`` is granted."""
        return (
            not self.ended
            and documents <= self.rows
            and all(each.present and not each.masked for each in documents)
        )


@dataclass(eq=False)
class Kept:
    """One record. ``openings``: how many leaves of the log are its own."""

    record: Record
    documents: list[Document] = field(default_factory=list)
    sharings: list[Sharing] = field(default_factory=list)
    blocked: set[bytes] = field(default_factory=set)
    openings: int = 1


class Model:
    """Everything there is."""

    def __init__(self, host: str, shard_vaults: int, vaults_an_account: int) -> None:
        self._host, self._shard_vaults, self._most = host, shard_vaults, vaults_an_account
        self.vaults: list[Kept] = []
        self.leaves: Counter[str] = Counter()
        self.mail: dict[bytes, list[tuple[bytes, int | None]]] = defaultdict(list)

    @property
    def next_origin(self) -> str:
        """The log in which the next record is founded."""
        return f"{self._host}/coffre/log/{len(self.vaults) // self._shard_vaults}"

    def may_found(self, who: Person) -> bool:
        """Whether ``who`` may found one more."""
        return sum(kept.record.holder is who for kept in self.vaults) < self._most

    def found(self, record: Record) -> None:
        """A record was founded."""
        self.vaults.append(Kept(record))
        self.leaves[record.origin] += 1

    def linked(self, kept: Kept, leaves: int = 1) -> None:
        """A link was appended, with so many leaves."""
        kept.openings += leaves
        self.leaves[kept.record.origin] += leaves

    def may_grant(self, kept: Kept, recipient: Person, certified: bool) -> bool:
        """Whether an event for ``recipient`` is taken."""
        return certified and recipient.identity not in kept.blocked

    def delivered(self, sharing: Sharing, j: int | None) -> None:
        """Event ``j`` of a grant, or its end, was put into its recipient's mailbox."""
        self.mail[sharing.granting.recipient.identity].append((sharing.granting.gid, j))

    @property
    def sharings(self) -> list[tuple[Kept, Sharing]]:
        """Every grant and its record."""
        return [(kept, each) for kept in self.vaults for each in kept.sharings]

    @property
    def documents(self) -> list[tuple[Kept, Document]]:
        """Every document and its record."""
        return [(kept, each) for kept in self.vaults for each in kept.documents]
