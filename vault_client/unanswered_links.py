"""The links that were sent and are not proved and kept: each of them may be in the record, or come into it.

A server that refuses one can put it in later all the same, as long as no other is in its place. So those that were refused are
kept apart, and one that the record shows nevertheless is told from one that another device wrote. Of several that were
sent on the same head, one at most is in the record: which one is not known.
"""

from collections.abc import Collection, Iterator

from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.vault_chain import VaultHead
from crypto.vault_links import AnyOperation, VaultLink
from vault_client.device_store import DeviceStore

_UNANSWERED, _REFUSED = "unanswered", "refused-link"


class UnansweredLinks:
    """Those of one profile."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def note(self, envelope: Envelope) -> None:
        """Keep a link, before it is sent."""
        with self._store.transaction():
            self.forget(envelope)
            self._store.put(_name(_UNANSWERED, envelope), envelope)

    def refuse(self, envelope: Envelope) -> None:
        """Keep of a link that it was refused."""
        with self._store.transaction():
            self.forget(envelope)
            self._store.put(_name(_REFUSED, envelope), envelope)

    def was_refused(self, envelope: Envelope) -> bool:
        """Whether the server refused a link when it was sent last."""
        return self._store.get(_name(_REFUSED, envelope), Envelope) is not None

    def forget(self, envelope: Envelope) -> None:
        """Keep a link no longer: it is proved and kept, or another has its place."""
        for group in (_UNANSWERED, _REFUSED):
            self._store.delete(_name(group, envelope))

    def forget_overtaken(self, head: VaultHead) -> tuple[AnyOperation, ...]:
        """Forget the links that were sent on an earlier head and are not the newest: another has their place. What they did."""
        sent = [*self._sent(_UNANSWERED), *self._sent(_REFUSED)]
        overtaken = [each for each in sent if not _may_be_in(head, *each)]
        for envelope, _ in overtaken:
            self.forget(envelope)
        return tuple(operation for _, link in overtaken for operation in link.operations)

    def find(
        self, head: VaultHead, operations: tuple[AnyOperation, ...], *, besides: Collection[bytes] = ()
    ) -> Envelope | None:
        """The unanswered link with ``operations``, if it stands at ``head`` or follows it; none of ``besides``."""
        for envelope, link in self._sent(_UNANSWERED):
            if (
                link.operations == operations
                and envelope.digest not in besides
                and _may_be_in(head, envelope, link)
            ):
                return envelope
        return None

    def operations(self, head: VaultHead, *, refused: bool = False) -> tuple[AnyOperation, ...]:
        """Those of every unanswered link, or refused one, that stands at ``head`` or follows it."""
        return tuple(
            operation
            for envelope, link in self._sent(_REFUSED if refused else _UNANSWERED)
            if _may_be_in(head, envelope, link)
            for operation in link.operations
        )

    def _sent(self, group: str) -> Iterator[tuple[Envelope, VaultLink]]:
        for _, envelope in self._store.scan(group, Envelope):
            yield envelope, decode(envelope.body, VaultLink)


def _may_be_in(head: VaultHead, envelope: Envelope, link: VaultLink) -> bool:
    """Whether a link that was sent stands at ``head`` or follows it."""
    return head.link in (envelope.digest, link.prev)


def _name(group: str, envelope: Envelope) -> str:
    return f"{group}/{envelope.digest.hex()}"
