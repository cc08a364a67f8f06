"""Grant events as the server takes them: checked like a reader would, written, and delivered."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto import grants, labels, pieces
from crypto.errors import BrokenChain, NotPermitted, TooLarge
from crypto.grants import GrantEvent, GrantState, Row
from crypto.identity_chain import Known
from crypto.signing import read, verify_keys
from crypto.statements import Head
from crypto.vault_chain import VaultHead, check_not_removed
from crypto.vault_links import Grant
from crypto.wire.keeper_api import IdentityHead
from crypto.wire.messages import EventSubmission, ShownChain
from vault_server import rules
from vault_server.access_log import AccessLog
from vault_server.identities import Identities
from vault_server.instance import Instance
from vault_server.store import grants as rows
from vault_server.store.database import Transaction

MAX_EVENT = 1 << 19


@dataclass(frozen=True)
class PreparedEvent:
    """An event of which all is checked that does not depend on what came before it."""

    sent: EventSubmission
    event: GrantEvent
    rows: tuple[Row, ...]
    signers: tuple[Known, ...]
    recipient: Known


class GrantEvents:
    """The grant events of this server."""

    def __init__(self, instance: Instance, log: AccessLog, identities: Identities) -> None:
        self._instance = instance
        self._log = log
        self._identities = identities
        self._keepers = verify_keys(*(keeper.cosigning_key for keeper in instance.root.live_keepers))

    async def prepare(
        self, head: VaultHead, sent: Sequence[EventSubmission], latest: Head, now: int
    ) -> list[PreparedEvent]:
        """Check events outside the transaction: views, identities, certificate, rows, listing, policies, chains.

        ``latest``: the largest head of the directory that the record has named, their link included.
        """
        return [await self._prepare(head, each, latest, now) for each in sent]

    async def write(
        self, transaction: Transaction, before: VaultHead, after: VaultHead, step: Grant, ready: PreparedEvent
    ) -> None:
        """Check an event against the one before it, write it and put it into its recipient's mailbox."""
        event = ready.event
        _check_named(event, ready.sent, step)
        if event.log_key not in (before.keys.log_key, after.keys.log_key):
            raise NotPermitted("A grant names another log key than the record's. Nothing was granted.")
        previous = await self._previous(transaction, before, event)
        grants.accept(previous, ready.sent.envelope, ready.signers, ready.recipient, self._instance.root)
        fresh = previous is None or previous.event.rekey != event.rekey
        await rows.add_event(transaction, event, ready.sent, ready.rows, fresh=fresh)
        await rows.deliver(transaction, event.recipient.identity, event.gid, event.j)

    async def write_shown(
        self, transaction: Transaction, head: VaultHead, step: Grant, sent: EventSubmission, latest: Head
    ) -> None:
        """Write an event that was lost and is shown again: an entry commits to it, so it was judged when it was new.

        Without its listing no titles are there to be read; without its policies nothing can be opened under it.
        """
        event = grants.read_event(sent.envelope)
        _check_named(event, sent, step)
        granted = grants.split_rows(sent.rows, event.rows)
        if sent.listing:
            _check_listing(event, sent)
        for blob in sent.blobs:
            grants.check_blob(event.policy, blob)
        if sent.blobs and tuple(sorted(blob.keeper for blob in sent.blobs)) != event.policy.keepers:
            raise NotPermitted("A grant lacks the policy of one of its keepers. Nothing was granted.")
        signers = [await self._identities.known_at(ref.identity, latest.size) for ref in event.signers]
        await self._check_chains(signers, sent.chains, latest.size)
        previous = await self._previous(transaction, head, event)
        fresh = previous is None or previous.event.rekey != event.rekey
        await rows.add_event(transaction, event, sent, granted if sent.blobs else (), fresh=fresh)
        await rows.deliver(transaction, event.recipient.identity, event.gid, event.j)

    async def _prepare(self, head: VaultHead, sent: EventSubmission, latest: Head, now: int) -> PreparedEvent:
        if len(sent.envelope.body) > MAX_EVENT:
            raise TooLarge(f"A grant event of more than {MAX_EVENT} bytes was refused. Nothing was granted.")
        event = grants.read_event(sent.envelope)
        if (event.vault, event.origin) != (head.vault, head.origin):
            raise NotPermitted("A grant's event is of another record. Nothing was granted.")
        await self._log.check_view(event.view, head.origin, now)
        rules.check_expiry(event.expiry, now)
        size = event.view.dir.size
        recipient = await self._identities.known_at(event.recipient.identity, size)
        rules.check_recipient(recipient.state, self._instance.root.never_granted, now)
        signers = [await self._identities.known_at(ref.identity, size) for ref in event.signers]
        if event.view.dir.size > latest.size:
            raise NotPermitted("A grant's event is later than the link that names it. Nothing was granted.")
        later = [await self._identities.known_at(ref.identity, latest.size) for ref in event.signers]
        check_not_removed(sent.envelope, later)
        _check_listing(event, sent)
        self._check_policies(event, sent)
        await self._check_chains(later, sent.chains, latest.size)
        return PreparedEvent(
            sent=sent,
            event=event,
            rows=tuple(grants.split_rows(sent.rows, event.rows)),
            signers=tuple(signers),
            recipient=recipient,
        )

    async def _check_chains(self, signers: Sequence[Known], sent: Sequence[ShownChain], size: int) -> None:
        """``sent`` are the chains of ``signers`` as they stand here, each with what live keepers said of it."""
        if len(sent) != len(signers):
            raise NotPermitted("A grant came with other chains than its signers'. Nothing was granted.")
        for signer, shown in zip(signers, sent, strict=True):
            links = shown.chain.links
            stored = await self._identities.chain(signer.ref.identity)
            if len(links) <= signer.ref.n or links != stored.links[: len(links)]:
                raise NotPermitted("A grant came with another chain than its signer's. Nothing was granted.")
            self._check_words(shown, size)

    def _check_words(self, shown: ShownChain, size: int) -> None:
        """Each word is a live keeper's, of this very chain at ``size`` leaves of the directory or later, and none twice."""
        ref, origin = shown.chain.ref, self._instance.root.directory_origin
        for envelope in shown.heads:
            answer = read(envelope, labels.IDHEAD, IdentityHead, self._keepers)
            if not answer.is_of(ref, origin, size):
                raise NotPermitted(
                    "A grant came with a keeper's word about other keys than its signer's. Nothing was granted."
                )
        names = [name for envelope in shown.heads for name in envelope.signers]
        if len(set(names)) != len(names):
            raise NotPermitted("A grant came with a keeper's word twice. Nothing was granted.")

    def _check_policies(self, event: GrantEvent, sent: EventSubmission) -> None:
        live = {keeper.key_hash for keeper in self._instance.root.live_keepers}
        if not set(event.policy.keepers) <= live:
            raise NotPermitted("A new grant event names a keeper that has retired. Nothing was granted.")
        for blob in sent.blobs:
            grants.check_blob(event.policy, blob)
            if (blob.j, blob.trust_root) != (event.j, event.view.trust_root.digest):
                raise NotPermitted("A keeper's policy is for another event. Nothing was granted.")
        if tuple(sorted(blob.keeper for blob in sent.blobs)) != event.policy.keepers:
            raise NotPermitted("A grant lacks the policy of one of its keepers. Nothing was granted.")

    async def _previous(
        self, transaction: Transaction, head: VaultHead, event: GrantEvent
    ) -> GrantState | None:
        if event.j == 0:
            return None
        found = await rows.event(transaction, event.gid, event.j - 1)
        if found is None:
            raise BrokenChain("A grant's event does not follow from the one before. Nothing was granted.")
        envelope, before = found
        return GrantState(
            vault=head.vault,
            holders=head.holders,
            rule=head.rule,
            digest=envelope.digest,
            event=before,
            a_box=before.a_box or b"",
        )


def _check_named(event: GrantEvent, sent: EventSubmission, step: Grant) -> None:
    """``sent`` holds just the event that ``step`` of a link names."""
    named = (event.gid, event.j, event.rekey, event.recipient.identity, sent.envelope.digest)
    if named != (step.gid, step.j, step.rekey, step.recipient, step.event):
        raise NotPermitted("A grant's event is not the one its link names. Nothing was granted.")


def _check_listing(event: GrantEvent, sent: EventSubmission) -> None:
    listing = event.listing
    if len(sent.listing) != listing.length or pieces.ct_root(sent.listing) != listing.ct_root:
        raise NotPermitted("A grant's listing is not the one that was signed. Nothing was granted.")
