"""The links that were sent and are neither refused nor proved and kept: each of them may be in the record.

Of several that were sent on the same head, one at most is in the record: which one is not known.
"""

from collections.abc import Iterator

from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.vault_chain import VaultHead
from crypto.vault_links import AnyOperation, VaultLink
from vault_client.device_store import DeviceStore

_GROUP = "unanswered"


class UnansweredLinks:
    """Those of one profile."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def note(self, envelope: Envelope) -> None:
        """Keep a link, before it is sent."""
        self._store.put(_name(envelope), envelope)

    def forget(self, envelope: Envelope) -> None:
        """Keep a link no longer: it was refused, or is proved and kept."""
        self._store.delete(_name(envelope))

    def forget_overtaken(self, head: VaultHead) -> None:
        """Forget the links that were sent on an earlier head and are not the newest: another has their place."""
        for envelope, link in list(self._sent()):
            if not _may_be_in(head, envelope, link):
                self.forget(envelope)

    def find(self, head: VaultHead, operations: tuple[AnyOperation, ...]) -> Envelope | None:
        """The link with ``operations``, if it stands at ``head`` or follows it."""
        for envelope, link in self._sent():
            if link.operations == operations and _may_be_in(head, envelope, link):
                return envelope
        return None

    def operations(self, head: VaultHead) -> tuple[AnyOperation, ...]:
        """Those of every link that stands at ``head`` or follows it."""
        return tuple(
            operation
            for envelope, link in self._sent()
            if _may_be_in(head, envelope, link)
            for operation in link.operations
        )

    def _sent(self) -> Iterator[tuple[Envelope, VaultLink]]:
        for _, envelope in self._store.scan(_GROUP, Envelope):
            yield envelope, decode(envelope.body, VaultLink)


def _may_be_in(head: VaultHead, envelope: Envelope, link: VaultLink) -> bool:
    """Whether a link that was sent stands at ``head`` or follows it."""
    return head.link in (envelope.digest, link.prev)


def _name(envelope: Envelope) -> str:
    return f"{_GROUP}/{envelope.digest.hex()}"
