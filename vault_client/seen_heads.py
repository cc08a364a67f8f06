"""The heads and trust roots that other devices signed having seen, compared with those that are shown here.

Each statement names the newest head of its log, and of the directory, that its signer had verified, and the trust root by which.
All of them must be beginnings of one log, and of one chain of trust roots: who was shown another one says so, without knowing it, in
what they sign next.
"""

from crypto import labels
from crypto.access_log import Opening
from crypto.encoding import decode
from crypto.erasures import read_erasure
from crypto.evidence import Beginning
from crypto.requests import read_request
from crypto.statements import Head, View
from crypto.vault_links import Genesis, VaultLink
from vault_client.alarms import Alarms
from vault_client.log_scan import FoundLeaf
from vault_client.service import Service
from vault_client.trust import BelievedHead

# What people read
ANOTHER_LOG = "A device signed that it had seen a log that the one shown here does not go on from."
ANOTHER_DIRECTORY = "A device signed that it had seen a directory of people's keys that the one shown here does not go on from."
ANOTHER_ROOT = "A device signed under another trust root than the one of that number shown here."
NEWER_ROOT = "A device signed under a newer trust root than the service shows here."


class SeenHeads:
    """What was signed as seen, in the entries of one audit run."""

    def __init__(self, service: Service, device: bytes, alarms: Alarms) -> None:
        """``device``: the key id of this device. What it signed itself it had verified itself."""
        self._service = service
        self._device = device
        self._alarms = alarms
        self._noted: list[tuple[FoundLeaf, Opening, View]] = []

    def note(self, leaf: FoundLeaf, opening: Opening) -> None:
        """Take in an entry whose signers are known to have signed it."""
        if opening.envelope.signers == (self._device,):
            return
        body = opening.envelope.body
        match opening.envelope.type:
            case labels.ACCESS_REQUEST:
                view = read_request(opening.envelope).view
            case labels.GENESIS:
                view = decode(body, Genesis).view
            case labels.VAULT_LINK:
                view = decode(body, VaultLink).view
            case labels.ERASURE:
                view = read_erasure(opening.envelope).view
            case _:  # a grant event stands with a link by the same device
                return
        self._noted.append((leaf, opening, view))

    async def check(self, believed: BelievedHead) -> None:
        """Raise an alarm about each entry whose signer had seen another log or directory.

        A head of the log that would hold the entry itself is another log's, however long that was; a head of the directory that
        is longer than the one shown now, after the entry was logged, is another directory's. Trust roots likewise. Raises NotProven when the server's
        tiles are not those of its heads.
        """
        if not self._noted:
            return
        await self._check_roots()
        beginnings = await self._beginnings(believed, [view.seen for _, _, view in self._noted])
        for leaf, opening, view in self._noted:
            found = beginnings.get(view.seen.size)
            holds_itself = (
                view.seen.size > leaf.index
            )  # what is signed is logged behind all that its signer had seen
            if holds_itself or (found is not None and found.root != view.seen.root):
                self._alarms.add("FORK", leaf, ANOTHER_LOG, opening, beginning=found)
        directory, note = await self._service.witnessed(self._service.root.directory_origin)
        beginnings = await self._beginnings(directory, [view.dir for _, _, view in self._noted])
        for leaf, opening, view in self._noted:
            found = beginnings.get(view.dir.size)
            is_longer = view.dir.size > directory.head.size
            if is_longer or (found is not None and found.root != view.dir.root):
                self._alarms.add("DIR_FORK", leaf, ANOTHER_DIRECTORY, opening, beginning=found, notes=(note,))

    async def _check_roots(self) -> None:
        """Those of one number are one, and none is kept from this device: the server had it when it took the entry in."""
        roots = await self._service.roots_up_to(max(view.trust_root.version for _, _, view in self._noted))
        for leaf, opening, view in self._noted:
            named = view.trust_root
            if named.version > max(roots, default=0):
                self._alarms.add("ROOT_FORK", leaf, NEWER_ROOT, opening)
            elif roots.get(named.version, named.digest) != named.digest:
                self._alarms.add("ROOT_FORK", leaf, ANOTHER_ROOT, opening)

    async def _beginnings(self, believed: BelievedHead, seen: list[Head]) -> dict[int, Beginning]:
        """What the log shown has at each of the sizes seen, where it reaches so far."""
        sizes = sorted({head.size for head in seen if head.size <= believed.head.size})
        found = await self._service.reader.beginnings(believed.origin, sizes, believed.head.size)
        for beginning in found:
            beginning.check(believed.head)
        return {beginning.size: beginning for beginning in found}
