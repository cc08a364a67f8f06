"""Which documents are masked or deleted, and so opened by nobody else: as the first links of the record have it."""

from crypto import labels
from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.vault_links import Mask, Tombstone, VaultLink
from vault_client.device_store import DeviceStore


class ClosedDocuments:
    """Those of one record, followed from link to link."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store
        self._followed = 0
        self._masked: set[bytes] = set()
        self._deleted: set[bytes] = set()

    def after(self, links: int) -> set[bytes]:
        """The documents closed by the first ``links`` of the record's chain: no fewer than were asked about before."""
        for n in range(self._followed, links):
            link = self._store.get(f"link/{n}", Envelope)
            if link is not None and link.type == labels.VAULT_LINK:
                self._follow(decode(link.body, VaultLink))
        self._followed = max(self._followed, links)
        return self._masked | self._deleted

    def _follow(self, link: VaultLink) -> None:
        for step in link.operations:
            match step:
                case Mask(doc=doc, masked=True):
                    self._masked.add(doc)
                case Mask(doc=doc):
                    self._masked.discard(doc)
                case Tombstone(doc=doc):
                    self._deleted.add(doc)
