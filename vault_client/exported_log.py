"""The log entries of an export: each shown to be in the witnessed log, to follow from the one before, and to be signed.

The same questions as ``audit`` asks of a server, asked of files. What does not hold is named entry by entry, and the
others are still looked at.
"""

from collections.abc import Iterator

import msgspec

from crypto import labels
from crypto.access_log import FIRST, previous
from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.encoding import decode
from crypto.erasures import check_erasure, latest_named, read_erasure
from crypto.errors import BrokenChain, NotProven, Refusal
from crypto.exports import CHECKPOINT, ENTRIES, ExportedEntry, ExportedGrant, ExportManifest
from crypto.merkle import leaf_hash, verify_inclusion
from crypto.quorum import quorum_times
from crypto.requests import AccessRequest, check_request, read_request
from crypto.signing import Envelope
from crypto.tiles import WIDTH
from crypto.trust_root import TrustRoot
from crypto.vault_links import AddVersion, Adopt, AnyOperation, End, Grant, Mask, Tombstone, VaultLink
from vault_client.audit_report import ERASED, FOUNDED, Entry, Kind, change_of
from vault_client.export_files import ExportFiles, read_lines, read_whole
from vault_client.exported_chain import ExportedChain, Identities, is_link

# What people read
NOT_FOLLOWING = "It does not follow from the entry before it: one is missing, or was added."

_MAX_CHECKPOINT = 1 << 16


def read_checkpoint(files: ExportFiles, root: TrustRoot, manifest: ExportManifest) -> tuple[Checkpoint, int]:
    """The head that the log signed and a quorum of keepers cosigned, and the time of the newest cosignature."""
    note = read_whole(files, CHECKPOINT, _MAX_CHECKPOINT)
    checkpoint = open_checkpoint(note, root.log_key_of(manifest.origin))
    if checkpoint.size < manifest.checked:
        raise NotProven(
            "The log's head in an export is older than what is said of the log. It was not believed."
        )
    return checkpoint, max(quorum_times(root, note))


