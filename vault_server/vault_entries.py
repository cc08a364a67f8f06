"""A vault's own entries: leaves under its scan key, openings sealed to its log key, chained so that only it can follow."""

from crypto import access_log as entries
from crypto import sealing
from crypto.access_log import Disclosure, Opening, Outcome, ServerPart
from crypto.locators import Locator
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from vault_server.access_log import AccessLog
from vault_server.store import vaults as rows
from vault_server.store.database import Transaction
from vault_server.store.vaults import VaultRow


class EntryChain:
    """Appends to the entries of one vault inside one job. ``last``: the commitment of the newest."""

    def __init__(self, log: AccessLog, transaction: Transaction, vault: VaultRow, now: int) -> None:
        self.last = vault.last
        self._log = log
        self._transaction = transaction
        self._head = vault.head
        self._locator = Locator(SecretBytes(vault.scan_key), vault.head.origin)
        self._now = now

    async def add(
        self,
        envelope: Envelope,
        outcome: Outcome,
        slot_two: bytes | None = None,
        *,
        delivered_to: bytes | None = None,
    ) -> Disclosure:
        """Stage the leaf of ``envelope`` and keep its sealed opening. Without ``slot_two`` it is random.

        The holders are told of it, and ``delivered_to``, in whose mailbox it is.
        """
        head = self._head
        salt, salt2 = SecretBytes.random().reveal(), SecretBytes.random().reveal()
        first = self.last == entries.FIRST
        part = ServerPart(
            body=envelope.digest,
            time=self._now,
            outcome=outcome,
            prev=entries.FIRST if first else entries.previous(salt2, self.last),
        )
        leaf = entries.Leaf(
            slot_one=self._locator.make(SecretBytes.random(16).reveal()),
            slot_two=slot_two or SecretBytes.random().reveal(),
            commitment=entries.commitment(salt, envelope, part),
        )
        concerned = [*head.holders, *filter(None, [delivered_to])]
        index = self._log.stage(self._transaction, head.origin, leaf, concerned)
        opening = Opening(salt=salt, salt2=salt2, previous=self.last, envelope=envelope, part=part)
        info = entries.opening_info(head.origin, leaf.commitment)
        box = sealing.seal(head.keys.log_key, info, opening.to_record())
        await rows.add_opening(self._transaction, head.vault, index, head.keys.epoch, box)
        self.last = leaf.commitment
        return Disclosure(index=index, slot_one=leaf.slot_one, slot_two=leaf.slot_two, salt=salt, part=part)