class ExportedLog:
    """One pass over the entries. ``entries`` and ``problems`` (by index of the log) grow as it goes.

    ``begins``: the first entry, where the record has earlier ones that are not in the export; else 0.
    """

    def __init__(
        self, manifest: ExportManifest, checkpoint: Checkpoint, chain: ExportedChain, identities: Identities
    ) -> None:
        self.entries: list[Entry] = []
        self.problems: list[tuple[int, str]] = []
        self.unknown: list[tuple[int, str]] = []
        self.begins = 0
        self._manifest = manifest
        self._checkpoint = checkpoint
        self._chain = chain
        self._identities = identities
        self._grants = {grant.gid: grant for grant in manifest.grants}
        self._last = FIRST
        self._index = -1
        self._next_link: int | None = 0
        self._due: list[bytes] = []
        self._operations: tuple[AnyOperation, ...] = ()
        self._slots: set[bytes] = set()
        self._gaps: list[tuple[int, int]] = []
        self._erased: set[int] = set()

    def check(self, files: ExportFiles) -> None:
        """Look at every entry, then at whether any is missing. Raises BrokenChain then."""
        count = 0
        for entry in read_lines(files, ENTRIES, ExportedEntry):
            count += 1
            try:
                self._check_place(entry)
                self.entries += self._judged(entry)
            except Refusal as refusal:
                self.problems.append((entry.index, str(refusal)))
        if count != self._manifest.entries:
            raise BrokenChain(
                "It holds another number of entries than its manifest says: "
                f"{count}, and not {self._manifest.entries}."
            )
        if self._next_link not in (None, len(self._chain.links)):
            raise BrokenChain(f"Change {self._next_link} of the record is not in the log.")
        for before, after in self._gaps:
            if self._erased.isdisjoint(range(before + 1, after)):
                self.problems.append((after, NOT_FOLLOWING))
        if self._due:
            raise BrokenChain("A grant's event, or its end, is not in the log.")

    def _check_place(self, entry: ExportedEntry) -> None:
        """That the entry is in the log, and follows from the one before."""
        opening, leaf = entry.opening, entry.leaf
        last, self._last = self._last, leaf.commitment
        if self._index < 0 and opening.previous != FIRST and entry.index >= WIDTH:
            # What came before is gone from the log, or was left out: the first change found says where in the record we are.
            last, self.begins, self._next_link = opening.previous, entry.index, None
        before = self._index
        is_later, self._index = entry.index > before, max(entry.index, before)
        if not is_later or entry.index >= self._manifest.checked:
            raise BrokenChain("It is out of order.")
        if opening.part.body != opening.envelope.digest:
            raise NotProven("It names another statement than the one shown.")
        verify_inclusion(
            leaf_hash(leaf.to_bytes()), entry.index, self._checkpoint.size, entry.path, self._checkpoint.root
        )
        expected = FIRST if last == FIRST else previous(opening.salt2, last)
        if opening.previous not in (last, FIRST) and entry.index - before > 1:
            # What stood between is not in the export: an erasure further on must name an entry there.
            expected = previous(opening.salt2, opening.previous)
            self._gaps.append((before, entry.index))
        if opening.part.prev != expected:
            raise BrokenChain(NOT_FOLLOWING)

    def _judged(self, entry: ExportedEntry) -> Iterator[Entry]:
        envelope = entry.opening.envelope
        if self._next_link is None:
            self._find_place(envelope)
        if is_link(envelope) and envelope.digest not in self._due:
            yield self._link(entry)
        elif envelope.type in (labels.VAULT_LINK, labels.GRANT_EVENT):
            yield self._of_grant(entry)
        elif envelope.type == labels.ACCESS_REQUEST:
            yield from self._reading(entry)
        elif envelope.type == labels.ERASURE:
            yield self._erasure(entry)
        elif envelope.type != labels.DEPOSIT:  # what was deposited counts once a link takes it in
            raise BrokenChain("It is of a kind that no record has.")

    def _link(self, entry: ExportedEntry) -> Entry:
        """The next link of the chain. What its grants and ends log comes right behind it."""
        envelope = entry.opening.envelope
        n = self._next_link or 0
        expected = self._chain.links[n : n + 1]
        if self._due or [link.digest for link in expected] != [envelope.digest]:
            raise BrokenChain("It is a change that the record does not have, or not here.")
        self._next_link = n + 1
        self._operations, self._due = _announced(envelope)
        changes = tuple(dict.fromkeys(map(change_of, self._operations))) or (FOUNDED,)
        documents = tuple(doc for step in self._operations for doc in self._named(step))
        of_grants = [step.gid for step in self._operations if isinstance(step, Grant | End)]
        return self._shown(
            entry, "change", of_grants[0] if of_grants else None, documents=documents, changes=changes
        )

    def _erasure(self, entry: ExportedEntry) -> Entry:
        """What a holder had destroyed, signed by a device that was live by what the links before it say."""
        envelope = entry.opening.envelope
        erasure = read_erasure(envelope)
        at = erasure.view.dir
        latest = latest_named(self._chain.links[: self._next_link or 0], at)
        signers = [self._identities.known(ref.identity, at) for ref in erasure.signers]
        later = [self._identities.known(ref.identity, latest) for ref in erasure.signers]
        check_erasure(envelope, self._chain.head, signers, later)
        if erasure.entries[-1] >= entry.index:
            raise NotProven("It names what came after it.")
        self._erased |= set(erasure.entries)
        shown = self._shown(entry, "change", None, documents=(), changes=(ERASED,))
        return msgspec.structs.replace(shown, erased=erasure.entries, device=envelope.signers[0])

    def _find_place(self, envelope: Envelope) -> None:
        """Go on at the link that is ``envelope``, or behind the one that announced it."""
        for n, link in enumerate(self._chain.links):
            operations, due = _announced(link)
            if link.digest == envelope.digest:
                self._next_link = n
            elif envelope.digest in due:
                self._next_link = n + 1
                self._operations, self._due = operations, due[due.index(envelope.digest) :]

    def _of_grant(self, entry: ExportedEntry) -> Entry:
        """The event or the end that the link before it announced, in the link's order."""
        digest = entry.opening.envelope.digest
        if self._due[:1] != [digest]:
            raise BrokenChain("It is of a grant that the record does not have, or not here.")
        steps = [step for step in self._operations if isinstance(step, Grant | End)]
        step = steps[-len(self._due)]
        del self._due[0]
        kind: Kind = "granted" if isinstance(step, Grant) else "ended"
        return self._shown(entry, kind, step.gid, documents=self._named(step) if kind == "granted" else ())

    def _reading(self, entry: ExportedEntry) -> Iterator[Entry]:
        """A request: of one granted, that its reader signed it, for a grant of the record, once."""
        opening = entry.opening
        request = read_request(opening.envelope)
        if opening.part.outcome != "granted":
            yield self._read(entry, request, "refused", None)
            return
        if request.identity not in self._identities:
            self.unknown.append((entry.index, "the keys of its reader could not be had when it was exported"))
            yield self._read(entry, request, "access", None)
            return
        at = request.view.dir
        team = self._identities.known(request.team, at) if request.team is not None else None
        check_request(opening.envelope, self._identities.known(request.identity, at), team, request.time)
        grant = self._chain.grants.get(request.gid)
        if grant is None or grant.recipient != request.recipient or request.slot_two in self._slots:
            raise NotProven("It is a reading without a grant, or one that was logged twice.")
        self._slots.add(request.slot_two)
        yield self._read(entry, request, "access", request.identity)

    def _read(self, entry: ExportedEntry, request: AccessRequest, kind: Kind, reader: bytes | None) -> Entry:
        gid = request.gid if request.gid in self._chain.grants else None
        documents = tuple(each.doc for each in request.documents)
        return self._shown(entry, kind, gid, documents=documents, act=request.act, by=reader)

    def _named(self, step: AnyOperation) -> tuple[bytes, ...]:
        match step:
            case AddVersion(doc=doc) | Adopt(doc=doc) | Tombstone(doc=doc) | Mask(doc=doc):
                return (doc,)
            case Grant(gid=gid) | End(gid=gid):
                grant = self._grants.get(gid)
                return grant.documents if grant is not None else ()
        return ()

    def _shown(
        self,
        entry: ExportedEntry,
        kind: Kind,
        gid: bytes | None,
        *,
        documents: tuple[bytes, ...],
        act: str = "",
        changes: tuple[str, ...] = (),
        by: bytes | None = None,
    ) -> Entry:
        grant: ExportedGrant | None = self._grants.get(gid) if gid is not None else None
        if kind == "change":
            by = self._chain.genesis.holders[0]
        elif kind in ("granted", "ended"):
            by = grant.recipient if grant is not None else None
        return Entry(
            index=entry.index,
            time=entry.opening.part.time,
            kind=kind,
            act=act,
            identity=by,
            name=grant.name if grant is not None else "",
            grant=gid,
            documents=documents,
            changes=changes,
            purpose=None,
        )


def _announced(envelope: Envelope) -> tuple[tuple[AnyOperation, ...], list[bytes]]:
    """The operations of a link, and what comes right behind it in the log: each event, and the link again for each end."""
    if envelope.type != labels.VAULT_LINK:
        return (), []
    operations = decode(envelope.body, VaultLink).operations
    due = [
        step.event if isinstance(step, Grant) else envelope.digest
        for step in operations
        if isinstance(step, Grant | End)
    ]
    return operations, due
